package outbound_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/outbound"
)

func TestCheck(t *testing.T) {
	refused := []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255",
		"127.0.0.1", "127.1.2.3", "168.63.129.16", "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255",
		"192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.7", "203.0.113.9",
		"224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::7f00:1",
		"64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1",
		"2002:0a00:0001::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
	}
	permitted := []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "126.255.255.255", "128.0.0.1",
		"172.15.255.255", "172.32.0.1", "192.0.1.1", "192.167.255.255", "192.169.0.1", "198.17.255.255", "198.20.0.1", "223.255.255.255",
		"::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2600:1f18::1", "2a00:1450::1", "2001:4860:4860::8888",
	}
	var p outbound.Policy
	for _, a := range refused {
		if err := p.Check(netip.MustParseAddr(a)); !errors.Is(err, outbound.ErrRefused) {
			t.Errorf("%s: %v", a, err)
		}
	}
	for _, a := range permitted {
		if err := p.Check(netip.MustParseAddr(a)); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	if err := p.Check(netip.Addr{}); !errors.Is(err, outbound.ErrRefused) {
		t.Errorf("no address: %v", err)
	}
	if err := (outbound.Policy{Trusted: true}).Check(netip.MustParseAddr("127.0.0.1")); err != nil {
		t.Errorf("trusted: %v", err)
	}
}

func TestAllow(t *testing.T) {
	p := outbound.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd12::/16")}}
	for addr, ok := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "fd12::5": true, "8.8.8.8": true,
		"10.2.0.1": false, "127.0.0.1": false, "fd13::1": false, "64:ff9b::10.1.2.3": false,
	} {
		if err := p.Check(netip.MustParseAddr(addr)); (err == nil) != ok {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

// server counts connections, to prove that none was made.
func server(t *testing.T, h http.HandlerFunc) (url string, connections func() int) {
	t.Helper()
	n := make(chan struct{}, 100)
	s := httptest.NewUnstartedServer(h)
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			n <- struct{}{}
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s.URL, func() int { return len(n) }
}

// TestConnect: the check is made on the address that is connected to. A name
// that resolves to loopback is refused like the literal.
func TestConnect(t *testing.T) {
	url, connections := server(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "in") })
	port := url[strings.LastIndexByte(url, ':'):]
	var strict outbound.Policy
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"} {
		_, err := strict.Client(5 * time.Second).Get("http://" + host + port)
		if !errors.Is(err, outbound.ErrRefused) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if _, err := strict.Dialer().Dial("unix", "/nowhere/socket"); !errors.Is(err, outbound.ErrRefused) {
		t.Errorf("unix socket: %v", err)
	}
	if n := connections(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
	open := outbound.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	resp, err := open.Client(5 * time.Second).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if b, _ := io.ReadAll(resp.Body); string(b) != "in" {
		t.Errorf("got %q", b)
	}
}

// TestProxy: a proxy of the environment is not used; it would connect for us.
func TestProxy(t *testing.T) {
	url, connections := server(t, func(http.ResponseWriter, *http.Request) {})
	t.Setenv("HTTP_PROXY", url)
	t.Setenv("HTTPS_PROXY", url)
	tr := (outbound.Policy{Trusted: true}).Transport()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://storage.invalid/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := tr.RoundTrip(req); err == nil {
		_ = resp.Body.Close()
		t.Error("an answer for a name that does not exist")
	}
	if n := connections(); n != 0 {
		t.Error("the proxy was used")
	}
}

func TestRedirects(t *testing.T) {
	inner, connections := server(t, func(http.ResponseWriter, *http.Request) {})
	outer, _ := server(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, inner, http.StatusTemporaryRedirect) })
	p := outbound.Policy{Trusted: true}
	if _, err := p.Client(5 * time.Second).Get(outer); !errors.Is(err, outbound.ErrRedirect) {
		t.Errorf("Client: %v", err)
	}
	resp, err := (&http.Client{Transport: outbound.Unredirected(p.Transport())}).Get(outer)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("Unredirected: %s", resp.Status)
	}
	if n := connections(); n != 0 {
		t.Error("a redirect was followed")
	}
}
