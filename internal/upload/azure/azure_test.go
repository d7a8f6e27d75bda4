package azure

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tapedeck/internal/outbound"
	"tapedeck/internal/upload/vendor"
)

var key = base64.StdEncoding.EncodeToString([]byte("a key of an account 0123456789"))

func good() Config {
	return Config{
		Endpoint: "https://account1.blob.core.windows.net", Account: "account1", Key: key, Container: "recordings",
		Transport: outbound.Policy{}.Transport(),
	}
}

func TestNew(t *testing.T) {
	if _, err := New(good()); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"no account":       func(c *Config) { c.Account = "" },
		"another's host":   func(c *Config) { c.Account = "a.evil.example/" },
		"capitals":         func(c *Config) { c.Account = "Account1" },
		"no key":           func(c *Config) { c.Key = "" },
		"key not Base64":   func(c *Config) { c.Key = "not Base64!" },
		"no container":     func(c *Config) { c.Container = "" },
		"a path":           func(c *Config) { c.Container = "../other" },
		"another endpoint": func(c *Config) { c.Endpoint = "file:///etc" },
		"credentials":      func(c *Config) { c.Endpoint = "https://u:p@host" },
	} {
		cfg := good()
		change(&cfg)
		_, err := New(cfg)
		if err == nil || vendor.FaultOf(err) != vendor.Caller || strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", good(), good(), good()); strings.Contains(s, key) {
		t.Errorf("printed: %s", s)
	}
}

func TestURL(t *testing.T) {
	s, err := New(good())
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"d1/d2/a.ts": "/recordings/d1/d2/a.ts", "a b?c#d%e.ts": "/recordings/a%20b%3Fc%23d%25e.ts", "频.ts": "/recordings/%E9%A2%91.ts",
	} {
		if got := s.url(key); got != "https://account1.blob.core.windows.net"+want {
			t.Errorf("%s: %s", key, got)
		}
	}
}

func TestFaultOf(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		want   vendor.Fault
	}{
		{http.StatusForbidden, "AuthenticationFailed", vendor.Caller},
		{http.StatusNotFound, "ContainerNotFound", vendor.Caller},
		{http.StatusConflict, "AccountIsDisabled", vendor.Caller},
		{http.StatusTemporaryRedirect, "", vendor.Caller},
		{http.StatusServiceUnavailable, "ServerBusy", vendor.Destination},
		{http.StatusInternalServerError, "OperationTimedOut", vendor.Destination},
		{http.StatusBadRequest, vendor.CodeBadDigest, vendor.Destination},
		{http.StatusBadRequest, "InvalidBlockList", vendor.Destination},
		{http.StatusTooManyRequests, "", vendor.Destination},
		{http.StatusRequestEntityTooLarge, "RequestBodyTooLarge", vendor.Ours},
		{http.StatusBadRequest, "UnsupportedHeader", vendor.Ours},
	} {
		if got := faultOf(c.status, c.code); got != c.want {
			t.Errorf("%d %s: %s, want %s", c.status, c.code, got, c.want)
		}
	}
}

// TestPolicy: an account whose name leads inside is not reached, and it is the
// caller's fault.
func TestPolicy(t *testing.T) {
	cfg := good()
	cfg.Endpoint = "http://127.0.0.1:1/account1"
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Put(t.Context(), vendor.Object{Key: "k.ts", Size: 1}, strings.NewReader("x"))
	if !errors.Is(err, outbound.ErrRefused) || vendor.FaultOf(err) != vendor.Caller {
		t.Errorf("put: %v", err)
	}
	err = s.List(t.Context(), "", func(vendor.Info) bool { return true })
	if !errors.Is(err, outbound.ErrRefused) {
		t.Errorf("list: %v", err)
	}
	if err != nil && strings.Contains(err.Error(), "sig=") {
		t.Errorf("a signed address is told: %v", err)
	}
}
