package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
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
	c.validateAccounts(bad)
	return errors.Join(errs...)
}

func (c Config) validateAccounts(bad func(key, format string, args ...any)) {
	customers, apps := map[string]bool{}, map[string]bool{}
	for i, a := range c.Accounts {
		at := fmt.Sprintf("accounts[%d]", i)
		if a.CustomerID == "" || customers[a.CustomerID] {
			bad(at+".customer_id", "is empty or used twice")
		}
		customers[a.CustomerID] = true
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
}
