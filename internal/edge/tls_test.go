package edge

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
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
