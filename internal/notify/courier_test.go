package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tapedeck/internal/outbound"
	"tapedeck/webhook"
)

// memory is a Store that the tests of the ledger's stand beside.
type memory struct {
	now func() time.Time

	mu        sync.Mutex
	entries   []Entry // place = index + 1
	positions map[string]Position
	revs      map[string]uint64
	dead      []Dead
	grown     chan struct{}
	down      atomic.Bool
}

func newMemory(now func() time.Time) *memory {
	return &memory{now: now, positions: map[string]Position{}, revs: map[string]uint64{}, grown: make(chan struct{})}
}

func (m *memory) put(e Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries = append(m.entries, Entry{Place: uint64(len(m.entries) + 1), At: m.now(), Event: e})
	close(m.grown)
	m.grown = make(chan struct{})
}

func (m *memory) Tail(_ context.Context, app string) (tail uint64, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.entries {
		if app == "" || e.Event.App == app {
			tail = e.Place
		}
	}
	return tail, nil
}

func (m *memory) Follow(ctx context.Context, app, _ string, after uint64, use func(Entry)) error {
	for {
		m.mu.Lock()
		todo, grown := m.entries[after:], m.grown
		m.mu.Unlock()
		for _, e := range todo {
			after = e.Place
			if e.Event.App == app {
				use(e)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-grown:
		}
	}
}

func (m *memory) Entry(_ context.Context, place uint64) (Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if place == 0 || place > uint64(len(m.entries)) {
		return Entry{}, ErrGone
	}
	return m.entries[place-1], nil
}

func (m *memory) Position(_ context.Context, id string) (Position, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.positions[id]
	p.Open = slices.Clone(p.Open)
	return p, m.revs[id], nil
}

func (m *memory) SavePosition(_ context.Context, id string, p Position, rev uint64) (uint64, error) {
	if m.down.Load() {
		return 0, errors.New("the store is down")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.revs[id] != rev {
		return 0, ErrTaken
	}
	p.V = PositionVersion
	m.positions[id] = p
	m.revs[id]++
	return m.revs[id], nil
}

func (m *memory) Bury(_ context.Context, d Dead) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = append(m.dead, d)
	return nil
}

func (m *memory) letters() []Dead {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.dead)
}

// clock is the real one moved by hand.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// got is one request that a receiver answered.
type got struct {
	webhook.Notice
	status int
}

// receiver is somebody's webhook endpoint.
type receiver struct {
	t      *testing.T
	server *httptest.Server
	secret string
	strict atomic.Bool // bad signatures are what the test wants to see
	// answer returns the status; it may take its time. nil: always 200.
	answer atomic.Pointer[func(n webhook.Notice, w http.ResponseWriter, r *http.Request) int]

	mu  sync.Mutex
	got []got
}

func newReceiver(t *testing.T, tls bool) *receiver {
	t.Helper()
	r := &receiver{t: t, secret: "s-" + t.Name()}
	r.server = httptest.NewUnstartedServer(r)
	r.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	if tls {
		r.server.StartTLS()
	} else {
		r.server.Start()
	}
	t.Cleanup(r.server.Close)
	return r
}

func (r *receiver) will(f func(n webhook.Notice, w http.ResponseWriter, r *http.Request) int) {
	r.answer.Store(&f)
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	n, err := webhook.Read(req, r.secret)
	if err != nil {
		if !r.strict.Load() {
			r.t.Errorf("a request that cannot be trusted: %v", err)
		}
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	status := http.StatusOK
	if f := r.answer.Load(); f != nil && n.Payload.SID != testSID {
		status = (*f)(n, w, req)
	}
	r.mu.Lock()
	if n.Payload.SID != testSID {
		r.got = append(r.got, got{n, status})
	}
	r.mu.Unlock()
	if status > 0 {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "ok")
	}
}

func (r *receiver) all() []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// taken returns the sequence numbers that were answered with 200, by recording.
func (r *receiver) taken() map[string][]int64 {
	out := map[string][]int64{}
	for _, g := range r.all() {
		if g.status == http.StatusOK {
			out[g.Payload.SID] = append(out[g.Payload.SID], g.Payload.Sequence)
		}
	}
	return out
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func loopback() outbound.Policy {
	return outbound.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}
}

func quick() times {
	return times{refresh: 20 * time.Millisecond, lease: 400 * time.Millisecond, beat: 50 * time.Millisecond, save: 5 * time.Millisecond,
		poll: 3 * time.Millisecond, retry: 10 * time.Millisecond, grace: time.Second}
}

// post is a Dispatcher on a store.
type post struct {
	*Dispatcher
	store *memory
	clock *clock
}

