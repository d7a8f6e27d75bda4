package ledger

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"

	"tapedeck/internal/session"
)

func nopLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestPlace(t *testing.T) {
	e := startServer(t, t.TempDir())
	l, node := open(t, e, Options{}), open(t, e, Options{})
	if err := l.Place(t.Context(), "s1"); !errors.Is(err, ErrNoNode) {
		t.Fatalf("without a node: %v", err)
	}
	var asked atomic.Int32
	full := func(context.Context, string) error { asked.Add(1); return errors.New("full") }
	stopFull, err := node.ServePlace("n1", full)
	if err != nil {
		t.Fatal(err)
	}
	var refused *ErrRefused
	if err := l.Place(t.Context(), "s1"); !errors.As(err, &refused) || refused.Node != "n1" || refused.Reason != "full" {
		t.Fatalf("full node: %v", err)
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("a lone node was asked %d times", n)
	}
	stopFull()
	got := make(chan string, 1)
	stop, err := node.ServePlace("n2", func(_ context.Context, sid string) error { got <- sid; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Place(t.Context(), "s1"); err != nil || <-got != "s1" {
		t.Fatalf("free node: %v", err)
	}
	stop()
	if err := l.Place(t.Context(), "s1"); !errors.Is(err, ErrNoNode) {
		t.Errorf("after it left: %v", err)
	}
}

func TestAsk(t *testing.T) {
	e := startServer(t, t.TempDir())
	l, owner := open(t, e, Options{}), open(t, e, Options{})
	if _, err := l.Ask(t.Context(), "s1", Command{Kind: CommandStop}); !errors.Is(err, ErrNoOwner) {
		t.Fatalf("without an owner: %v", err)
	}
	rec := record("s1", "r1", "room")
	stop, err := owner.ServeSession("s1", func(_ context.Context, c Command) Reply {
		if c.Kind != CommandUpdate || !c.Async || c.Subscription == nil || !c.Subscription.Audio.All {
			t.Errorf("got %+v", c)
		}
		return Reply{Code: 49, Record: &rec}
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.Ask(t.Context(), "s1", Command{Kind: CommandUpdate, Async: true, Subscription: &session.Subscription{Audio: session.UIDList{All: true}}})
	if err != nil || r.Code != 49 || r.Record == nil || r.Record.SID != "s1" || r.Record.UID != rec.UID {
		t.Errorf("answer %+v, %v", r, err)
	}
	stop()
	if _, err := l.Ask(t.Context(), "s1", Command{Kind: CommandStop}); !errors.Is(err, ErrNoOwner) {
		t.Errorf("after it left: %v", err)
	}
}

// A slow answer must not hold up others, and ends with its service.
func TestAskRunsSideBySide(t *testing.T) {
	l := fresh(t)
	entered := make(chan struct{})
	stop, err := l.ServeSession("s1", func(ctx context.Context, c Command) Reply {
		if c.Async {
			return Reply{Code: 1}
		}
		close(entered)
		<-ctx.Done()
		return Reply{Code: 2}
	})
	if err != nil {
		t.Fatal(err)
	}
	slow := make(chan Reply, 1)
	go func() {
		r, _ := l.Ask(t.Context(), "s1", Command{})
		slow <- r
	}()
	<-entered
	if r, err := l.Ask(t.Context(), "s1", Command{Async: true}); err != nil || r.Code != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	stop()
	if r := <-slow; r.Code != 2 {
		t.Errorf("the slow one got %+v", r)
	}
}

func TestCounter(t *testing.T) {
	e := startServer(t, t.TempDir())
	a, b := open(t, e, Options{}).Counter(), open(t, e, Options{}).Counter()
	for i, step := range []struct {
		c      *Counter
		key    string
		window int64
		n      int64
		want   int64
	}{
		{a, "acct", 100, 1, 1}, {b, "acct", 100, 5, 6}, {a, "acct", 100, 1, 7},
		{a, "acct", 101, 2, 2}, {b, "weird key.*> \n", 100, 3, 3}, {a, "acct", 100, 1, 8},
	} {
		if got, err := step.c.Add(t.Context(), step.key, step.window, step.n); err != nil || got != step.want {
			t.Errorf("step %d: %d, %v; want %d", i, got, err, step.want)
		}
	}
}

func TestCheckVersion(t *testing.T) {
	for v, ok := range map[string]bool{
		"2.12.0": true, "2.15.2": true, "3.0.0-beta": true, "2.11.9": false, "2.9.25": false, "1.99": false, "": false, "x.y": false, "2": false,
	} {
		if err := checkVersion(v); (err == nil) != ok {
			t.Errorf("%q: %v", v, err)
		}
	}
}
