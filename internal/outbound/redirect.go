package outbound

import (
	"errors"
	"fmt"
	"net/http"
)

// ErrRedirect: the server sent us somewhere else.
var ErrRedirect = errors.New("redirects are not followed")

// NoRedirects is a CheckRedirect for http.Client. Requests carry signatures and
// tokens meant for one host.
func NoRedirects(req *http.Request, _ []*http.Request) error {
	return fmt.Errorf("outbound: %w: to host %q", ErrRedirect, req.URL.Host)
}

// Unredirected wraps a transport for clients whose CheckRedirect is not ours
// to set: an answer that redirects loses its Location and is final.
func Unredirected(rt http.RoundTripper) http.RoundTripper { return unredirected{rt} }

type unredirected struct{ next http.RoundTripper }

func (u unredirected) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := u.next.RoundTrip(req)
	if err == nil && resp.StatusCode >= 300 && resp.StatusCode < 400 {
		resp.Header.Del("Location")
	}
	return resp, err
}
