package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"tapedeck/internal/outbound"
	"tapedeck/webhook"
)

// sender makes the requests of one endpoint over connections of its own.
type sender struct {
	ep     Endpoint
	client *http.Client
	now    func() time.Time
	unseal func(sid string, sealed []byte) ([]byte, error)
}

func newSender(ep Endpoint, c Config) *sender {
	tr := c.Policy.Transport()
	tr.TLSClientConfig = c.TLS
	tr.MaxIdleConnsPerHost = ep.concurrency()
	return &sender{
		ep: ep, now: c.Now, unseal: c.Unseal,
		client: &http.Client{Transport: tr, CheckRedirect: outbound.NoRedirects, Timeout: c.Timeout},
	}
}

func (s *sender) close() { s.client.CloseIdleConnections() }

// errStatus is an answer other than 200.
type errStatus int

func (e errStatus) Error() string {
	return fmt.Sprintf("it answered %d %s; only 200 is success", int(e), http.StatusText(int(e)))
}

// errUnsendable: no attempt can ever succeed.
var errUnsendable = errors.New("notify: the event cannot be sent")

// send makes one attempt: the body is made and signed anew, since notifyMs
// belongs to the attempt.
func (s *sender) send(ctx context.Context, e Event) error {
	if len(e.Sealed) > 0 {
		plain, err := s.unseal(e.SID, e.Sealed)
		if err != nil {
			return fmt.Errorf("%w: its secret part cannot be opened: is keys.json the one it was written with? %w", errUnsendable, err)
		}
		e.Details = plain
	}
	make, content := e.Body, contentJSON
	if s.ep.CloudEvents {
		make, content = e.CloudEvent, contentCloudEvent
	}
	body, err := make(s.now().UnixMilli())
	if err != nil {
		return fmt.Errorf("%w: %w", errUnsendable, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.ep.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: %w", errUnsendable, err)
	}
	if req.URL.Scheme != "https" && !s.ep.AllowHTTP {
		return fmt.Errorf("%w: the endpoint is plain http and allow_http is not set", errUnsendable)
	}
	req.Header.Set("Content-Type", content)
	req.Header.Set("User-Agent", "tapedeck")
	req.Header[webhook.HeaderV1] = []string{webhook.SignV1(s.ep.Secrets[0], body)}
	req.Header[webhook.HeaderV2] = []string{webhook.SignV2(s.ep.Secrets[0], body)}
	if len(s.ep.Secrets) > 1 {
		req.Header[webhook.HeaderNext] = []string{webhook.SignV2(s.ep.Secrets[1], body)}
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return &sendError{s.withoutQuery(err), err}
	}
	// The status decides; the rest is read so that the connection can be used again.
	_, _ = io.CopyN(io.Discard, resp.Body, 16<<10)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errStatus(resp.StatusCode)
	}
	return nil
}

// sendError is an attempt without an answer.
type sendError struct {
	text string
	err  error
}

func (e *sendError) Error() string { return e.text }
func (e *sendError) Unwrap() error { return e.err }

// withoutQuery keeps what may be secret in an address out of logs and of dead
// letters.
func (s *sender) withoutQuery(err error) string {
	return strings.ReplaceAll(err.Error(), s.ep.URL, s.ep.Place())
}

// errorClass names a failure as the console of the original service does.
func errorClass(err error) string {
	var status errStatus
	var certificate *tls.CertificateVerificationError
	var name *net.DNSError
	var slow net.Error
	switch {
	case err == nil:
		return "200"
	case errors.As(err, &status):
		return fmt.Sprint(int(status))
	case errors.As(err, &certificate):
		return "592"
	case errors.As(err, &name):
		return "591"
	case errors.As(err, &slow) && slow.Timeout():
		return "590"
	}
	return "error"
}
