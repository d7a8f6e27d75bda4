package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tapedeck/internal/hls"
)

// certificateForm is how an app certificate is written: its 32 characters are
// the key as they stand (behaviour.md 8).
var certificateForm = regexp.MustCompile(`^[0-9A-Fa-f]{32}$`)

type complain func(key, format string, args ...any)

// Validate reports every mistake of a single app at once.
func (p App) Validate() error {
	var errs []error
	validateApp("app", p, map[string]bool{}, func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	})
	return errors.Join(errs...)
}

// maxOutputs is how many live outputs an app may be allowed: each is one more
// stream that the node sends.
const maxOutputs = 5

func validateApp(at string, p App, seen map[string]bool, bad complain) {
	if p.ID == "" || seen[p.ID] {
		bad(at+".id", "is empty or used twice")
	}
	seen[p.ID] = true
	if strings.Contains(p.ID, "/") {
		bad(at+".id", "%q has a slash: it could not be called", p.ID)
	}
	for _, m := range p.Modes {
		if !slices.Contains([]string{"individual", "mix", "web", "raw"}, m) {
			bad(at+".modes", "%q is none of individual, mix, web, raw", m)
		}
	}
	for _, n := range []int{p.Quota, p.Quotas.Individual, p.Quotas.Mix, p.Quotas.Web, p.MaxOutputs} {
		if n < 0 {
			bad(at, "quotas and max_outputs cannot be below zero")
			break
		}
	}
	if p.MaxOutputs > maxOutputs {
		bad(at+".max_outputs", "is at most %d", maxOutputs)
	}
	validateRooms(at, p, bad)
	if c := p.Token.Certificate; c != "" && !certificateForm.MatchString(c) {
		bad(at+".token.certificate", "must be 32 hex digits")
	}
	validateWebhooks(at, p.Webhooks, bad)
	validateStorage(at+".storage", p.Storage, bad)
	validateHLS(at+".hls", p.HLS, bad)
}

func validateHLS(at string, h HLS, bad complain) {
	if !h.Encrypt {
		if h != (HLS{}) {
			bad(at+".encrypt", "is off although other keys of hls are set")
		}
		return
	}
	if b, err := hex.DecodeString(h.Secret); err != nil || h.Secret != "" && len(b) != 32 {
		bad(at+".secret", "must be 64 hex digits, such as `openssl rand -hex 32` prints")
	}
	switch {
	case (h.KeyURI == "") == !h.KeyFile:
		bad(at, "either key_uri or key_file says how players get keys")
	case h.KeyURI != "" && h.Secret == "":
		bad(at+".secret", "is needed where a key server hands the keys out: it makes them from it")
	case h.KeyURI != "":
		if err := hls.CheckURI(h.KeyURI); err != nil {
			bad(at+".key_uri", "%v", err)
		}
	}
}

func validateRooms(at string, p App, bad complain) {
	if len(p.Regions) == 0 || p.LiveKit.URL != "" {
		validateRoom(at+".livekit", p.LiveKit, bad)
	}
	for region, r := range p.Regions {
		if !slices.Contains([]string{"CN", "AP", "EU", "NA"}, region) {
			bad(at+".regions", "%q is none of CN, AP, EU, NA", region)
		}
		validateRoom(at+".regions."+region, r.Or(p.LiveKit), bad)
	}
}

func validateRoom(at string, r Room, bad complain) {
	if u, err := url.Parse(r.URL); err != nil || (u.Scheme != "ws" && u.Scheme != "wss") || u.Host == "" {
		bad(at+".url", "%q is not a ws:// or wss:// address", r.URL)
	}
	if r.Key == "" || r.Secret == "" {
		bad(at, "key and secret are needed to join rooms")
	}
}

func validateStorage(at string, s Storage, bad complain) {
	for vendor, e := range s.Endpoints {
		if n, err := strconv.Atoi(vendor); vendor != "*" && (err != nil || n < 0 || n > 11) {
			bad(at+".endpoints", "%q is no vendor number", vendor)
		}
		u, err := url.Parse(e)
		local := err == nil && u.Scheme == "file" && u.Host == "" && len(u.Path) > 1
		remote := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
		if !local && !remote {
			bad(at+".endpoints."+vendor, "%q is neither http(s)://host[:port] nor file:///folder", e)
		}
	}
	for _, h := range s.Hosts {
		name := strings.TrimPrefix(h, "*.")
		if name == "" || strings.ContainsAny(name, "*/ \t") || strings.Contains(name, "://") {
			bad(at+".hosts", "%q is no host name: write storage.example.com or *.example.com", h)
		}
	}
}
