package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"
)

// Limits and defaults of endpoints.
const (
	DefaultConcurrency = 16
	MaxConcurrency     = 256
	MaxRetryFor        = 24 * time.Hour
)

// Endpoint is where the events of an app go.
type Endpoint struct {
	App         string
	URL         string        // https, or http with AllowHTTP
	Secrets     []string      // one, or two while they are being exchanged: the first signs the documented headers
	Events      []Type        // which; empty: all but 13
	CloudEvents bool          // the form of CloudEvents 1.0 instead of the plain one
	Concurrency int           // requests at a time; 0: DefaultConcurrency
	AllowHTTP   bool          // plain http is permitted
	RetryFor    time.Duration // how long an event is tried; 0: MaxRetryFor. Four times in any case
}

// ID names the endpoint in the ledger. It is the same on all nodes and stays
// when anything but the app and the address changes.
func (e Endpoint) ID() string {
	h := sha256.Sum256([]byte(e.App + "\n" + e.URL))
	return hex.EncodeToString(h[:8])
}

// Wants reports whether events of this type go to the endpoint.
func (e Endpoint) Wants(t Type) bool {
	if len(e.Events) == 0 {
		return t != TypeSessionRegistered
	}
	return slices.Contains(e.Events, t)
}

// Place is the address without what may be secret in it, for logs.
func (e Endpoint) Place() string {
	u, err := url.Parse(e.URL)
	if err != nil {
		return "an address that cannot be read"
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath()
}

// Validate says what an operator has to change.
func (e Endpoint) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	u, err := url.Parse(e.URL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		bad("url: it must be https://host[:port]/path, without user and fragment")
	case u.Scheme == "http" && !e.AllowHTTP:
		bad("url: it is plain http; use https, or set allow_http")
	case u.Scheme != "http" && u.Scheme != "https":
		bad("url: %q is no scheme for webhooks; use https", u.Scheme)
	}
	if len(e.Secrets) < 1 || len(e.Secrets) > 2 || slices.Contains(e.Secrets, "") {
		bad("secrets: one is needed, two while they are being exchanged")
	}
	for _, t := range e.Events {
		if !t.Known() {
			bad("events: there is no event type %d (docs/api/events.md)", t)
		}
	}
	if e.Concurrency < 0 || e.Concurrency > MaxConcurrency {
		bad("concurrency: %d is not between 1 and %d", e.Concurrency, MaxConcurrency)
	}
	if e.RetryFor < 0 || e.RetryFor > MaxRetryFor {
		bad("retry_for: %v is not between 0 and %v", e.RetryFor, MaxRetryFor)
	}
	return errors.Join(errs...)
}

func (e Endpoint) concurrency() int {
	if e.Concurrency == 0 {
		return DefaultConcurrency
	}
	return e.Concurrency
}

// specTries are the attempts that an event gets in any case (events.md 3).
const specTries = 4

// pause returns how long to wait after the given number of failed attempts
// (1, 2, ...). The first retry comes at once and later ones ever later: the
// published policy; the figures are ours.
func pause(failed int) time.Duration {
	steps := [...]time.Duration{
		0, 3 * time.Second, 10 * time.Second,
		30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute,
	}
	if failed > len(steps) {
		return 15 * time.Minute
	}
	return steps[max(failed, 1)-1]
}

// giveUp reports whether an event that was put into the outbox at since and
// has failed so often is not tried again.
func (e Endpoint) giveUp(failed int, since, now time.Time) bool {
	horizon := e.RetryFor
	if horizon == 0 {
		horizon = MaxRetryFor
	}
	return failed >= specTries && now.Add(pause(failed)).Sub(since) > horizon
}
