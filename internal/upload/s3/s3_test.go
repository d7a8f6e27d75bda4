package s3_test

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"tapedeck/internal/outbound"
	"tapedeck/internal/upload/s3"
	"tapedeck/internal/upload/vendor"
)

const (
	access = "ACCESSKEY0123456789"
	secret = "secret/key+0123456789"
	token  = "session-token-0123456789"
)

// capture answers like a bucket and keeps the requests. Whatever host a request
// is for, it arrives here.
type capture struct {
	requests []*http.Request
	bodies   []string
	answer   func(w http.ResponseWriter, r *http.Request)
	addr     string
}

func newCapture(t *testing.T) *capture {
	t.Helper()
	c := &capture{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		c.requests, c.bodies = append(c.requests, r), append(c.bodies, string(b))
		if c.answer != nil {
			c.answer(w, r)
			return
		}
		w.Header().Set("ETag", `"e1"`)
		if _, ok := r.URL.Query()["uploads"]; ok {
			_, _ = io.WriteString(w, `<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>`)
		}
		if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") {
			_, _ = io.WriteString(w, `<CompleteMultipartUploadResult><Bucket>bkt</Bucket><ETag>"e2"</ETag></CompleteMultipartUploadResult>`)
		}
	}))
	t.Cleanup(s.Close)
	c.addr = s.Listener.Addr().String()
	return c
}

// RoundTrip sends everything to the test's server, without TLS.
func (c *capture) RoundTrip(r *http.Request) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.Host = r.URL.Host
	out.URL.Scheme, out.URL.Host = "http", c.addr
	return http.DefaultTransport.RoundTrip(out)
}

