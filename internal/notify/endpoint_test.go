package notify

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tapedeck/internal/outbound"
	"tapedeck/webhook"
)

func TestFilterAndForms(t *testing.T) {
	r := newReceiver(t, false)
	ep := r.endpoint()
	ep.Events, ep.CloudEvents = []Type{TypeUploaded, TypeSessionRegistered}, true
	ep.Secrets = []string{"the old one", r.secret} // the receiver knows the new one only
	var content atomic.Value
	r.will(func(_ webhook.Notice, _ http.ResponseWriter, req *http.Request) int {
		content.Store(req.Header.Get("Content-Type"))
		return 200
	})
	p := newPost(t, nil, ep)
	p.store.put(event(t, RecorderStarted{}, 0))
	p.store.put(event(t, SessionRegistered{}, 1))
	p.store.put(event(t, Uploaded{FileList: []File{}}, 2))
	eventually(t, "the last arrives", func() bool { return r.complete([]string{sid}, 3) })
	if got := r.taken()[sid]; !slices.Equal(got, []int64{1, 2}) {
		t.Errorf("arrived %v", got)
	}
	if content.Load() != contentCloudEvent {
		t.Errorf("content type %v", content.Load())
	}
	if (Endpoint{}).Wants(TypeSessionRegistered) || !(Endpoint{}).Wants(TypeSessionExit) {
		t.Error("13 is sent although nobody asked for it")
	}
}

func TestEgress(t *testing.T) {
	r := newReceiver(t, false)
	ep := r.endpoint()
	for name, c := range map[string]struct {
		policy outbound.Policy
		http   bool
		want   string
	}{
		"private address": {outbound.Policy{}, true, "egress"},
		"plain http":      {loopback(), false, "allow_http"},
	} {
		ep.AllowHTTP = c.http
		s := newSender(ep, Config{Policy: c.policy, Now: time.Now, Timeout: time.Second})
		err := s.send(t.Context(), event(t, RecorderStarted{}, 0))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(r.all()); n != 0 {
		t.Errorf("%d requests were made", n)
	}
}

func TestSealedDetails(t *testing.T) {
	r := newReceiver(t, false)
	p := newPost(t, func(c *Config) {
		c.Unseal = func(_ string, b []byte) ([]byte, error) { return b[1:], nil }
	}, r.endpoint())
	e := event(t, PushStatus{URL: "rtmp://x/key", Status: "publishing"}, 0)
	e.Sealed, e.Details = append([]byte("!"), e.Details...), nil
	p.store.put(e)
	eventually(t, "it arrives", func() bool { return len(r.all()) == 1 })
	if d := string(r.all()[0].Payload.Details); !strings.Contains(d, `"rtmpUrl":"rtmp://x/key"`) {
		t.Error(d)
	}
}

func TestCheck(t *testing.T) {
	r := newReceiver(t, true)
	ep := r.endpoint()
	ep.Events = []Type{TypeUploaded, TypeSessionExit}
	cfg := Config{Policy: loopback(), Timeout: 5 * time.Second}
	if got := Check(t.Context(), ep, cfg); len(got) != 1 || got[0].Result != "592" {
		t.Errorf("an unknown certificate: %+v", got)
	}
	cfg.TLS = r.server.Client().Transport.(*http.Transport).TLSClientConfig
	if got := Check(t.Context(), ep, cfg); len(got) != 2 || !got[0].OK() || !got[1].OK() {
		t.Errorf("%+v", got)
	}
	ep.Secrets = []string{"wrong"}
	r.strict.Store(true)
	if got := Check(t.Context(), ep, cfg); len(got) != 2 || got[0].Result != "401" {
		t.Errorf("a wrong secret: %+v", got)
	}
	ep.URL = "https://nobody.invalid/"
	if got := Check(t.Context(), ep, cfg); len(got) != 1 || got[0].Result != "591" {
		t.Errorf("a name that does not exist: %+v", got)
	}
}

func TestValidate(t *testing.T) {
	ok := Endpoint{URL: "https://a.example.test/hook", Secrets: []string{"s"}}
	if err := ok.Validate(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Endpoint){
		"allow_http":  func(e *Endpoint) { e.URL = "http://a/" },
		"scheme":      func(e *Endpoint) { e.URL = "ftp://a/" },
		"without":     func(e *Endpoint) { e.URL = "https://u:p@a/" },
		"secrets":     func(e *Endpoint) { e.Secrets = []string{"a", "b", "c"} },
		"no event":    func(e *Endpoint) { e.Events = []Type{60} },
		"concurrency": func(e *Endpoint) { e.Concurrency = 1000 },
		"retry_for":   func(e *Endpoint) { e.RetryFor = 48 * time.Hour },
	} {
		e := ok
		change(&e)
		if err := e.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestPauses(t *testing.T) {
	var sum time.Duration
	for n, want := range []time.Duration{0, 0, 3 * time.Second, 10 * time.Second} {
		if n > 0 && pause(n) != want {
			t.Errorf("pause %d: %v", n, pause(n))
		}
	}
	for n := 1; n < 200; n++ {
		if pause(n) > pause(n+1) {
			t.Errorf("pause %d is longer than the next", n)
		}
		sum += pause(n)
	}
	if sum < 24*time.Hour {
		t.Error("the attempts do not last a day")
	}
}
