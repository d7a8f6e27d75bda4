package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tapedeck/internal/account"
	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
)

// world is the API on a real ledger, with a node that takes recordings but has no
// workers, and a clock that the test sets.
type world struct {
	t      *testing.T
	ledger *ledger.Ledger
	forced *forced
	node   *node
	api    *Server
	url    string
	offset atomic.Int64 // ns that the API's clock is ahead
	log    *lockedBuffer
}

func newWorld(t *testing.T, accounts ...account.Account) *world {
	t.Helper()
	l, stop, err := openLedger(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return worldOn(t, l, accounts...)
}

func worldOn(t *testing.T, l *ledger.Ledger, accounts ...account.Account) *world {
	t.Helper()
	if len(accounts) == 0 {
		accounts = []account.Account{testAccount("app-1", "app-2")}
	}
	d, err := account.NewDirectory(accounts)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, ledger: l, forced: &forced{Ledger: l}, log: &lockedBuffer{}}
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.api = New(Deps{
		Accounts: d, Limiter: account.NewLimiter(d, nil, w.now, log), Ledger: w.forced,
		Ring: testRing(), Now: w.now, Log: log, Sources: []string{"192.0.2.10", "192.0.2.11"},
	})
	srv := httptest.NewServer(w.api)
	t.Cleanup(srv.Close)
	w.url = srv.URL
	return w
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.offset.Load())) }

func (w *world) advance(d time.Duration) { w.offset.Add(int64(d)) }

// reply is an answer of the API.
type reply struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

func (r reply) code() int {
	n, _ := r.body["code"].(float64)
	return int(n)
}

func (r reply) text(member string) string {
	s, _ := r.body[member].(string)
	return s
}

