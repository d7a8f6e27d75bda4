package edge

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// forever is longer than any of this takes on any machine.
const forever = 30 * time.Second

// echo answers with the body, or with more than any buffer holds.
func echo(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/large" {
		block := bytes.Repeat([]byte("x"), 1<<20)
		for range 256 {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<10))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	_, _ = w.Write(body)
}

func settings() Config {
	return Config{
		Listen: "127.0.0.1:0", MinVersion: tls.VersionTLS12, Connections: 100, MaxHeader: 8 << 10,
		HeaderTimeout: forever, ReadTimeout: forever, WriteTimeout: forever, IdleTimeout: forever,
		Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
}

func serve(t *testing.T, c Config) *Server {
	t.Helper()
	s, err := Open(c, http.HandlerFunc(echo))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	t.Cleanup(func() {
		_ = s.http.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

func dial(t *testing.T, s *Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(forever)); err != nil {
		t.Fatal(err)
	}
	return c
}

// ends reads until the server has closed the connection, and returns what came.
func ends(t *testing.T, c net.Conn) string {
	t.Helper()
	got, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection is still open after %v", forever)
	}
	return string(got)
}

// drip sends text over and over, one piece every now and then, until it cannot.
func drip(c net.Conn, piece string) {
	for {
		time.AfterFunc(20*time.Millisecond, func() { _ = c.SetReadDeadline(time.Now()) })
		one := make([]byte, 1)
		if _, err := c.Read(one); err == nil || errors.Is(err, io.EOF) {
			return
		}
		if _, err := io.WriteString(c, piece); err != nil {
			return
		}
	}
}

func TestSlowClientsAreCutOff(t *testing.T) {
	const short = 300 * time.Millisecond
	for name, x := range map[string]struct {
		set func(*Config)
		say func(c net.Conn)
	}{
		"says nothing": {func(c *Config) { c.HeaderTimeout = short }, func(net.Conn) {}},
		"half a head":  {func(c *Config) { c.HeaderTimeout = short }, func(c net.Conn) { _, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\n") }},
		"a head that never ends": {func(c *Config) { c.HeaderTimeout = short }, func(c net.Conn) {
			_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\n")
			drip(c, "X: y\r\n")
		}},
		"a body that never ends": {func(c *Config) { c.ReadTimeout = short }, func(c net.Conn) {
			_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
			drip(c, "x")
		}},
		"half a chunk": {func(c *Config) { c.ReadTimeout = short }, func(c net.Conn) {
			_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")
		}},
		"no next request": {func(c *Config) { c.IdleTimeout = short }, func(c net.Conn) { _, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := settings()
			x.set(&c)
			conn := dial(t, serve(t, c))
			x.say(conn)
			_ = conn.SetReadDeadline(time.Now().Add(forever))
			_ = ends(t, conn)
		})
	}
	t.Run("does not read its answer", func(t *testing.T) {
		t.Parallel()
		c := settings()
		c.WriteTimeout = short
		s := serve(t, c)
		conn := dial(t, s)
		_, _ = io.WriteString(conn, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
		// The server gives up although nothing is read: its side is gone.
		until := time.Now().Add(forever)
		for !alone(s) && time.Now().Before(until) {
			<-time.After(10 * time.Millisecond)
		}
		if !alone(s) {
			t.Error("the answer still holds its connection")
		}
	})
}

// alone reports whether the server has no connection.
func alone(s *Server) bool {
	g := s.listener.(*guarded).gate
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open == 0
}

func TestHeadIsBounded(t *testing.T) {
	conn := dial(t, serve(t, settings()))
	go func() {
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("y", 64<<10)+"\r\n\r\n")
	}()
	if got := ends(t, conn); got != "" && !strings.Contains(got, " 431 ") {
		t.Errorf("%.100q", got)
	}
}

// Clients that connect and hold on do not keep others out, however many they are.
func TestHoldersDoNotKeepOthersOut(t *testing.T) {
	c := settings()
	c.Connections = 20
	s := serve(t, c)
	var holders []net.Conn
	for i := range 60 {
		h := dial(t, s)
		if i%2 == 0 { // has had an answer
			_, _ = io.WriteString(h, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			if _, err := bufio.NewReader(h).ReadString('\n'); err != nil {
				t.Fatalf("holder %d: %v", i, err)
			}
		}
		holders = append(holders, h)
	}
	for i := range 30 {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: forever}
		res, err := client.Post("http://"+s.Addr().String(), "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
		_ = res.Body.Close()
	}
	g := s.listener.(*guarded).gate
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	if open > c.Connections {
		t.Errorf("%d connections are open, the limit is %d", open, c.Connections)
	}
	_ = ends(t, holders[0])
}

// When all connections have a request under way, one more is refused at once, and
// let in when one has ended.
func TestAllBusy(t *testing.T) {
	c := settings()
	c.Connections = 3
	s := serve(t, c)
	var busy []net.Conn
	for range c.Connections {
		b := dial(t, s)
		_, _ = io.WriteString(b, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe")
		busy = append(busy, b)
	}
	g := s.listener.(*guarded).gate
	wait(t, "all are busy", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.open == c.Connections && g.idle.Len() == 0
	})
	if got := ends(t, dial(t, s)); got != "" {
		t.Errorf("one too many was told %q", got)
	}
	_, _ = io.WriteString(busy[0], "llo")
	if line, err := bufio.NewReader(busy[0]).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Errorf("a busy one: %q, %v", line, err)
	}
	wait(t, "there is room again", func() bool {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: forever}
		res, err := client.Get("http://" + s.Addr().String())
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return true
	})
}

func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), forever)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
