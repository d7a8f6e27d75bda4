package app

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/config"
)

// certify writes a certificate for loopback and its key.
func certify(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &priv.PublicKey, priv)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// The whole service over TLS, with clients that are slow, large and many.
func TestServiceOverTLS(t *testing.T) {
	cert, key := certify(t, t.TempDir())
	c := newCluster(t)
	a := c.add(func(cfg *config.Config) {
		cfg.TLS.Cert, cfg.TLS.Key = cert, key
		cfg.HTTP.Connections, cfg.HTTP.HeaderTimeout, cfg.HTTP.ReadTimeout = 30, 500*time.Millisecond, 500*time.Millisecond
		cfg.Accounts = []config.Account{schoolAccount(func(a *config.Account) { a.Rate = 1000 })}
	})
	pem, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	trust := &tls.Config{RootCAs: roots}
	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: trust}}
	defer client.CloseIdleConnections()
	call := func(body string) (int, string) {
		t.Helper()
		r, err := http.NewRequest(http.MethodPost, "https://"+a.Addr()+"/v1/apps/lessons/cloud_recording/acquire", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(goodCID, goodKey)
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		raw, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(raw)
	}
	const good = `{"cname":"room","uid":"7","clientRequest":{}}`
	if status, text := call(good); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	for range 60 { // connect and say nothing
		hold, err := net.Dial("tcp", a.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = hold.Close() }()
	}
	if status, text := call(good); status != 200 {
		t.Errorf("among holders: %d %s", status, text)
	}
	if status, text := call(good + strings.Repeat(" ", 1<<20)); status != 400 || !strings.Contains(text, `"code":8`) {
		t.Errorf("a body of 1 MB: %d %s", status, text)
	}
	slow, err := tls.Dial("tcp", a.Addr(), trust)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Close() }()
	_, _ = fmt.Fprintf(slow, "POST /v1/apps/lessons/cloud_recording/acquire HTTP/1.1\r\nHost: x\r\nAuthorization: Basic c2Nob29sOjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm\r\nContent-Length: %d\r\n\r\n{", len(good))
	_ = slow.SetReadDeadline(time.Now().Add(30 * time.Second))
	answer := bufio.NewReader(slow)
	if line, err := answer.ReadString('\n'); err == nil && !strings.Contains(line, " 400 ") {
		t.Errorf("a body that never ends is answered %q", line)
	}
	if _, err := io.Copy(io.Discard, answer); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a client that is too slow is not cut off")
	}
}
