package ledger

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/session"
)

func TestUpdateLosesNothing(t *testing.T) {
	e := startServer(t, t.TempDir())
	ledgers := []*Ledger{open(t, e, Options{}), open(t, e, Options{})}
	claim(t, ledgers[0], record("s1", "r1", "room"))
	const writers, each = 6, 10
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for range each {
				if _, err := ledgers[w%2].Update(t.Context(), "s1", func(r *Record) error { r.SliceStart++; return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i, l := range ledgers {
		if r, _, err := l.Get(t.Context(), "s1"); err != nil || r.SliceStart != writers*each {
			t.Errorf("ledger %d: %d updates kept, %v", i, r.SliceStart, err)
		}
	}
}

func TestUpdateRefuses(t *testing.T) {
	l := fresh(t)
	claim(t, l, record("s1", "r1", "room"))
	step(t, l, "s1", session.Stopping)
	own := errors.New("own")
	for name, change := range map[string]func(*Record) error{
		"step down":    func(r *Record) error { r.State = session.Recording; return nil },
		"unknown":      func(r *Record) error { r.State = "paused"; return nil },
		"other sid":    func(r *Record) error { r.SID = "s2"; return nil },
		"other room":   func(r *Record) error { r.CName = "x"; return nil },
		"its own mind": func(r *Record) error { r.Reason = "x"; return own },
	} {
		_, err := l.Update(t.Context(), "s1", change)
		if err == nil || (name == "its own mind" && !errors.Is(err, own)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r, _, _ := l.Get(t.Context(), "s1"); r.State != session.Stopping || r.Reason != "" || r.CName != "room" {
		t.Errorf("changed: %+v", r)
	}
	if _, err := l.Update(t.Context(), "none", func(*Record) error { return nil }); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown recording: %v", err)
	}
}

func TestListsAndCounts(t *testing.T) {
	e := startServer(t, t.TempDir())
	l := open(t, e, Options{})
	for i := range 4 {
		claim(t, l, record(fmt.Sprintf("s%d", i), fmt.Sprintf("r%d", i), fmt.Sprintf("room%d", i)))
	}
	foreign := record("f", "rf", "room")
	foreign.App = "app2"
	claim(t, l, foreign)
	step(t, l, "s1", session.Uploading)
	step(t, l, "s2", session.Done)
	live, err := l.Live(t.Context())
	if err != nil || len(live) != 3 {
		t.Errorf("%d live: %v", len(live), err)
	}
	unfinished, err := l.Unfinished(t.Context())
	if err != nil || len(unfinished) != 4 {
		t.Errorf("%d unfinished: %v", len(unfinished), err)
	}
	late := open(t, e, Options{}) // one that starts later counts what is there
	for _, who := range []*Ledger{l, late} {
		for app, want := range map[string]int{"app1": 2, "app2": 1, "app3": 0} {
			eventually(t, fmt.Sprintf("%d live of %s", want, app), func() bool {
				n, err := who.CountLive(t.Context(), app)
				return err == nil && n == want
			})
		}
	}
	if err := l.Release(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a released recording is not counted", func() bool {
		n, err := late.CountLive(t.Context(), "app2")
		return err == nil && n == 0
	})
}

// One record of a newer build must not hide the others.
func TestBadRecordIsPassedOver(t *testing.T) {
	l := fresh(t)
	claim(t, l, record("s1", "r1", "room"))
	if _, err := l.put(t.Context(), sessKey("bad"), []byte("garbage"), 0, 0); err != nil {
		t.Fatal(err)
	}
	live, err := l.Live(t.Context())
	if err != nil || len(live) != 1 || live[0].SID != "s1" {
		t.Errorf("%v, %v", live, err)
	}
	if _, _, err := l.Get(t.Context(), "bad"); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("reading it: %v", err)
	}
}

func TestEndedRecordsGo(t *testing.T) {
	l := open(t, startServer(t, t.TempDir()), Options{Retention: time.Second})
	claim(t, l, record("s1", "r1", "room"))
	claim(t, l, record("s2", "r2", "room2"))
	step(t, l, "s1", session.Done)
	eventually(t, "the ended record is gone", func() bool {
		_, _, err := l.Get(t.Context(), "s1")
		return errors.Is(err, ErrNotFound)
	})
	if _, _, err := l.Get(t.Context(), "s2"); err != nil {
		t.Errorf("the live one: %v", err)
	}
	if _, ok, err := l.SIDOf(t.Context(), "r1"); !ok || err != nil {
		t.Errorf("the resource id is free again: %v", err)
	}
}

func TestRestartKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	e, err := StartEmbedded(dir, nopLog())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := e.Conn()
	if err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), nc, Options{})
	if err != nil {
		t.Fatal(err)
	}
	claim(t, l, record("s1", "r1", "room"))
	step(t, l, "s1", session.Recording)
	l.Close()
	nc.Close()
	e.Stop()

	l = open(t, startServer(t, dir), Options{})
	r, _, err := l.Get(t.Context(), "s1")
	if err != nil || r.State != session.Recording {
		t.Errorf("%+v, %v", r, err)
	}
	if err := l.Claim(t.Context(), record("s2", "r2", "room")); !errors.Is(err, ErrConflict) {
		t.Errorf("the slot was forgotten: %v", err)
	}
}
