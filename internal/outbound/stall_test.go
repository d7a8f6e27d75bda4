package outbound

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// TestStall: a peer that reads nothing ends the write; one that reads slowly
// does not.
func TestStall(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	dial := stallGuard(&net.Dialer{}, 100*time.Millisecond)
	c, err := dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = peer.Close() }()

	// A writer that is never waiting for long: the peer takes everything.
	total := 4 << 20
	read := make(chan int)
	go func() {
		n, buf := 0, make([]byte, 64<<10)
		for n < total {
			m, err := peer.Read(buf)
			n += m
			if err != nil {
				break
			}
		}
		read <- n
	}()
	if n, err := c.Write(make([]byte, total)); err != nil || n != total {
		t.Fatal(n, err)
	}
	if n := <-read; n != total {
		t.Fatal(n)
	}
	// Now nobody reads any more: more than all buffers hold cannot be written.
	if n, err := c.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes written, %v", n, err)
	}
}
