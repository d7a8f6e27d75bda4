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

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

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
