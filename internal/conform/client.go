package conform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 1 << 20
	// rateTries is how often a call is repeated that was over the rate limit.
	rateTries = 30
)

// caller makes requests.
type caller struct {
	http             *http.Client
	url              string // without a slash at the end
	customer, secret string
	pause            time.Duration // before a call that was over the rate limit is repeated
}

// once makes one request. Headers with a nil value are left out.
func (c *caller) once(ctx context.Context, method, path, body string, headers map[string]*string) (Answer, error) {
	var a Answer
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, strings.NewReader(body))
	if err != nil {
		return a, fmt.Errorf("conform: %w", err)
	}
	r.SetBasicAuth(c.customer, c.secret)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, value := range headers {
		r.Header.Del(name)
		if value != nil {
			r.Header.Set(name, *value)
		}
	}
	res, err := c.http.Do(r)
	if err != nil {
		return a, fmt.Errorf("conform: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return a, fmt.Errorf("conform: %s %s: %w", method, path, err)
	}
	a = Answer{Status: res.StatusCode, Request: res.Header.Get("X-Request-Id"), Type: res.Header.Get("Content-Type"), Raw: string(raw)}
	if json.Unmarshal(raw, &a.Body) != nil {
		a.Body = nil
	}
	return a, nil
}

// call is once, repeated while the account calls too often.
func (c *caller) call(ctx context.Context, method, path, body string, headers map[string]*string) (Answer, error) {
	for range rateTries {
		a, err := c.once(ctx, method, path, body, headers)
		if err != nil || a.Status != http.StatusTooManyRequests {
			return a, err
		}
		if err := wait(ctx, c.pause); err != nil {
			return a, err
		}
	}
	return Answer{}, errors.New("conform: the server never stops saying that the rate limit is exceeded")
}

// want is call for a step that has to succeed before the example.
func (c *caller) want(ctx context.Context, method, path, body, member string) (string, error) {
	a, err := c.call(ctx, method, path, body, nil)
	if err != nil {
		return "", err
	}
	s, _ := a.Body[member].(string)
	if a.Status != http.StatusOK || s == "" {
		return "", unexpected(method, path, a)
	}
	return s, nil
}

func unexpected(method, path string, a Answer) error {
	return fmt.Errorf("%s %s, which the example presupposes, is answered with %d %.200s", method, path[strings.LastIndexByte(path, '/')+1:], a.Status, a.Raw)
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