func newPost(t *testing.T, change func(*Config), eps ...Endpoint) *post {
	t.Helper()
	p := &post{clock: &clock{}}
	p.store = newMemory(p.clock.now)
	cfg := Config{Store: p.store, Node: "n1", Endpoints: func() []Endpoint { return eps }, Policy: loopback(), Now: p.clock.now, times: quick()}
	if testing.Verbose() {
		cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if p.Dispatcher, err = Start(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func (r *receiver) endpoint() Endpoint {
	return Endpoint{App: "app1", URL: r.server.URL + "/hook?key=hidden", Secrets: []string{r.secret}, AllowHTTP: true, Concurrency: 4}
}

func numbered(t *testing.T, sid string, seq int64) Event {
	t.Helper()
	e := event(t, UploadingProgress{Progress: int(seq)}, seq)
	e.SID, e.ID = sid, fmt.Sprintf("%s:%d", sid, seq)
	return e
}

func (p *post) putMany(t *testing.T, sids []string, each int64) {
	for seq := range each {
		for _, sid := range sids {
			p.store.put(numbered(t, sid, seq))
		}
	}
}

// inOrder checks that every recording's events came, in order, apart from
// repetitions.
func (r *receiver) inOrder(t *testing.T, sids []string, each int64) {
	t.Helper()
	taken := r.taken()
	for _, sid := range sids {
		next := int64(0)
		for _, seq := range taken[sid] {
			switch {
			case seq == next:
				next++
			case seq > next:
				t.Errorf("%s: %d came before %d", sid, seq, next)
				next = seq + 1
			}
		}
		if next != each {
			t.Errorf("%s: %d events arrived, want %d", sid, next, each)
		}
	}
}

func (r *receiver) complete(sids []string, each int64) bool {
	taken := r.taken()
	for _, sid := range sids {
		if !slices.Contains(taken[sid], each-1) {
			return false
		}
	}
	return true
}

func TestDelivery(t *testing.T) {
	for name, tls := range map[string]bool{"https": true, "http": false} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, tls)
			p := newPost(t, func(c *Config) {
				if tls {
					c.TLS = r.server.Client().Transport.(*http.Transport).TLSClientConfig
				}
			}, r.endpoint())
			sids := []string{"a", "b", "c"}
			p.putMany(t, sids, 20)
			p.store.put(func() Event { e := numbered(t, "x", 0); e.App = "another"; return e }())
			eventually(t, "all arrive", func() bool { return r.complete(sids, 20) })
			r.inOrder(t, sids, 20)
			if n := len(r.all()); n != 60 {
				t.Errorf("%d requests for 60 events", n)
			}
		})
	}
}

// An endpoint that fails in every way the spec names gets every event all the
// same, and in order.
func TestFailures(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	for name, fail := range map[string]func(http.ResponseWriter, *http.Request) int{
		"500":      func(http.ResponseWriter, *http.Request) int { return 500 },
		"204":      func(http.ResponseWriter, *http.Request) int { return 204 },
		"redirect": func(w http.ResponseWriter, _ *http.Request) int { w.Header().Set("Location", "/elsewhere"); return 307 },
		"closes early": func(w http.ResponseWriter, _ *http.Request) int {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_ = c.Close()
			}
			return -1
		},
		"hangs": func(_ http.ResponseWriter, r *http.Request) int {
			select {
			case <-r.Context().Done():
			case <-hang:
			}
			return -1
		},
		"answers late": func(_ http.ResponseWriter, r *http.Request) int {
			<-r.Context().Done()
			return 200 // nobody waits for it any more; the event counts as failed at the sender
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, false)
			p := newPost(t, func(c *Config) { c.Timeout = 100 * time.Millisecond }, r.endpoint())
			var mu sync.Mutex
			tries := map[string]int{}
			var notices []int64
			r.will(func(n webhook.Notice, w http.ResponseWriter, req *http.Request) int {
				mu.Lock()
				tries[n.NoticeID]++
				bad := n.Payload.Sequence == 1 && tries[n.NoticeID] <= 2
				if n.Payload.Sequence == 1 {
					notices = append(notices, n.NotifyMs)
				}
				mu.Unlock()
				if bad {
					return fail(w, req)
				}
				return 200
			})
			p.putMany(t, []string{"a"}, 4)
			eventually(t, "the second attempt", func() bool { mu.Lock(); defer mu.Unlock(); return tries["a:1"] == 2 })
			if r.complete([]string{"a"}, 3) {
				t.Error("a later event overtook one that failed")
			}
			p.clock.advance(3 * time.Second) // the second retry
			eventually(t, "all arrive", func() bool { return r.complete([]string{"a"}, 4) })
			r.inOrder(t, []string{"a"}, 4)
			mu.Lock()
			defer mu.Unlock()
			if tries["a:1"] != 3 || tries["a:2"] != 1 || notices[2]-notices[0] < 3000 {
				t.Errorf("tries %v, sent at %v", tries, notices)
			}
		})
	}
}

