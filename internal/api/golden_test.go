package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/account"
	"tapedeck/internal/conform"
	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
)

var (
	errLeaving     = errors.New("leaving")
	errUnreachable = errors.New("no servers available")
	errLate        = fmt.Errorf("ask: %w", context.DeadlineExceeded)
)

// Every pair of examples.json holds, with whatever it presupposes.
func TestExamples(t *testing.T) {
	all, err := conform.Examples()
	if err != nil {
		t.Fatal(err)
	}
	l, stop, err := openLedger(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	doc := document(t)
	for i, e := range all {
		t.Run(e.ID, func(t *testing.T) {
			g := prepare(t, l, fmt.Sprintf("app-%03d", i), e)
			r := g.send(e.Method, g.path(e.Path), e.Text(), g.headers())
			for _, d := range e.Compare(r.answer()) {
				t.Error(d)
			}
			if op, ok := operation(doc, e); ok {
				if why := fits(doc, at(t, op, "responses", fmt.Sprint(e.Status), "content", "application/json", "schema"), r.body); why != "" {
					t.Errorf("the answer does not fit openapi.yaml: %s", why)
				}
			}
			if t.Failed() {
				t.Logf("%d %s", r.status, r.raw)
			}
		})
	}
	if len(all) < 168 {
		t.Errorf("%d examples, there were 168", len(all))
	}
}

// The pairs that the command has are those of the specification, where that is at
// hand.
func TestExamplesAreThoseOfTheSpecification(t *testing.T) {
	want, err := os.ReadFile("../../../shared/spec/examples.json")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the specification is not beside the repository")
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../conform/examples.json")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("internal/conform/examples.json is another file: %v", err)
	}
}

func (r reply) answer() conform.Answer {
	return conform.Answer{
		Status: r.status, Request: r.header.Get("X-Request-Id"), Type: r.header.Get("Content-Type"), Body: r.body, Raw: r.raw,
	}
}

// golden is the world of one example.
type golden struct {
	*world
	conform.Example
	stage              conform.Stage
	app, resource, sid string
}

// prepare brings about what the example presupposes, by the API itself as far as
// the API can.
func prepare(t *testing.T, l *ledger.Ledger, app string, e conform.Example) *golden {
	t.Helper()
	acc := testAccount(app)
	switch e.ID {
	case "acquire-err-app-not-entitled":
		acc.Apps[0].Enabled = false
	case "acquire-err-account-inactive":
		acc.Active = false
	case "gw-rate-limit":
		acc.Rate = 10
	}
	g := &golden{world: worldOn(t, l, acc), Example: e, stage: conform.StageOf(e), app: app, sid: strings.Repeat("0", 32)}
	g.serve(&node{begin: g.begin, stop: g.stopped})
	if g.stage.Acquire != "" {
		g.resource = g.acquire(app, g.stage.CName, "610001", g.stage.Acquire)
	}
	if g.stage.Start != "" {
		g.sid = g.startAs(g.resource, g.stage.Mode, g.stage.Start)
	}
	g.before()
	g.fault()
	return g
}

func (g *golden) startAs(resource, mode, options string) string {
	g.t.Helper()
	r := g.send("POST", startPath(g.app, resource, mode), envelope(g.stage.CName, "610001", options), nil)
	g.want("start", r, 200, 0)
	return r.text("sid")
}

// before does what callers can do to bring the precondition about.
func (g *golden) before() {
	g.t.Helper()
	switch g.stage.Before {
	case conform.Burst:
		stopped := time.Unix(1750000000, 0) // one window for all
		g.offset.Store(0)
		g.api.Limiter = account.NewLimiter(g.api.Accounts, g.ledger.Counter(), func() time.Time { return stopped }, slog.New(slog.DiscardHandler))
		for range 10 {
			g.acquire(g.app, "lesson-204", "610001", `{}`)
		}
	case conform.Itself:
		g.send(g.Method, g.path(g.Path), g.Text(), nil)
	case conform.Rival:
		g.startAs(g.acquire(g.app, g.stage.CName, "610001", `{}`), g.Mode, goodOptions)
	case conform.StopOnce:
		g.send("POST", g.path(g.Path), envelope(g.stage.CName, "610001", `{"async_stop":true}`), nil)
	case conform.OtherSID:
		g.sid = strings.Repeat("0", 32)
	case conform.Age:
		g.advance(5*time.Minute + time.Second)
	}
}

// fault brings about what no caller can.
func (g *golden) fault() {
	switch g.ID[strings.Index(g.ID, "-")+1:] {
	case "err-internal":
		g.forced.count = errUnreachable
	case "err-allocate-timeout":
		g.forced.count = errLate
	case "err-quota":
		g.fillQuota()
	case "err-no-worker":
		g.api.HasNode = func([]string) bool { return false }
		g.forced.place = ledger.ErrNoNode
	case "err-not-completed":
		g.forced.get, g.forced.place = errLate, errLate
	case "err-timeout":
		g.forced.get, g.forced.place = errUnreachable, errUnreachable
	case "err-expired":
		g.advance(72*time.Hour + time.Second)
	case "err-no-data":
		g.node.code = 435
	case "err-upload-slow":
		g.node.code = 50
	}
}

// begin puts what the wanted answer tells into the record.
func (g *golden) begin(r *ledger.Record) {
	server, ok := g.Want["serverResponse"].(map[string]any)
	if !ok {
		return
	}
	switch list := server["fileList"].(type) {
	case string:
		if list != "" {
			r.Files = []session.File{{Name: list}}
		}
	case []any:
		raw, _ := json.Marshal(list)
		if err := json.Unmarshal(raw, &r.Files); err != nil {
			g.t.Error(err)
		}
	}
	if status, ok := server["status"].(float64); ok {
		r.Status = session.Status(status)
	}
	if start, ok := server["sliceStartTime"].(float64); ok {
		r.SliceStart = int64(start)
	}
}

func (g *golden) stopped(r *ledger.Record) {
	switch g.ID {
	case "stop-individual-backup":
		r.Uploading = session.UploadBackuped
	case "stop-err-upload-slow":
		r.State = session.Uploading
	}
}

// fillQuota records as many channels as the app may.
func (g *golden) fillQuota() {
	app, _ := g.api.Accounts.App(g.app)
	for i := range app.Quota {
		g.record(g.app, fmt.Sprintf("room-%d", i), "610001", "mix", goodOptions)
	}
	// The count follows the claims after some milliseconds.
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		if n, err := g.ledger.CountLive(context.Background(), g.app); err != nil || n >= app.Quota {
			return
		}
	}
}

func (g *golden) path(template string) string {
	app := g.app
	if g.ID == "gw-unknown-appid" {
		app = "nobody's"
	}
	return strings.NewReplacer("{appid}", app, "{resourceid}", g.resource, "{sid}", g.sid).Replace(template)
}

func (g *golden) headers() map[string]string {
	h := map[string]string{}
	for name, value := range g.Headers {
		h[name] = ""
		if value != nil {
			h[name] = *value
		}
	}
	return h
}
