package upload_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"tapedeck/internal/testkit/mounts"
)

// storeName is a name that only a names server knows.
const storeName = "store.tapedeck.test"

// resolvEnv names the resolv.conf that a shipper of the tests has instead of the
// machine's.
const resolvEnv = "TAPEDECK_SHIP_RESOLV"

// names is a name server that may go away.
type names struct {
	t    *testing.T
	gone atomic.Bool
	conf string
}

func newNames(t *testing.T) *names {
	t.Helper()
	const address = "127.53.0.7"
	c, err := net.ListenPacket("udp", address+":53")
	if err != nil || os.Getuid() != 0 {
		t.Skipf("a name server needs port 53 and mounts need root: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	n := &names{t: t, conf: filepath.Join(t.TempDir(), "resolv.conf")}
	if err := os.WriteFile(n.conf, []byte("nameserver "+address+"\noptions timeout:1 attempts:1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		b := make([]byte, 512)
		for {
			size, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			if reply := n.reply(b[:size]); reply != nil {
				_, _ = c.WriteTo(reply, from)
			}
		}
	}()
	return n
}

// reply answers one question (RFC 1035 4.1): an A record of loopback, or, when
// the names are gone, that the server has failed.
func (n *names) reply(q []byte) []byte {
	end := 12
	for end < len(q) && q[end] != 0 {
		end += int(q[end]) + 1
	}
	if end+5 > len(q) {
		return nil
	}
	kind := q[end+2]
	out := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, q[12:end+5]...)
	switch {
	case n.gone.Load():
		out[3] |= 2 // SERVFAIL
	case kind == 1: // A
		out[7] = 1
		out = append(out, 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1)
	}
	return out
}

// env has a shipper ask this server.
func (n *names) env() []string { return []string{resolvEnv + "=" + n.conf, "GODEBUG=netdns=go"} }

// useNames puts the resolv.conf that the environment names in the place of the
// machine's, for this process.
func useNames() error {
	conf := os.Getenv(resolvEnv)
	if conf == "" {
		return nil
	}
	if err := mounts.Private(); err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil {
		return fmt.Errorf("%w: %w", mounts.ErrNone, err)
	}
	if err := syscall.Mount(conf, real, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("%w: %w", mounts.ErrNone, err)
	}
	return nil
}
