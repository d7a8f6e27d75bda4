package outbound

import (
	"bytes"
	"io"
	"net/http"
	"time"
)

const (
	maxAnswer  = 1 << 20          // bytes; real answers to a PUT are hundreds
	answerTime = 30 * time.Second // from the header to the end of the body
)

// Bounded limits what a server can make us read in answer to anything but a
// download: client libraries drain bodies to their end, however long they are
// and however slowly they come.
func Bounded(rt http.RoundTripper) http.RoundTripper { return bounded{rt} }

type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(req)
	if err != nil || (req.Method == http.MethodGet && resp.StatusCode < 300) || resp.Body == nil {
		return resp, err
	}
	timer := time.AfterFunc(answerTime, func() { _ = resp.Body.Close() })
	defer timer.Stop()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	_ = resp.Body.Close() // unread bytes end the connection with it
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}
