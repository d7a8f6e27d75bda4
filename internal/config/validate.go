package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
)

// secretForm is how a secret is written down: never in clear.
var secretForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Validate reports every mistake at once; each line names the key and says
// what to change.
func (c Config) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	if c.Data == "" {
		bad("data", "is empty; name a folder")
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		bad("listen", "%q is not host:port", c.Listen)
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		bad("log.level", "%q is none of debug, info, warn, error", c.Log.Level)
	}
	if !slices.Contains([]string{"text", "json"}, c.Log.Format) {
		bad("log.format", "%q is neither text nor json", c.Log.Format)
	}
	if !slices.Contains([]int{1, 3, 5}, c.NATS.Replicas) {
		bad("nats.replicas", "%d is none of 1, 3, 5", c.NATS.Replicas)
	}
	if c.NATS.URL == "" && c.NATS.Replicas != 1 {
		bad("nats.replicas", "the embedded server has one copy; give nats.url for more")
	}
	if !slices.Contains([]string{"", "s1", "high"}, c.Mix.Quality) {
		bad("mix.quality", "%q is neither s1 nor high", c.Mix.Quality)
	}
	if c.Mix.MP4Length != 0 && c.Mix.MP4Length < time.Minute {
		bad("mix.mp4_length", "%v is less than a minute", c.Mix.MP4Length)
	}
	if !slices.Contains([]string{"", "finish", "leave"}, c.Node.OnStop) {
		bad("node.on_stop", "%q is neither finish nor leave", c.Node.OnStop)
	}
	if !slices.Contains([]string{"", "CN", "AP", "EU", "NA"}, c.Node.Region) {
		bad("node.region", "%q is none of CN, AP, EU, NA", c.Node.Region)
	}
	for i, a := range c.Egress.Allow {
		if _, err := netip.ParsePrefix(a); err != nil {
			bad(fmt.Sprintf("egress.allow[%d]", i), "%q is not a CIDR range such as 10.0.0.0/8", a)
		}
	}
	for i, a := range c.WebhookSources {
		if _, err := netip.ParseAddr(a); err != nil {
			bad(fmt.Sprintf("webhook_sources[%d]", i), "%q is not an IP address", a)
		}
	}
	c.validateEdge(bad)
	c.validateStorage(bad)
	c.validateAccounts(bad)
	return errors.Join(errs...)
}

func (c Config) validateAccounts(bad complain) {
	customers, apps := map[string]bool{}, map[string]bool{}
	for i, a := range c.Accounts {
		at := fmt.Sprintf("accounts[%d]", i)
		if customers[a.CustomerID] {
			bad(at+".customer_id", "is used twice")
		}
		customers[a.CustomerID] = true
		a.validate(at, apps, bad)
	}
}

// Validate reports every mistake of a single account at once.
func (a Account) Validate() error {
	var errs []error
	a.validate("account", map[string]bool{}, func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	})
	return errors.Join(errs...)
}

func (a Account) validate(at string, apps map[string]bool, bad complain) {
	if a.CustomerID == "" || strings.Contains(a.CustomerID, ":") {
		bad(at+".customer_id", "is empty or has a colon, which a user name of Basic authentication cannot have")
	}
	if a.Rate < 0 {
		bad(at+".rate", "is below zero")
	}
	if len(a.Secrets) == 0 || len(a.Secrets) > 2 {
		bad(at+".secrets", "needs one or two entries; `tapedeck keygen` makes them")
	}
	for j, s := range a.Secrets {
		if !secretForm.MatchString(s) {
			bad(fmt.Sprintf("%s.secrets[%d]", at, j), "must be sha256:<64 hex digits>; `tapedeck keygen` prints one")
		}
	}
	for j, p := range a.Apps {
		validateApp(fmt.Sprintf("%s.apps[%d]", at, j), p, apps, bad)
	}
}

// validateEdge checks how callers reach the API.
func (c Config) validateEdge(bad complain) {
	switch {
	case c.TLS.On() && (c.TLS.Cert == "" || c.TLS.Key == ""):
		bad("tls", "cert and key are needed together")
	case !c.TLS.On() && !c.PlainHTTP():
		bad("listen", "%s would speak HTTP in the clear beyond this machine: give tls.cert and tls.key, or set http.plain behind a proxy that ends TLS", c.Listen)
	}
	if !slices.Contains([]string{"1.2", "1.3"}, c.TLS.MinVersion) {
		bad("tls.min_version", "%q is neither 1.2 nor 1.3", c.TLS.MinVersion)
	}
	if c.HTTP.Connections < 1 {
		bad("http.max_connections", "%d is too few", c.HTTP.Connections)
	}
	for _, t := range []struct {
		key   string
		d     time.Duration
		least time.Duration
	}{
		{"header_timeout", c.HTTP.HeaderTimeout, time.Millisecond}, {"read_timeout", c.HTTP.ReadTimeout, time.Millisecond},
		{"write_timeout", c.HTTP.WriteTimeout, 25 * time.Second}, {"idle_timeout", c.HTTP.IdleTimeout, time.Millisecond},
	} {
		if t.d < t.least {
			bad("http."+t.key, "%v is less than %v", t.d, t.least)
		}
	}
}
