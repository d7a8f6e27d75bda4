package wire

import (
	"errors"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Envelope is what every POST body has: the recording's channel and recorder,
// and the options of the call, which are decoded once it is known that the call
// concerns a recording at all (errors.md 7).
type Envelope struct {
	CName   string
	UIDText string // as it came, to be echoed
	UID     uint32
	Options jsontext.Value // clientRequest; may share the body's memory
}

// rawEnvelope is the envelope as it comes.
type rawEnvelope struct {
	CName   string         `json:"cname"`
	UID     string         `json:"uid"`
	Options jsontext.Value `json:"clientRequest"`
}

// Envelope reads a body. It checks presence, types and the range of uid, not the
// channel name, whose rule depends on the mode.
func (r *Rules) Envelope(body []byte) (Envelope, error) {
	if jsontext.Value(body).Kind() != '{' {
		return Envelope{}, ErrMalformed
	}
	var raw rawEnvelope
	err := r.request(Call{}, "Envelope", body, &raw)
	var p *Problem
	if errors.As(err, &p) && p.field == "uid" && p.kind == invalid && numericUID(body) {
		return Envelope{}, &Problem{reasonBodyCheck, verbatim}
	}
	if err != nil {
		return Envelope{}, err
	}
	return raw.check()
}

// numericUID tells a uid that is out of range from something that is none: the
// original service has a text of its own for it.
func numericUID(body []byte) bool {
	var raw struct {
		UID jsontext.Value `json:"uid"`
	}
	if err := json.Unmarshal(body, &raw); err != nil {
		return false
	}
	uid, ok := unquote(raw.UID)
	return ok && allDigits(uid)
}

// check reads the uid.
func (raw rawEnvelope) check() (Envelope, error) {
	uid, ok := parseUID(raw.UID)
	if !ok && allDigits(raw.UID) {
		return Envelope{}, &Problem{reasonBodyCheck, verbatim}
	}
	if !ok {
		return Envelope{}, bad("uid")
	}
	return Envelope{CName: raw.CName, UIDText: raw.UID, UID: uid, Options: raw.Options}, nil
}

// Longest channel names in bytes (rest-api.md 1.2).
const (
	maxChannelName = 64
	maxWebName     = 128
)

// ChannelName reports whether s can be the name of a channel: 1 to 64 of the 89
// characters of rest-api.md 1.2.
func ChannelName(s string) bool {
	return len(s) <= maxChannelName && every(s, func(c byte) bool {
		return alphanumeric(c) || strings.IndexByte(" !#$%&()+-:;<=.>?@[]^_{}|~,", c) >= 0
	})
}

// WebName reports whether s can be the name of a web page recording: up to 128
// bytes of anything.
func WebName(s string) bool { return s != "" && len(s) <= maxWebName }

// ErrName is the problem of a name that WebName refuses.
func ErrName() error { return bad("cname") }
