package vendor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"syscall"

	"tapedeck/internal/outbound"
)

// Fault says who can make an upload work.
type Fault int

// Faults.
const (
	Ours        Fault = iota // this service or this machine
	Caller                   // credentials, bucket, rights, endpoint as the caller gave them
	Destination              // the store or the way to it; waiting may help
)

// String returns a word for logs.
func (f Fault) String() string {
	switch f {
	case Caller:
		return "caller"
	case Destination:
		return "destination"
	}
	return "ours"
}

// Codes of Error that callers look for.
const (
	CodeNoObject  = "NoSuchKey"
	CodeBadDigest = "BadDigest" // the bytes that arrived are not those of the checksum
)

// ErrNoObject: there is no object under that key.
var ErrNoObject = errors.New("no such object")

// Error is a failed call of a store.
type Error struct {
	Op    string // put, stat, get, list, delete, open
	Key   string
	Fault Fault
	Code  string // the store's own word, such as NoSuchBucket; may be ""
	Text  string // free of credentials, one line
	cause error
}

// Error tells what failed, whose fault it is and what the store said.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", e.Op)
	if e.Key != "" {
		fmt.Fprintf(&b, " %s", e.Key)
	}
	fmt.Fprintf(&b, ": fault of %s", e.Fault)
	if e.Code != "" {
		fmt.Fprintf(&b, ": %s", e.Code)
	}
	fmt.Fprintf(&b, ": %s", e.Text)
	return b.String()
}

// Is sees through to the cause. There is no Unwrap: the text of the cause may
// hold what was scrubbed from this one.
func (e *Error) Is(target error) bool { return errors.Is(e.cause, target) }

// NewError wraps cause. The secrets are removed from its text wherever they
// occur.
func NewError(op, key string, f Fault, code string, cause error, secrets ...string) *Error {
	return &Error{
		Op: op, Key: key, Fault: f, cause: cause,
		Code: clean(code, 64, secrets),
		Text: clean(cause.Error(), 400, secrets),
	}
}

// minSecret keeps an empty or trivial secret from blotting out the text.
const minSecret = 4

// clean makes text of a foreign server fit for a log line.
func clean(s string, limit int, secrets []string) string {
	for _, secret := range secrets {
		if len(secret) < minSecret {
			continue
		}
		s = strings.ReplaceAll(s, secret, "***")
		s = strings.ReplaceAll(s, url.QueryEscape(secret), "***")
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}

// FaultOf sorts any error of a Store. What is not known is ours, so that
// nobody is blamed for our bugs.
func FaultOf(err error) Fault {
	var e *Error
	if errors.As(err, &e) {
		return e.Fault
	}
	return Network(err)
}

// Network sorts errors that are no answer of a store: what the dialer, TLS and
// the connection report.
func Network(err error) Fault {
	var (
		netErr  net.Error
		opErr   *net.OpError
		pathErr *fs.PathError
		certErr *tls.CertificateVerificationError
		urlErr  *url.Error
	)
	switch {
	case errors.Is(err, context.Canceled):
		return Ours
	case errors.Is(err, outbound.ErrRefused), errors.Is(err, outbound.ErrRedirect):
		return Caller
	case errors.As(err, &pathErr):
		return Ours
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.EADDRNOTAVAIL):
		return Ours // out of descriptors or ports
	case errors.As(err, &certErr), errors.As(err, &opErr), errors.As(err, &netErr), errors.As(err, &urlErr),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.DeadlineExceeded):
		return Destination
	}
	return Ours
}

// Code returns the store's word of a failed call, or "".
func Code(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
