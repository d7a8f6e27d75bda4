package edge

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
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

// pair writes a certificate for name and its key.
func pair(t *testing.T, dir, name string) (cert, key []byte) {
	t.Helper()
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"api.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &priv.PublicKey, priv)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	key = pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
	if dir != "" {
		write(t, filepath.Join(dir, "cert.pem"), cert)
		write(t, filepath.Join(dir, "key.pem"), key)
	}
	return cert, key
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// handshake returns the name on the certificate that the server shows.
func handshake(t *testing.T, s *Server, c *tls.Config) (string, error) {
	t.Helper()
	c.InsecureSkipVerify = true
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: forever}, "tcp", s.Addr().String(), c)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
}

// A renewed certificate is shown without a restart; files that do not fit together
// change nothing.
func TestCertificateIsReloaded(t *testing.T) {
	dir := t.TempDir()
	pair(t, dir, "first")
	var ahead atomic.Int64
	c := settings()
	c.Cert, c.Key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	s := serve(t, c)
	shows := func(want string) {
		t.Helper()
		ahead.Add(int64(2 * look))
		if got, err := handshake(t, s, &tls.Config{}); err != nil || got != want {
			t.Errorf("the server shows %q, %v, want %q", got, err, want)
		}
	}
	shows("first")
	cert, key := pair(t, "", "second")
	write(t, c.Cert, append(cert, '\n')) // of another size, whatever the clock of the files
	shows("first")
	write(t, c.Key, append(key, '\n'))
	shows("second")
	write(t, c.Cert, []byte("not a certificate"))
	shows("second")
	if err := os.Remove(c.Key); err != nil {
		t.Fatal(err)
	}
	shows("second")
	pair(t, dir, "third")
	shows("third")
}

func TestTLSVersions(t *testing.T) {
	dir := t.TempDir()
	pair(t, dir, "api")
	for least, versions := range map[uint16]map[uint16]bool{
		tls.VersionTLS12: {tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true},
		tls.VersionTLS13: {tls.VersionTLS12: false, tls.VersionTLS13: true},
	} {
		c := settings()
		c.Cert, c.Key, c.MinVersion = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), least
		s := serve(t, c)
		for v, want := range versions {
			if _, err := handshake(t, s, &tls.Config{MinVersion: v, MaxVersion: v}); (err == nil) != want {
				t.Errorf("%s at a least version of %s: %v", tls.VersionName(v), tls.VersionName(least), err)
			}
		}
	}
}

// The bounds hold below TLS as well, and nobody is served in the clear there.
func TestBoundsBelowTLS(t *testing.T) {
	dir := t.TempDir()
	pair(t, dir, "api")
	c := settings()
	c.Cert, c.Key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	c.Connections, c.HeaderTimeout = 5, 300*time.Millisecond
	s := serve(t, c)
	for range 10 {
		dial(t, s) // no handshake ever
	}
	_ = ends(t, dial(t, s)) // cut off in the middle of the handshake
	plain := dial(t, s)
	_, _ = io.WriteString(plain, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if got := ends(t, plain); strings.Contains(got, "200") {
		t.Errorf("served in the clear: %q", got)
	}
	client := http.Client{Timeout: forever, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			text := fmt.Sprint("call ", i)
			res, err := client.Post("https://"+s.Addr().String(), "text/plain", strings.NewReader(text))
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = res.Body.Close() }()
			if got, err := io.ReadAll(res.Body); err != nil || string(got) != text {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	wg.Wait()
}

func TestMissingCertificate(t *testing.T) {
	c := settings()
	c.Cert, c.Key = filepath.Join(t.TempDir(), "none.pem"), "none"
	if _, err := Open(c, http.HandlerFunc(echo)); err == nil || !strings.Contains(err.Error(), "none.pem") {
		t.Errorf("%v", err)
	}
}
