package ledger

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tapedeck/internal/session"
)

// clock is a hand-moved clock.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func startServer(t *testing.T, dir string) *Embedded {
	t.Helper()
	e, err := StartEmbedded(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	return e
}

func connect(t *testing.T, e *Embedded) *nats.Conn {
	t.Helper()
	nc, err := e.Conn()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func open(t *testing.T, e *Embedded, o Options) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), connect(t, e), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func fresh(t *testing.T) *Ledger {
	t.Helper()
	return open(t, startServer(t, t.TempDir()), Options{})
}

func record(sid, rid, cname string) Record {
	now := time.Now()
	return Record{
		SID: sid, RID: rid, Account: "acct", App: "app1", CName: cname, UID: 527841,
		Mode: session.Mix, State: session.Starting, Status: session.StatusInit,
		Created: now, ExpiresAt: now.Add(72 * time.Hour),
	}
}

func claim(t *testing.T, l *Ledger, r Record) {
	t.Helper()
	if err := l.Claim(t.Context(), r); err != nil {
		t.Fatalf("claim %s: %v", r.SID, err)
	}
}

func step(t *testing.T, l *Ledger, sid string, to session.State) {
	t.Helper()
	if _, err := l.Update(t.Context(), sid, func(r *Record) error { return r.SetState(to, 0) }); err != nil {
		t.Fatal(err)
	}
}

// eventually polls what becomes true by somebody else's doing.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