func (c *capture) open(t *testing.T, cfg s3.Config) *s3.Store {
	t.Helper()
	cfg.AccessKey, cfg.SecretKey, cfg.Transport = access, secret, c
	if cfg.Region == "" {
		cfg.Region = "eu-west-1"
	}
	st, err := s3.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// TestRequests pins what goes over the wire: no chunk framing, a Content-MD5,
// the payload unsigned; every vendor takes that.
func TestRequests(t *testing.T) {
	body := "slice"
	sum := md5.Sum([]byte(body))
	for name, c := range map[string]struct {
		cfg     s3.Config
		host    string
		path    string
		headers map[string]string
	}{
		"virtual host": {
			s3.Config{Endpoint: "https://s3.eu-west-1.amazonaws.com", Bucket: "bkt", STSToken: token, SSE: "kms", Tag: "RETENTION_DAYS=30"},
			"bkt.s3.dualstack.eu-west-1.amazonaws.com", "/d1/a b.ts",
			map[string]string{
				"X-Amz-Security-Token": token, "X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Tagging": "RETENTION_DAYS=30",
			},
		},
		"path": {
			s3.Config{Endpoint: "http://storage.example:9000", Bucket: "bkt", PathStyle: true, SSE: "aes256"},
			"storage.example:9000", "/bkt/d1/a b.ts",
			map[string]string{"X-Amz-Server-Side-Encryption": "AES256", "X-Amz-Tagging": "", "X-Amz-Security-Token": ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := newCapture(t)
			etag, err := srv.open(t, c.cfg).Put(t.Context(), vendor.Object{Key: "d1/a b.ts", ContentType: "video/MP2T", Size: 5}, strings.NewReader(body))
			if err != nil || etag != "e1" || len(srv.requests) != 1 {
				t.Fatalf("etag %q, %v, %d requests", etag, err, len(srv.requests))
			}
			r := srv.requests[0]
			if r.Method != http.MethodPut || r.Host != c.host || r.URL.Path != c.path || srv.bodies[0] != body || r.ContentLength != 5 {
				t.Errorf("%s %s%s, body %q", r.Method, r.Host, r.URL.Path, srv.bodies[0])
			}
			want := map[string]string{
				"Content-Md5": base64.StdEncoding.EncodeToString(sum[:]), "Content-Type": "video/MP2T",
				"X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD", "Content-Encoding": "", "X-Amz-Trailer": "", "Transfer-Encoding": "",
			}
			maps.Copy(want, c.headers)
			for k, v := range want {
				if got := r.Header.Get(k); got != v {
					t.Errorf("%s: %q, want %q", k, got, v)
				}
			}
			if a := r.Header.Get("Authorization"); !strings.HasPrefix(a, "AWS4-HMAC-SHA256 Credential="+access+"/") || !strings.Contains(a, "/eu-west-1/s3/") {
				t.Errorf("Authorization %q", a)
			}
		})
	}
}

// TestParts: a large file goes in parts of 16 MiB with a checksum each; when
// one fails the rest is taken back.
func TestParts(t *testing.T) {
	srv := newCapture(t)
	st := srv.open(t, s3.Config{Endpoint: "http://storage.example", Bucket: "bkt", PathStyle: true})
	const size = 33 << 20
	o := vendor.Object{Key: "long.mp4", ContentType: "video/mp4", Size: size}
	etag, err := st.Put(t.Context(), o, bytes.NewReader(make([]byte, size)))
	if err != nil || etag != "e2" {
		t.Fatal(etag, err)
	}
	var sent []string
	for i, r := range srv.requests {
		sent = append(sent, fmt.Sprintf("%s %s %d md5=%t", r.Method, r.URL.Query().Get("partNumber"), len(srv.bodies[i]), r.Header.Get("Content-Md5") != ""))
	}
	if want := []string{
		"POST  0 md5=false", "PUT 1 16777216 md5=true", "PUT 2 16777216 md5=true", "PUT 3 1048576 md5=true",
	}; len(sent) != 5 || !slices.Equal(sent[:4], want) {
		t.Errorf("sent %q", sent)
	}
	if b := srv.bodies[4]; strings.Count(b, "<PartNumber>") != 3 {
		t.Errorf("completed with %s", b)
	}

	srv.requests = nil
	next := srv.answer
	srv.answer = func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Has("uploads"):
			_, _ = io.WriteString(w, `<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>`)
		case r.URL.Query().Get("partNumber") == "2":
			w.WriteHeader(http.StatusForbidden)
		default:
			w.Header().Set("ETag", `"e1"`)
		}
	}
	defer func() { srv.answer = next }()
	_, err = st.Put(t.Context(), o, bytes.NewReader(make([]byte, size)))
	last := srv.requests[len(srv.requests)-1]
	if vendor.FaultOf(err) != vendor.Caller || last.Method != http.MethodDelete || last.URL.Query().Get("uploadId") != "u1" {
		t.Errorf("%v; last request %s %s", err, last.Method, last.URL)
	}
}

// TestFaults: whose fault an answer is.
func TestFaults(t *testing.T) {
	xml := func(code string) string {
		return "<Error><Code>" + code + "</Code><Message>said " + secret + " and\n" + url.QueryEscape(secret) + " " + token + "</Message></Error>"
	}
	cases := []struct {
		status int
		body   string
		want   vendor.Fault
	}{
		{403, xml("AccessDenied"), vendor.Caller},
		{403, xml("InvalidAccessKeyId"), vendor.Caller},
		{403, xml("SignatureDoesNotMatch"), vendor.Caller},
		{403, "", vendor.Caller},
		{401, "not xml", vendor.Caller},
		{404, xml("NoSuchBucket"), vendor.Caller},
		{400, xml("ExpiredToken"), vendor.Caller},
		{400, xml("InvalidBucketName"), vendor.Caller},
		{400, xml("KMS.DisabledException"), vendor.Caller},
		{301, xml("PermanentRedirect"), vendor.Caller},
		{307, "", vendor.Caller},
		{403, xml("RequestTimeTooSkewed"), vendor.Ours},
		{405, xml("MethodNotAllowed"), vendor.Ours},
		{400, xml("RequestTimeout"), vendor.Destination},
		{400, xml("BadDigest"), vendor.Destination},
		{429, "", vendor.Destination},
		{500, xml("InternalError"), vendor.Destination},
		{503, xml("SlowDown"), vendor.Destination},
		{502, "<html>bad gateway</html>", vendor.Destination},
		{507, xml("XMinioStorageFull"), vendor.Destination},
	}
	for _, c := range cases {
		srv := newCapture(t)
		srv.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://169.254.169.254/latest/meta-data")
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		}
		st := srv.open(t, s3.Config{Endpoint: "http://storage.example", Bucket: "bkt", PathStyle: true, STSToken: token})
		_, err := st.Put(t.Context(), vendor.Object{Key: "k.ts", Size: 1}, strings.NewReader("x"))
		if err == nil || vendor.FaultOf(err) != c.want {
			t.Errorf("%d %s: fault of %s: %v", c.status, c.body, vendor.FaultOf(err), err)
			continue
		}
		for _, s := range []string{secret, url.QueryEscape(secret), token, access, "\n"} {
			if strings.Contains(err.Error(), s) {
				t.Errorf("%d: %q holds %q", c.status, err, s)
			}
		}
		for _, r := range srv.requests {
			if r.Host != "storage.example" {
				t.Errorf("%d: a request went to %s", c.status, r.Host)
			}
		}
	}
}

