package ledger

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"tapedeck/internal/notify"
)

func outbox(t *testing.T, l *Ledger) *Outbox {
	t.Helper()
	b, err := l.OpenOutbox(t.Context(), OutboxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func anEvent(app, sid string, seq int64) notify.Event {
	return notify.Event{
		V: 1, ID: fmt.Sprintf("%s:%d", sid, seq), App: app, CName: "c", UID: 7, SID: sid, Seq: seq, Type: notify.TypeRecorderStarted,
		Scene: notify.SceneRecord, At: 1719820799981, Details: []byte(`{"msgName":"recorder_started","status":0}`),
		Marks: notify.Marks{Journal: notify.Mark{At: 10 + seq, N: 1}, Once: []string{"a"}},
	}
}

// The events of a recording are a chain: only who has seen the newest adds one.
func TestOutboxOrder(t *testing.T) {
	srv := startServer(t, t.TempDir())
	l, other := open(t, srv, Options{}), open(t, srv, Options{})
	b, b2 := outbox(t, l), outbox(t, other)
	e, rev, err := b.Last(t.Context(), "app 1", "s1")
	if err != nil || rev != 0 || e.ID != "" {
		t.Fatal(e, rev, err)
	}
	var last uint64
	for seq := range int64(3) {
		if last, err = b.Append(t.Context(), anEvent("app 1", "s1", seq), last); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b2.Append(t.Context(), anEvent("app 1", "s1", 3), last-1); !errors.Is(err, notify.ErrTaken) {
		t.Errorf("an event in the place of another: %v", err)
	}
	got, rev, err := b2.Last(t.Context(), "app 1", "s1")
	if err != nil || rev != last || !reflect.DeepEqual(got, anEvent("app 1", "s1", 2)) {
		t.Errorf("%+v, %d, %v", got, rev, err)
	}
	if e, err := b2.Entry(t.Context(), last); err != nil || e.Event.Seq != 2 || e.Place != last {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := b2.Entry(t.Context(), last+1); !errors.Is(err, notify.ErrGone) {
		t.Errorf("an entry that is not there: %v", err)
	}
	for app, want := range map[string]uint64{"": last, "app 1": last, "another": 0} {
		if tail, err := b.Tail(t.Context(), app); err != nil || tail != want {
			t.Error(app, tail, err)
		}
	}
}

// Marks outlive the events they were taken from.
func TestOutboxMarks(t *testing.T) {
	b := outbox(t, fresh(t))
	for seq := range int64(2) {
		if err := b.KeepMarks(t.Context(), anEvent("a", "s1", seq)); err != nil {
			t.Fatal(err)
		}
	}
	e, rev, err := b.Last(t.Context(), "a", "s1")
	if err != nil || rev != 0 || e.Seq != 1 || e.Marks.Journal.At != 11 {
		t.Errorf("%+v, %d, %v", e, rev, err)
	}
	if _, err := b.Append(t.Context(), anEvent("a", "s1", 2), rev); err != nil {
		t.Error(err)
	}
}

func TestOutboxFollow(t *testing.T) {
	b := outbox(t, fresh(t))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var revs [2]uint64
	write := func(sid int, seq int64) {
		var err error
		if revs[sid], err = b.Append(ctx, anEvent("a", fmt.Sprint("s", sid), seq), revs[sid]); err != nil {
			t.Error(err)
		}
	}
	write(0, 0)
	if _, err := b.Append(ctx, anEvent("other", "s9", 0), 0); err != nil {
		t.Fatal(err)
	}
	write(1, 0)
	write(0, 1)
	var got []string
	err := b.Follow(ctx, "a", "ep1", revs[1]-2, func(e notify.Entry) {
		got = append(got, e.Event.ID)
		switch len(got) {
		case 2: // while it follows
			if err := b.Again(ctx, "ep2", anEvent("a", "s0", 0)); err != nil {
				t.Error(err)
			}
			if err := b.Again(ctx, "ep1", anEvent("a", "s0", 0)); err != nil {
				t.Error(err)
			}
			write(1, 1)
		case 4:
			cancel()
		}
	})
	if want := []string{"s1:0", "s0:1", "s0:0", "s1:1"}; !errors.Is(err, context.Canceled) || !reflect.DeepEqual(got, want) {
		t.Errorf("followed %v, want %v; %v", got, want, err)
	}
}

func TestOutboxPosition(t *testing.T) {
	b := outbox(t, fresh(t))
	p, rev, err := b.Position(t.Context(), "ep")
	if err != nil || rev != 0 || p.V != 0 {
		t.Fatal(p, rev, err)
	}
	want := notify.Position{V: 1, Holder: "n1", Head: 9, Open: []notify.Open{{Place: 3, Tries: 2}, {Place: 9}}}
	if rev, err = b.SavePosition(t.Context(), "ep", want, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := b.SavePosition(t.Context(), "ep", want, 0); !errors.Is(err, notify.ErrTaken) {
		t.Errorf("two nodes took the endpoint: %v", err)
	}
	got, again, err := b.Position(t.Context(), "ep")
	if err != nil || again != rev || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestOutboxDead(t *testing.T) {
	b := outbox(t, fresh(t))
	for i := range int64(3) {
		ep := "ep1"
		if i == 2 {
			ep = "ep2"
		}
		if err := b.Bury(t.Context(), notify.Dead{Endpoint: ep, Event: anEvent("a", "s1", i), Tries: 4, Error: "HTTP 500"}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := b.DeadLetters(t.Context(), "", "", 0, 10)
	if err != nil || len(all) != 3 || all[1].Dead.Event.Seq != 1 || all[1].Dead.Error != "HTTP 500" {
		t.Fatalf("%+v, %v", all, err)
	}
	if some, err := b.DeadLetters(t.Context(), "ep1", "s1", all[0].Place, 10); err != nil || len(some) != 1 || some[0].Dead.Event.Seq != 1 {
		t.Errorf("%+v, %v", some, err)
	}
	if err := b.Revive(t.Context(), all[0].Place); err != nil {
		t.Fatal(err)
	}
	if err := b.Revive(t.Context(), all[0].Place); !errors.Is(err, notify.ErrGone) {
		t.Errorf("revived twice: %v", err)
	}
	if left, err := b.DeadLetters(t.Context(), "", "", 0, 10); err != nil || len(left) != 2 {
		t.Errorf("%+v, %v", left, err)
	}
	if events, err := b.Events(t.Context(), "a", "", 0, 10); err != nil || len(events) != 0 {
		t.Errorf("what is sent again shows as new: %+v, %v", events, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_ = b.Follow(ctx, "a", "ep1", 0, func(e notify.Entry) {
		if e.Event.Seq != 0 {
			t.Errorf("%+v", e)
		}
		cancel()
	})
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Error("what was revived did not come")
	}
}
