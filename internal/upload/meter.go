package upload

import (
	"io"
	"net/http"

	"golang.org/x/time/rate"
)

// meterPiece is how much is asked for at once: small enough that recordings
// share a narrow line evenly.
const meterPiece = 32 << 10 // bytes

// Meter bounds what a node sends to stores, over all recordings.
type Meter struct{ limit *rate.Limiter }

// NewMeter returns a meter for so many bytes a second; 0 or less gives none.
func NewMeter(bytesPerSecond int64) *Meter {
	if bytesPerSecond <= 0 {
		return nil
	}
	// A quarter of a second may be sent at once, so that small files are not slow.
	burst := max(int(min(bytesPerSecond/4, 1<<30)), meterPiece)
	return &Meter{limit: rate.NewLimiter(rate.Limit(bytesPerSecond), burst)}
}

// throttle makes a transport obey the meter. Requests wait for each other in
// the order they come, piece by piece, so none is starved.
func (m *Meter) throttle(rt http.RoundTripper) http.RoundTripper {
	if m == nil {
		return rt
	}
	return metered{m, rt}
}

type metered struct {
	m    *Meter
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t metered) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return t.next.RoundTrip(req)
	}
	out := req.Clone(req.Context()) // a RoundTripper must not change what it is given
	out.Body = &meteredBody{ReadCloser: req.Body, req: req, m: t.m}
	return t.next.RoundTrip(out)
}

type meteredBody struct {
	io.ReadCloser

	req *http.Request
	m   *Meter
}

func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), meterPiece)])
	if n > 0 {
		if werr := b.m.limit.WaitN(b.req.Context(), n); werr != nil {
			return n, werr
		}
	}
	return n, err
}
