// Package webhook is for servers that receive Tapedeck's webhooks: it checks
// that a request was signed with a secret both sides know, and reads what it
// says. Everything a notice can say is in docs/api/events.md.
//
// Deliveries are at least once and in order for each recording. Keep the
// NoticeIDs you have handled and pass over those that come again; answer 200
// within ten seconds, also for recordings you do not know.
package webhook

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Headers of a request. The values are lower-case hex of HMACs over the bytes
// of the body; the key is the secret as it is written.
const (
	HeaderV1 = "Agora-Signature"    // HMAC-SHA1
	HeaderV2 = "Agora-Signature-V2" // HMAC-SHA256
	// HeaderNext is an HMAC-SHA256 with the endpoint's second secret. It is
	// there while secrets are being exchanged.
	HeaderNext = "Tapedeck-Signature-Next"
)

// MaxBody is the largest body that Read takes, in bytes.
const MaxBody = 1 << 20

// ErrSignature: no signature of the request was made with any of the secrets.
// Answer 401 and do nothing of what the body says.
var ErrSignature = errors.New("webhook: the signature does not fit: is the secret the one of this endpoint, and is the body verified as it came?")

// SignV1 returns the value of HeaderV1.
func SignV1(secret string, body []byte) string {
	m := hmac.New(sha1.New, []byte(secret))
	_, _ = m.Write(body)
	return hex.EncodeToString(m.Sum(nil))
}

// SignV2 returns the value of HeaderV2.
func SignV2(secret string, body []byte) string {
	m := hmac.New(sha256.New, []byte(secret))
	_, _ = m.Write(body)
	return hex.EncodeToString(m.Sum(nil))
}

// Verify returns nil if the request with these headers and this body was
// signed with one of the secrets, else ErrSignature. Give the body as it came,
// not what a decoder made of it. While secrets are being exchanged give both.
// HeaderV1 alone is not enough; what has it has HeaderV2 as well.
func Verify(h http.Header, body []byte, secrets ...string) error {
	for _, s := range secrets {
		if s == "" {
			continue
		}
		want := []byte(SignV2(s, body))
		for _, name := range []string{HeaderV2, HeaderNext} {
			if hmac.Equal([]byte(h.Get(name)), want) {
				return nil
			}
		}
	}
	return ErrSignature
}

// Notice is one event of a recording.
type Notice struct {
	NoticeID  string  `json:"noticeId"` // the same in every delivery of the event
	ProductID int     `json:"productId"`
	EventType int     `json:"eventType"`
	NotifyMs  int64   `json:"notifyMs"` // Unix ms, of this attempt
	Payload   Payload `json:"payload"`
}

// Payload is what every event has, and the details that belong to its type.
type Payload struct {
	CName        string          `json:"cname"`
	UID          string          `json:"uid"` // of the recorder
	SID          string          `json:"sid"`
	Sequence     int64           `json:"sequence"` // 0, 1, ... for each recording
	SendTS       int64           `json:"sendts"`   // Unix ms when it happened
	ServiceType  int             `json:"serviceType"`
	ServiceScene string          `json:"serviceScene"`
	Details      json.RawMessage `json:"details"` // an object; docs/api/events.md
}

// Read takes a request: it reads the body, verifies it and decodes the notice,
// in the plain form or out of a CloudEvent. ErrSignature means that the request
// is not to be trusted; any other error that it could not be read.
func Read(r *http.Request, secrets ...string) (Notice, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	if err != nil {
		return Notice{}, fmt.Errorf("webhook: read the body: %w", err)
	}
	if len(body) > MaxBody {
		return Notice{}, fmt.Errorf("webhook: the body has more than %d bytes", MaxBody)
	}
	if err := Verify(r.Header, body, secrets...); err != nil {
		return Notice{}, err
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/cloudevents+json") {
		var ce struct {
			Data json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(body, &ce); err != nil {
			return Notice{}, fmt.Errorf("webhook: bad CloudEvent: %w", err)
		}
		body = ce.Data
	}
	var n Notice
	if err := json.Unmarshal(body, &n); err != nil {
		return Notice{}, fmt.Errorf("webhook: bad notice: %w", err)
	}
	return n, nil
}
