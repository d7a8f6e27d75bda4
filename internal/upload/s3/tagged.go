package s3

import (
	"net/http"
	"net/url"
)

// tagged puts object tags into a header of a vendor's own. It is added behind
// the signature: the client library would turn it into object metadata, and
// Signature Version 4 binds no headers but Amazon's.
type tagged struct {
	next   http.RoundTripper
	header string
	value  map[string]string
}

// RoundTrip implements http.RoundTripper.
func (t tagged) RoundTrip(req *http.Request) (*http.Response, error) {
	q := req.URL.Query()
	whole := req.Method == http.MethodPut && !q.Has("partNumber")
	begin := req.Method == http.MethodPost && q.Has("uploads")
	if !whole && !begin {
		return t.next.RoundTrip(req)
	}
	tags := url.Values{}
	for k, v := range t.value {
		tags.Set(k, v)
	}
	out := req.Clone(req.Context()) // a RoundTripper must not change what it is given
	out.Header.Set(t.header, tags.Encode())
	return t.next.RoundTrip(out)
}