// Down for an hour, and back: nothing is lost, nothing is out of order.
func TestOutage(t *testing.T) {
	r := newReceiver(t, false)
	var down atomic.Bool
	r.will(func(webhook.Notice, http.ResponseWriter, *http.Request) int {
		if down.Load() {
			return 503
		}
		return 200
	})
	p := newPost(t, nil, r.endpoint())
	sids := []string{"a", "b", "c", "d", "e", "f"}
	p.putMany(t, sids, 2)
	eventually(t, "the first arrive", func() bool { return r.complete(sids, 2) })
	down.Store(true)
	for seq := int64(2); seq < 8; seq++ {
		for _, sid := range sids {
			p.store.put(numbered(t, sid, seq))
		}
		before := len(r.all())
		p.clock.advance(10 * time.Minute)
		eventually(t, "it is tried", func() bool { return len(r.all()) > before })
	}
	down.Store(false)
	p.clock.advance(15 * time.Minute)
	eventually(t, "all arrive", func() bool { return r.complete(sids, 8) })
	r.inOrder(t, sids, 8)
	if dead := p.store.letters(); len(dead) != 0 {
		t.Errorf("%d dead letters", len(dead))
	}
}

// What is not taken within the time is kept as a dead letter, and what follows
// goes on.
func TestDeadLetters(t *testing.T) {
	r := newReceiver(t, false)
	ep := r.endpoint()
	ep.RetryFor = time.Second // the four attempts that the spec promises
	r.will(func(n webhook.Notice, _ http.ResponseWriter, _ *http.Request) int {
		if n.Payload.Sequence == 0 {
			return 400
		}
		return 200
	})
	p := newPost(t, nil, ep)
	p.putMany(t, []string{"a"}, 2)
	for range 4 {
		before := len(r.all())
		p.clock.advance(15 * time.Second)
		eventually(t, "an attempt", func() bool { return len(r.all()) > before || len(p.store.letters()) > 0 })
	}
	eventually(t, "the next arrives", func() bool { return r.complete([]string{"a"}, 2) })
	dead := p.store.letters()
	if len(dead) != 1 || dead[0].Tries != 4 || dead[0].Event.ID != "a:0" || !strings.Contains(dead[0].Error, "400") || dead[0].Endpoint != ep.ID() {
		t.Fatalf("%+v", dead)
	}
	if strings.Contains(dead[0].URL, "hidden") {
		t.Error("the query of the address is in a dead letter")
	}
	if n := len(r.all()); n != 5 {
		t.Errorf("%d requests, want 4 for the first event and 1 for the second", n)
	}
}

// A hanging endpoint keeps nobody else waiting, not even of the same app.
func TestHangingEndpoint(t *testing.T) {
	slow, fast := newReceiver(t, false), newReceiver(t, false)
	release := make(chan struct{})
	slow.will(func(webhook.Notice, http.ResponseWriter, *http.Request) int { <-release; return 200 })
	defer close(release)
	p := newPost(t, nil, slow.endpoint(), fast.endpoint())
	sids := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	p.putMany(t, sids, 10)
	eventually(t, "the fast one has all", func() bool { return fast.complete(sids, 10) })
	fast.inOrder(t, sids, 10)
	if n := len(slow.all()); n != 0 {
		t.Errorf("the hanging one answered %d", n)
	}
}

// A clean stop lets go of nothing that can be delivered, and waits for nobody who
// takes nothing.
func TestDrain(t *testing.T) {
	r, dead := newReceiver(t, false), newReceiver(t, false)
	dead.will(func(webhook.Notice, http.ResponseWriter, *http.Request) int { return 500 })
	other := dead.endpoint()
	other.App = "app2"
	p := newPost(t, nil, r.endpoint(), other)
	p.putMany(t, []string{"a", "b"}, 30)
	e := numbered(t, "c", 0)
	e.App = "app2"
	p.store.put(e)
	eventually(t, "the dead one is tried", func() bool { return len(dead.all()) > 1 })
	p.Drain(t.Context())
	p.Close()
	r.inOrder(t, []string{"a", "b"}, 30)
}

// Two nodes: one delivers; when it dies the other one goes on where it was.
func TestTakeOver(t *testing.T) {
	r := newReceiver(t, false)
	p := newPost(t, nil, r.endpoint())
	cfg := p.cfg
	cfg.Node = "n2"
	second, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	sids := []string{"a", "b"}
	p.putMany(t, sids, 5)
	eventually(t, "the first arrive", func() bool { return r.complete(sids, 5) })
	p.store.down.Store(true) // the first node cannot write, as if it were cut off
	p.Close()
	p.store.down.Store(false)
	for seq := int64(5); seq < 10; seq++ {
		for _, sid := range sids {
			p.store.put(numbered(t, sid, seq))
		}
	}
	eventually(t, "the rest arrives", func() bool { return r.complete(sids, 10) })
	r.inOrder(t, sids, 10)
	eventually(t, "the second holds it", func() bool {
		pos, _, _ := p.store.Position(t.Context(), r.endpoint().ID())
		return pos.Holder == "n2" && pos.Head == 20 && len(pos.Open) == 0
	})
}

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
