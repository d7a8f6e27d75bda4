package recorder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"tapedeck/internal/media/picture"
	"tapedeck/internal/outbound"
)

// Bounds of the fetch of one picture.
const (
	fetchTimeout   = 20 * time.Second
	fetchRedirects = 3
)

// errAnswer: the server answered and has no picture for us.
var errAnswer = errors.New("the server does not give it")

// fetcher returns what gets a picture under the egress policy. The policy looks
// at every address that is connected to, so redirects are followed: they lead
// nowhere where the first address could not have led.
func fetcher(policy outbound.Policy) func(ctx context.Context, address string) ([]byte, error) {
	client := &http.Client{
		Transport: policy.Transport(), Timeout: fetchTimeout,
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > fetchRedirects {
				return fmt.Errorf("%w: more than %d redirects", errAnswer, fetchRedirects)
			}
			return nil
		},
	}
	return func(ctx context.Context, address string) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, fmt.Errorf("%w: the URL cannot be read", errAnswer)
		}
		req.Header.Set("Accept", "image/jpeg, image/png, image/bmp")
		resp, err := client.Do(req)
		if err != nil {
			return nil, bare(err)
		}
		defer func() { _ = resp.Body.Close() }()
		return body(resp)
	}
}

func body(resp *http.Response) ([]byte, error) {
	switch {
	case resp.StatusCode >= 500:
		return nil, fmt.Errorf("the server answers %d", resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%w: it answers %d", errAnswer, resp.StatusCode)
	case resp.ContentLength > picture.MaxBytes:
		return nil, fmt.Errorf("%w: %d bytes, at most %d are taken", picture.ErrSize, resp.ContentLength, picture.MaxBytes)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, picture.MaxBytes+1))
	if err != nil {
		return nil, bare(err)
	}
	if len(data) > picture.MaxBytes {
		return nil, fmt.Errorf("%w: more than %d bytes", picture.ErrSize, picture.MaxBytes)
	}
	return data, nil
}

// bare takes the address out of an error: its query may be a secret.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// host tells an address as far as it is no secret.
func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "(unreadable URL)"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
