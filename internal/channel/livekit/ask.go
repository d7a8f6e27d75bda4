package livekit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/channel/livekit/sdk"
)

// answer is what the server says to a token over HTTP: joining itself does not
// tell a refusal from a server that is away.
type answer struct {
	code int // HTTP status, 0 without an answer
	text string
	err_ error
}

const askTimeout = 3 * time.Second

// ask shows the token to the server.
func (s *Source) ask(ctx context.Context, token string) answer {
	u, err := url.Parse(s.cfg.Room.URL)
	if err != nil {
		return answer{err_: errors.New("the URL cannot be read")}
	}
	u.Scheme = strings.Replace(u.Scheme, "ws", "http", 1)
	u = u.JoinPath("rtc", "validate")
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return answer{err_: err}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return answer{err_: errors.New(sdk.Scrub(err.Error()))}
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
	return answer{code: resp.StatusCode, text: strings.TrimSpace(sdk.Scrub(string(body)))}
}

func (a answer) refused() bool {
	return a.code == http.StatusUnauthorized || a.code == http.StatusForbidden
}

func (a answer) String() string {
	if a.err_ != nil {
		return a.err_.Error()
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", a.code, a.text))
}

// err tells an operator what to do about a refusal.
func (a answer) err(server string) error {
	return fmt.Errorf("the LiveKit server at %s refuses our token (%s); check the key, the secret and the clocks of both machines", redacted(server), a)
}

// end is the error after patience ran out.
func (a answer) end(server string, patience time.Duration, err error) error {
	e := &channel.EndError{End: channel.EndUnreached}
	switch {
	case a.code == http.StatusNotFound:
		e.End = channel.EndRoom
		e.Err = fmt.Errorf("the LiveKit server at %s has no such room and makes none (%s)", redacted(server), a)
	case a.refused():
		e.End = channel.EndRefused
		e.Err = a.err(server)
	case a.code == http.StatusOK:
		e.Err = fmt.Errorf("the LiveKit server at %s answers, but no connection came about in %v: %w; check that UDP reaches its media port", redacted(server), patience, err)
	default:
		e.Err = fmt.Errorf("the LiveKit server at %s could not be reached in %v: %s", redacted(server), patience, a)
	}
	return e
}

// redacted is a server's address without user information and query.
func redacted(server string) string {
	u, err := url.Parse(server)
	if err != nil {
		return "(unreadable URL)"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
