package wire

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Envelope is what every POST body has: the recording's channel and recorder,
// and the options of the call, which are decoded once it is known that the call
// concerns a recording at all (errors.md 7).
type Envelope struct {
	CName   string
	UIDText string // as it came, to be echoed
	UID     uint32
	Options jsontext.Value // clientRequest; shares the body's memory
}

// rawEnvelope is the envelope as it comes.
type rawEnvelope struct {
	CName   string         `json:"cname"`
	UID     string         `json:"uid"`
	Options jsontext.Value `json:"clientRequest"`
}

// DecodeEnvelope reads a body. It checks presence, types and the range of uid,
// not the channel name, whose rule depends on the mode.
func DecodeEnvelope(body []byte) (Envelope, error) {
	if jsontext.Value(body).Kind() != '{' {
		return Envelope{}, ErrMalformed
	}
	var raw rawEnvelope
	if err := decode(body, &raw); err != nil {
		return Envelope{}, err
	}
	switch {
	case raw.CName == "":
		return Envelope{}, absent("cname")
	case raw.UID == "":
		return Envelope{}, absent("uid")
	case !present(raw.Options):
		return Envelope{}, absent("clientRequest")
	case raw.Options.Kind() != '{':
		return Envelope{}, bad("clientRequest")
	}
	return raw.check()
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
