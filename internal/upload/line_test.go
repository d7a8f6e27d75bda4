package upload_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/testkit/stores"
)

// way is what is wrong between us and a store.
type way string

const (
	well       way = "well"
	broken     way = "500"
	forbidden  way = "403"
	hanging    way = "hangs"
	cutting    way = "cuts mid-body"
	corrupting way = "changes a byte"
	deaf       way = "stores and loses the answer"
	nameless   way = "DNS gone"
)

// line is the way to a real store, with faults.
type line struct {
	*httptest.Server

	next http.Handler
	mu   sync.Mutex
	now  way

	// What the store has accepted: keys of slices with their SHA-256, and what must
	// never be.
	accepted map[string]string
	wrong    []string
}

func newLine(t *testing.T, to *stores.Server) *line {
	t.Helper()
	target, err := url.Parse(to.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	l := &line{now: well, accepted: map[string]string{}, next: &httputil.ReverseProxy{
		// The host stays as it was signed.
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", target.Host, r.In.Host
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}}
	l.Server = httptest.NewServer(l)
	t.Cleanup(l.Close)
	return l
}

func (l *line) set(w way) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = w
}

func (l *line) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	now := l.now
	l.mu.Unlock()
	refuse := func(status int, code string) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>made up</Message></Error>", code)
	}
	switch now {
	case broken:
		refuse(http.StatusInternalServerError, "InternalError")
	case forbidden:
		refuse(http.StatusForbidden, "AccessDenied")
	case hanging:
		hang := time.NewTimer(200 * time.Millisecond)
		defer hang.Stop()
		select {
		case <-hang.C:
		case <-r.Context().Done():
		}
		hangUp(w)
	case cutting:
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
		hangUp(w)
	case corrupting:
		b, _ := io.ReadAll(r.Body)
		if len(b) > 0 && r.Method == http.MethodPut {
			b[len(b)/2] ^= 0x40
		}
		r.Body = io.NopCloser(bytes.NewReader(b))
		l.pass(w, r)
	case deaf:
		l.pass(httptest.NewRecorder(), r)
		hangUp(w)
	default:
		l.pass(w, r)
	}
}

func hangUp(w http.ResponseWriter) {
	if h, ok := w.(http.Hijacker); ok {
		if c, _, err := h.Hijack(); err == nil {
			_ = c.Close()
		}
	}
}

// pass hands a request on and looks at what the store accepts.
func (l *line) pass(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		hangUp(w)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if r.Method != http.MethodPut || r.URL.RawQuery != "" {
		l.next.ServeHTTP(w, r)
		return
	}
	answer := httptest.NewRecorder()
	l.next.ServeHTTP(answer, r)
	if answer.Code == http.StatusOK {
		l.look(strings.TrimPrefix(r.URL.Path, "/"), body)
	}
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// look notes an accepted file: no slice may come with another content, no
// playlist before what it names.
func (l *line) look(key string, body []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !strings.HasSuffix(key, ".m3u8") {
		sum := sha256.Sum256(body)
		now := hex.EncodeToString(sum[:])
		if before, ok := l.accepted[key]; ok && before != now {
			l.wrong = append(l.wrong, key+" was stored with two contents")
		}
		l.accepted[key] = now
		return
	}
	folder := key[:strings.LastIndex(key, "/")+1]
	for name := range strings.Lines(string(body)) {
		name = strings.TrimSpace(name)
		if _, ok := l.accepted[folder+name]; name != "" && !strings.HasPrefix(name, "#") && !ok {
			l.wrong = append(l.wrong, key+" names "+name+", which is not in the store")
		}
	}
}

// check fails the test for what must never be.
func (l *line) check(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.wrong {
		t.Error(w)
	}
	l.wrong = nil
}
