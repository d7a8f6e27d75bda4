// Package rtctoken verifies the tokens that let a user join a channel: Agora
// AccessToken 006 and 007 (spec/behaviour.md 8) and the JWT of LiveKit. Tokens
// come from callers: nothing in them is trusted before the signature was checked,
// and the error never quotes them.
package rtctoken

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"time"
)

// The two things that can be wrong with a token. Errors wrap one of them.
var (
	// ErrExpired: the token was good once (code 109).
	ErrExpired = errors.New("rtctoken: the token has expired")
	// ErrInvalid: the token is malformed, or was made for another app, channel,
	// user or certificate (code 110).
	ErrInvalid = errors.New("rtctoken: the token is not valid here")
)

// Want is what a token has to be good for.
type Want struct {
	AppID       string
	Certificate string // of the app, 32 characters; "" = no Agora token is valid
	Channel     string
	UID         uint32
	Keys        []Key // of the app's LiveKit servers; none = no JWT is valid
	Now         time.Time
}

// Key is a key pair of a LiveKit server.
type Key struct{ ID, Secret string }

// maxText bounds what is looked at: real tokens have less than 1 KB.
const maxText = 8 << 10

// joinChannel is the privilege that a recorder needs.
const joinChannel = 1

// Verify checks a token in any of the known forms. The error wraps ErrExpired or
// ErrInvalid and says what is wrong. A token that is both is invalid.
func Verify(token string, w Want) error {
	switch {
	case token == "":
		return invalid("there is none")
	case len(token) > maxText:
		return invalid("it is too long")
	case strings.HasPrefix(token, "006"):
		return verify006(token[3:], w)
	case strings.HasPrefix(token, "007"):
		return verify007(token[3:], w)
	case strings.Count(token, ".") == 2:
		return verifyJWT(token, w)
	}
	return invalid("its form is unknown")
}

// verdict is an error that says more than its kind.
type verdict struct {
	kind error
	what string
}

func (v *verdict) Error() string { return v.kind.Error() + ": " + v.what }
func (v *verdict) Unwrap() error { return v.kind }

func invalid(what string) error { return &verdict{ErrInvalid, what} }
func expired(what string) error { return &verdict{ErrExpired, what} }

// uidText is how tokens name the user; the recorder's is never 0.
func (w Want) uidText() string { return strconv.FormatUint(uint64(w.UID), 10) }

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		_, _ = h.Write(p) // never fails
	}
	return h.Sum(nil)
}

// reader takes little-endian numbers and length-prefixed strings off a message.
// After the first step beyond the end, everything it returns is zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.b, r.bad = nil, true
		return make([]byte, min(n, 4))
	}
	head := r.b[:n]
	r.b = r.b[n:]
	return head
}

func (r *reader) u16() uint16 { return binary.LittleEndian.Uint16(r.take(2)) }
func (r *reader) u32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }
func (r *reader) str() []byte { return r.take(int(r.u16())) }

// privileges reads a map of privileges and returns the time of one of them.
func (r *reader) privileges(want uint16) (value uint32, there bool) {
	for n := int(r.u16()); n > 0 && !r.bad; n-- {
		id, v := r.u16(), r.u32()
		if id == want && !r.bad {
			value, there = v, true
		}
	}
	return value, there
}