// send makes a request. Headers with the value "" are left out.
func (w *world) send(method, path, body string, headers map[string]string) reply {
	w.t.Helper()
	r, err := http.NewRequest(method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", basicAuth(testUser, testSecret))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, value := range headers {
		r.Header.Del(name)
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	out := reply{status: res.StatusCode, header: res.Header, raw: string(raw)}
	if err := json.Unmarshal(raw, &out.body); err != nil {
		w.t.Fatalf("%s %s: %d %q is not a JSON object", method, path, res.StatusCode, raw)
	}
	checkEveryAnswer(w.t, out)
	return out
}

// checkEveryAnswer holds of every answer of the API.
func checkEveryAnswer(t *testing.T, r reply) {
	t.Helper()
	if typ := r.header.Get("Content-Type"); !strings.HasPrefix(typ, "application/json") {
		t.Errorf("content type %q", typ)
	}
	if r.header.Get("X-Request-Id") == "" {
		t.Error("no X-Request-Id")
	}
	_, hasCode := r.body["code"]
	_, hasReason := r.body["reason"]
	_, hasMessage := r.body["message"]
	if r.status != http.StatusOK && (hasCode == hasMessage || hasCode != hasReason) {
		t.Errorf("%d %s mixes the two shapes of errors", r.status, r.raw)
	}
}

const v1 = "/v1/apps/"

func acquirePath(app string) string { return v1 + app + "/cloud_recording/acquire" }

func startPath(app, resource, mode string) string {
	return v1 + app + "/cloud_recording/resourceid/" + resource + "/mode/" + mode + "/start"
}

func taskPath(app, resource, sid, mode, call string) string {
	return v1 + app + "/cloud_recording/resourceid/" + resource + "/sid/" + sid + "/mode/" + mode + "/" + call
}

func envelope(cname, uid, options string) string {
	return `{"cname":"` + cname + `","uid":"` + uid + `","clientRequest":` + options + `}`
}

// goodOptions start a recording in any mode that this build has.
const goodOptions = `{"storageConfig":{"vendor":1,"region":0,"bucket":"rec-bucket","accessKey":"AKIDEXAMPLE","secretKey":"SECRETEXAMPLE"}}`

// acquire gets a resource id.
func (w *world) acquire(app, cname, uid, options string) string {
	w.t.Helper()
	r := w.send(http.MethodPost, acquirePath(app), envelope(cname, uid, options), nil)
	if r.status != http.StatusOK || r.text("resourceId") == "" {
		w.t.Fatalf("acquire: %d %s", r.status, r.raw)
	}
	return r.text("resourceId")
}

// record starts a recording and returns its ids.
func (w *world) record(app, cname, uid, mode, options string) (resource, sid string) {
	w.t.Helper()
	resource = w.acquire(app, cname, uid, `{}`)
	r := w.send(http.MethodPost, startPath(app, resource, mode), envelope(cname, uid, options), nil)
	if r.status != http.StatusOK || !isSID(r.text("sid")) || r.text("resourceId") != resource || r.text("cname") != cname || r.text("uid") != uid {
		w.t.Fatalf("start: %d %s", r.status, r.raw)
	}
	return resource, r.text("sid")
}

// want checks status and code of an answer.
func (w *world) want(what string, r reply, status, code int) {
	w.t.Helper()
	if r.status != status || r.code() != code {
		w.t.Errorf("%s: %d %s; want %d with code %d", what, r.status, r.raw, status, code)
	}
}

// forced is a ledger with failures, for what a healthy one does not do.
type forced struct {
	Ledger
	claim, release, get, count, place, ask, sidOf error
	late                                          error // of Place, after the node took it
}

func (f *forced) Claim(ctx context.Context, r ledger.Record) error {
	if f.claim != nil {
		return f.claim
	}
	return f.Ledger.Claim(ctx, r)
}

func (f *forced) Release(ctx context.Context, r ledger.Record) error {
	if f.release != nil {
		return f.release
	}
	return f.Ledger.Release(ctx, r)
}

func (f *forced) Get(ctx context.Context, sid string) (ledger.Record, uint64, error) {
	if f.get != nil {
		return ledger.Record{}, 0, f.get
	}
	return f.Ledger.Get(ctx, sid)
}

func (f *forced) SIDOf(ctx context.Context, rid string) (string, bool, error) {
	if f.sidOf != nil {
		return "", false, f.sidOf
	}
	return f.Ledger.SIDOf(ctx, rid)
}

func (f *forced) CountLive(ctx context.Context, app string, modes ...session.Mode) (int, error) {
	if f.count != nil {
		return 0, f.count
	}
	return f.Ledger.CountLive(ctx, app, modes...)
}

func (f *forced) Place(ctx context.Context, sid string, places ...string) error {
	if f.place != nil {
		return f.place
	}
	if err := f.Ledger.Place(ctx, sid, places...); err != nil {
		return err
	}
	return f.late
}

func (f *forced) Ask(ctx context.Context, sid string, c ledger.Command) (ledger.Reply, error) {
	if f.ask != nil {
		return ledger.Reply{}, f.ask
	}
	return f.Ledger.Ask(ctx, sid, c)
}

// node takes every recording and answers for it from the ledger alone.
type node struct {
	ledger *ledger.Ledger
	refuse error
	begin  func(*ledger.Record)     // what becomes of a record that was taken
	stop   func(*ledger.Record)     // what becomes of it at a stop
	code   int                      // of the reply to stop
	silent func(ledger.Record) bool // nothing was recorded

	mu    sync.Mutex
	asked []ledger.Command
}

// serve makes the node take recordings until the test ends.
func (w *world) serve(n *node) *node {
	w.t.Helper()
	n.ledger, w.node = w.ledger, n
	unsub, err := w.ledger.ServePlace("node-1", func(ctx context.Context, sid string) error {
		if n.refuse != nil {
			return n.refuse
		}
		if _, err := w.ledger.Update(ctx, sid, func(r *ledger.Record) error {
			r.Node, r.State, r.Status = "node-1", session.Recording, session.StatusReady
			if n.begin != nil {
				n.begin(r)
			}
			return nil
		}); err != nil {
			return err
		}
		own, err := w.ledger.ServeSession(sid, func(ctx context.Context, c ledger.Command) ledger.Reply { return n.answer(ctx, sid, c) })
		if err == nil {
			w.t.Cleanup(own)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(unsub)
	return n
}

func (n *node) answer(ctx context.Context, sid string, c ledger.Command) ledger.Reply {
	n.mu.Lock()
	n.asked = append(n.asked, c)
	n.mu.Unlock()
	if c.Kind != ledger.CommandStop {
		return ledger.Reply{}
	}
	rec, err := n.ledger.Update(ctx, sid, func(r *ledger.Record) error {
		if r.State.Exiting() {
			return errLeaving
		}
		r.State, r.Uploading, r.Recorded = session.Done, session.UploadUploaded, true
		if c.Async {
			r.State = session.Uploading
		}
		if n.stop != nil {
			n.stop(r)
		}
		return nil
	})
	if err != nil {
		return ledger.Reply{Code: 49}
	}
	if n.silent != nil && n.silent(rec) && !c.Async {
		return ledger.Reply{Code: 435, Record: &rec}
	}
	return ledger.Reply{Code: n.code, Record: &rec}
}

func (n *node) commands() []ledger.Command {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]ledger.Command(nil), n.asked...)
}

// lockedBuffer collects log lines.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
