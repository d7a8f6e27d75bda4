package config

import (
	"fmt"
	"net/url"
	"slices"
	"time"
)

// Webhook is an address that is told what happens to an app's recordings
// (docs/ops/webhooks.md).
type Webhook struct {
	URL         string        `koanf:"url" json:"url"`                             // https://...
	Secrets     []string      `koanf:"secrets" json:"secrets"`                     // one, or two while they are being exchanged
	Events      []int         `koanf:"events" json:"events,omitempty"`             // event types; empty: all but 13
	CloudEvents bool          `koanf:"cloud_events" json:"cloud_events,omitempty"` // CloudEvents 1.0 instead of the plain form
	Concurrency int           `koanf:"concurrency" json:"concurrency,omitempty"`   // requests at a time; 0: 16
	AllowHTTP   bool          `koanf:"allow_http" json:"allow_http,omitempty"`     // plain http is permitted
	RetryFor    time.Duration `koanf:"retry_for" json:"retry_for,omitempty"`       // how long an event is tried; 0: 24 h
}

// String names the webhook without its secrets.
func (w Webhook) String() string {
	u, err := url.Parse(w.URL)
	if err != nil {
		return "a webhook"
	}
	return "webhook " + u.Scheme + "://" + u.Host + u.EscapedPath()
}

// GoString keeps the secrets out of %#v as well.
func (w Webhook) GoString() string { return w.String() }

func validateWebhooks(at string, all []Webhook, bad func(key, format string, args ...any)) {
	seen := map[string]bool{}
	for i, w := range all {
		key := fmt.Sprintf("%s.webhooks[%d]", at, i)
		u, err := url.Parse(w.URL)
		switch {
		case err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || (u.Scheme != "https" && u.Scheme != "http"):
			bad(key+".url", "is not https://host[:port]/path, without user and fragment")
		case u.Scheme == "http" && !w.AllowHTTP:
			bad(key+".url", "is plain http: use https, or set allow_http")
		case seen[w.URL]:
			bad(key+".url", "is there twice")
		}
		seen[w.URL] = true
		if len(w.Secrets) < 1 || len(w.Secrets) > 2 || slices.Contains(w.Secrets, "") {
			bad(key+".secrets", "needs one entry, two while they are being exchanged")
		}
		if w.Concurrency < 0 || w.Concurrency > 256 {
			bad(key+".concurrency", "%d is not between 1 and 256", w.Concurrency)
		}
		if w.RetryFor < 0 || w.RetryFor > 24*time.Hour {
			bad(key+".retry_for", "%v is not between 0 and 24h", w.RetryFor)
		}
	}
}
