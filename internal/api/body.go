package api

import (
	"errors"
	"io"
	"strings"

	"tapedeck/internal/api/codes"
	"tapedeck/internal/api/wire"
)

var errBodySize = errors.New("api: the body is too large")

// body reads the body of a POST.
func (c *call) body() ([]byte, *refusal) {
	if !jsonType(c.r.Header["Content-Type"]) {
		return nil, refuse(codes.Framing)
	}
	body, err := c.readBody()
	if err != nil {
		return nil, refuseBecause(codes.Framing, err)
	}
	return body, nil
}

// envelope reads the body of a POST and what every body has (errors.md 7, 5-6).
func (c *call) envelope() (wire.Envelope, *refusal) {
	body, no := c.body()
	if no != nil {
		return wire.Envelope{}, no
	}
	env, err := c.rules.Envelope(body)
	if err != nil {
		return wire.Envelope{}, c.badRequest(err)
	}
	return env, nil
}

// jsonType accepts application/json in any capitals, with any parameters in any
// spacing, or no type at all.
func jsonType(values []string) bool {
	if len(values) == 0 {
		return true
	}
	media, _, _ := strings.Cut(values[0], ";")
	return strings.EqualFold(strings.TrimSpace(media), "application/json")
}

// readBody reads the whole body, into memory that is used again after the call.
func (c *call) readBody() ([]byte, error) {
	if c.r.ContentLength > maxBody {
		return nil, errBodySize
	}
	c.buf = c.bodies.Get().(*[]byte)
	buf := *c.buf
	if c.r.ContentLength > int64(len(buf)) {
		buf = make([]byte, c.r.ContentLength+1) // one more, to see the end
	}
	n := 0
	for {
		m, err := c.r.Body.Read(buf[n:])
		n += m
		switch {
		case n > maxBody:
			return nil, errBodySize
		case err == io.EOF:
			return buf[:n], nil
		case err != nil:
			return nil, err
		case n == len(buf):
			buf = append(buf, make([]byte, len(buf))...)
		}
	}
}
