package embedded

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/testkit/publish"
)

const secret = "0123456789abcdef0123456789abcdef"

func serve(t *testing.T, o Options) *Server {
	t.Helper()
	o.Key, o.Secret = "key", secret
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s
}

func join(t *testing.T, s *Server) error {
	t.Helper()
	token, err := publish.Token("key", secret, "room", "1", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	p, err := publish.Join(ctx, s.URL(), token, publish.Spec{})
	if err == nil {
		p.Leave()
	}
	return err
}

func TestServerListensOnLoopbackOnly(t *testing.T) {
	before := sockets(t)
	log := slog.Default()
	s := serve(t, Options{})
	found := 0
	for inode, addr := range sockets(t) {
		if _, old := before[inode]; old {
			continue
		}
		found++
		if !strings.HasPrefix(addr, "127.0.0.1:") {
			t.Errorf("the server listens on %s", addr)
		}
	}
	if found < 3 {
		t.Errorf("%d new sockets found, want HTTP, media and TURN", found)
	}
	if err := join(t, s); err != nil {
		t.Error(err)
	}
	if slog.Default() != log {
		t.Error("the server replaced slog's default logger")
	}
}

func TestServerComesBackOnItsPort(t *testing.T) {
	s := serve(t, Options{})
	port := s.Port()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Errorf("second Stop: %v", err)
	}
	again := serve(t, Options{Port: port})
	if again.URL() != s.URL() {
		t.Errorf("URL is %s, was %s", again.URL(), s.URL())
	}
	if err := join(t, again); err != nil {
		t.Error(err)
	}
}

func TestTakenPortIsReported(t *testing.T) {
	s := serve(t, Options{})
	_, err := Start(t.Context(), Options{Port: s.Port(), Key: "key", Secret: secret})
	if err == nil || !strings.Contains(err.Error(), "configure another one") {
		t.Errorf("error is %v", err)
	}
}

func TestTakenMediaPortIsReported(t *testing.T) {
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_, err = Start(t.Context(), Options{UDPPort: c.LocalAddr().(*net.UDPAddr).Port, Key: "key", Secret: secret})
	if err == nil || !strings.Contains(err.Error(), "configure another one") {
		t.Errorf("error is %v", err)
	}
}

func TestShortSecretIsRefused(t *testing.T) {
	if _, err := Start(t.Context(), Options{Key: "k", Secret: "short"}); err == nil {
		t.Error("no error")
	}
}

// sockets lists the local addresses of this process's TCP listeners and UDP
// sockets by inode, from /proc (proc(5)).
func sockets(t *testing.T) map[string]string {
	t.Helper()
	ours := map[string]bool{}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc here")
	}
	for _, fd := range fds {
		if to, err := os.Readlink(filepath.Join("/proc/self/fd", fd.Name())); err == nil {
			if inode, ok := strings.CutPrefix(to, "socket:["); ok {
				ours[strings.TrimSuffix(inode, "]")] = true
			}
		}
	}
	found := map[string]string{}
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		f, err := os.Open("/proc/self/net/" + table)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			w := strings.Fields(lines.Text())
			const listen = "0A"
			if len(w) < 10 || !ours[w[9]] || strings.HasPrefix(table, "tcp") && w[3] != listen {
				continue
			}
			found[w[9]] = address(t, w[1])
		}
		_ = f.Close()
	}
	return found
}

// address reads "0100007F:1F90": bytes of the address in host order.
func address(t *testing.T, s string) string {
	t.Helper()
	host, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if _, err := fmt.Sscanf(port, "%X", &n); err != nil {
		t.Fatal(err)
	}
	if len(b) != 4 {
		return fmt.Sprintf("[%s]:%d", host, n)
	}
	return fmt.Sprintf("%s:%d", net.IPv4(b[3], b[2], b[1], b[0]), n)
}
