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

// DecodeEnvelope reads a body. It checks presence, types and the range of uid,
// not the channel name, whose rule depends on the mode.
func DecodeEnvelope(body []byte) (Envelope, error) {
	var b struct {
		CName   *string        `json:"cname"`
		UID     *string        `json:"uid"`
		Options jsontext.Value `json:"clientRequest"`
	}
	if jsontext.Value(body).Kind() != '{' {
		return Envelope{}, ErrMalformed
	}
	if err := decode(body, &b); err != nil {
		return Envelope{}, err
	}
	kind := b.Options.Kind()
	switch {
	case text(b.CName) == "":
		return Envelope{}, absent("cname")
	case text(b.UID) == "":
		return Envelope{}, absent("uid")
	case len(b.Options) == 0 || kind == 'n':
		return Envelope{}, absent("clientRequest")
	case kind != '{':
		return Envelope{}, bad("clientRequest")
	}
	uid, ok := parseUID(*b.UID)
	if !ok && allDigits(*b.UID) {
		return Envelope{}, &Problem{reasonBodyCheck, verbatim}
	}
	if !ok {
		return Envelope{}, bad("uid")
	}
	return Envelope{CName: *b.CName, UIDText: *b.UID, UID: uid, Options: b.Options}, nil
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
