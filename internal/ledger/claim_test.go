package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/session"
)

func TestClaimIsSingleUse(t *testing.T) {
	l := fresh(t)
	claim(t, l, record("s1", "r1", "room"))
	var used *ErrUsed
	if err := l.Claim(t.Context(), record("s2", "r1", "other")); !errors.As(err, &used) || used.SID != "s1" {
		t.Fatalf("same resource id: %v", err)
	}
	if _, _, err := l.Get(t.Context(), "s2"); !errors.Is(err, ErrNotFound) {
		t.Errorf("the loser has a record: %v", err)
	}
	// Also after its recording has ended (errors.md 6.1).
	step(t, l, "s1", session.Done)
	if err := l.Claim(t.Context(), record("s3", "r1", "room")); !errors.As(err, &used) || used.SID != "s1" {
		t.Fatalf("after the end: %v", err)
	}
	sid, ok, err := l.SIDOf(t.Context(), "r1")
	if sid != "s1" || !ok || err != nil {
		t.Errorf("SIDOf = %q %v %v", sid, ok, err)
	}
	if sid, ok, err := l.SIDOf(t.Context(), "never"); sid != "" || ok || err != nil {
		t.Errorf("SIDOf of an unused id = %q %v %v", sid, ok, err)
	}
}

func TestClaimOneInstance(t *testing.T) {
	l := fresh(t)
	claim(t, l, record("s1", "r1", "room"))
	if err := l.Claim(t.Context(), record("s2", "r2", "room")); !errors.Is(err, ErrConflict) {
		t.Fatalf("second recorder: %v", err)
	}
	if _, ok, _ := l.SIDOf(t.Context(), "r2"); ok {
		t.Error("the refused claim kept the resource id")
	}
	claim(t, l, record("s3", "r3", "another room"))
	step(t, l, "s1", session.Uploading) // it has left the channel
	claim(t, l, record("s2", "r2", "room"))
}

func TestClaimRace(t *testing.T) {
	e := startServer(t, t.TempDir())
	ledgers := []*Ledger{open(t, e, Options{}), open(t, e, Options{})}
	for round := range 5 {
		var wg sync.WaitGroup
		errs := make([]error, 10)
		for i := range errs {
			r := record(fmt.Sprintf("s%d-%d", round, i), fmt.Sprintf("r%d-%d", round, i), fmt.Sprintf("room%d", round))
			if round%2 == 0 { // same resource id; else same instance
				r.RID, r.CName = fmt.Sprintf("r%d", round), fmt.Sprintf("room%d-%d", round, i)
			}
			wg.Go(func() { errs[i] = ledgers[i%2].Claim(t.Context(), r) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			var used *ErrUsed
			switch {
			case err == nil:
				won++
			case !errors.As(err, &used) && !errors.Is(err, ErrConflict):
				t.Errorf("round %d: %v", round, err)
			}
		}
		if won != 1 {
			t.Errorf("round %d: %d winners", round, won)
		}
	}
}

func TestReleaseGivesEverythingBack(t *testing.T) {
	l := fresh(t)
	r := record("s1", "r1", "room")
	claim(t, l, r)
	for range 2 { // it may be repeated
		if err := l.Release(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := l.Get(t.Context(), "s1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("record: %v", err)
	}
	r.SID = "s2"
	claim(t, l, r)
	if err := l.Release(t.Context(), record("s1", "r1", "room")); err != nil {
		t.Fatal(err)
	}
	if sid, _, _ := l.SIDOf(t.Context(), "r1"); sid != "s2" {
		t.Errorf("a late release took the id from %q", sid)
	}
}

// A claim whose caller died half-way must not block its resource id and its
// channel for ever, nor may one that is still under way be robbed.
func TestClaimTakesOverAbandoned(t *testing.T) {
	c := &clock{t: time.Now()}
	l := open(t, startServer(t, t.TempDir()), Options{Now: c.now})
	dead := record("dead", "r1", "room")
	for _, key := range []string{usedKey("r1"), dead.instance()} {
		if _, err := l.put(t.Context(), key, []byte(`{"sid":"dead","app":"app1"}`), 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	var used *ErrUsed
	if err := l.Claim(t.Context(), record("s1", "r1", "room")); !errors.As(err, &used) {
		t.Fatalf("robbed a young claim: %v", err)
	}
	if err := l.Claim(t.Context(), record("s1", "r2", "room")); !errors.Is(err, ErrConflict) {
		t.Fatalf("robbed a young slot: %v", err)
	}
	c.add(claimGrace + time.Second)
	claim(t, l, record("s1", "r1", "room"))
}

// The owner died after it wrote the end and before it freed the slot.
func TestClaimTakesSlotOfEnded(t *testing.T) {
	l := fresh(t)
	r := record("s1", "r1", "room")
	claim(t, l, r)
	step(t, l, "s1", session.Uploading)
	if _, err := l.put(t.Context(), r.instance(), []byte(`{"sid":"s1","app":"app1"}`), mustRev(t, l, r.instance()), 0); err != nil {
		t.Fatal(err)
	}
	claim(t, l, record("s2", "r2", "room"))
}

func mustRev(t *testing.T, l *Ledger, key string) uint64 {
	t.Helper()
	e, err := l.read(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return e.rev
}

func TestClaimCancelledLeavesNothing(t *testing.T) {
	l := fresh(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Claim(ctx, record("s1", "r1", "room")); err == nil {
		t.Fatal("claimed with a cancelled context")
	}
	claim(t, l, record("s2", "r1", "room"))
}