// TestHugeAnswer: what a foreign server sends is not read without end.
func TestHugeAnswer(t *testing.T) {
	srv := newCapture(t)
	srv.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		for range 100 {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
		t.Error("100 MB were read")
	}
	st := srv.open(t, s3.Config{Endpoint: "http://storage.example", Bucket: "bkt", PathStyle: true})
	_, err := st.Put(t.Context(), vendor.Object{Key: "k.ts", Size: 1}, strings.NewReader("x"))
	if err == nil || len(err.Error()) > 1000 {
		t.Errorf("%v", err)
	}
}

func TestNew(t *testing.T) {
	good := s3.Config{
		Endpoint: "https://storage.example", Bucket: "bucket", AccessKey: access, SecretKey: secret, STSToken: token,
		Transport: outbound.Policy{}.Transport(),
	}
	if _, err := s3.New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*s3.Config){
		"no host":         func(c *s3.Config) { c.Endpoint = "https://" },
		"a scheme":        func(c *s3.Config) { c.Endpoint = "ftp://storage.example" },
		"file":            func(c *s3.Config) { c.Endpoint = "file:///etc" },
		"credentials":     func(c *s3.Config) { c.Endpoint = "https://u:" + secret + "@storage.example" },
		"a path":          func(c *s3.Config) { c.Endpoint = "https://storage.example/bucket" },
		"garbage":         func(c *s3.Config) { c.Endpoint = "https://a b\x00" },
		"no bucket":       func(c *s3.Config) { c.Bucket = "" },
		"a bucket's name": func(c *s3.Config) { c.Bucket = "../etc" },
		"no access key":   func(c *s3.Config) { c.AccessKey = "" },
		"no secret key":   func(c *s3.Config) { c.SecretKey = "" },
		"encryption":      func(c *s3.Config) { c.SSE = "rot13" },
		"a tag":           func(c *s3.Config) { c.Tag = "=30" },
	} {
		cfg := good
		change(&cfg)
		st, err := s3.New(cfg)
		if st != nil || vendor.FaultOf(err) != vendor.Caller || err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, s := range []string{fmt.Sprint(good), fmt.Sprintf("%v %+v %#v", good, good, good)} {
		if strings.Contains(s, secret) || strings.Contains(s, token) {
			t.Errorf("printed: %s", s)
		}
	}
}

// TestPolicy: an endpoint inside our networks is not reached, and it is the
// caller's fault.
func TestPolicy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for _, endpoint := range []string{"http://" + l.Addr().String(), "http://localhost:1", "http://169.254.169.254"} {
		st, err := s3.New(s3.Config{
			Endpoint: endpoint, Bucket: "bucket", AccessKey: access, SecretKey: secret, PathStyle: true,
			Transport: outbound.Policy{}.Transport(),
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = st.Put(t.Context(), vendor.Object{Key: "k.ts", Size: 1}, strings.NewReader("x"))
		if !errors.Is(err, outbound.ErrRefused) || vendor.FaultOf(err) != vendor.Caller {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}
