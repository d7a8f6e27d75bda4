package node

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"syscall"
	"testing"

	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// page makes a claimed record one of a web page with a live push. The seal of
// this test is plain JSON.
func page(r *ledger.Record) {
	r.Mode, r.Plan.Mode = session.Web, session.Web
	r.Plan.Mixing, r.Plan.Page, r.Plan.Push = nil, &session.Page{Width: 640, Height: 360}, 1
	r.Private = sealedTest(session.Private{PageURL: "https://page.test/?login", Push: []string{"rtmp://a.test/1"}})
}

func sealedTest(p session.Private) []byte {
	b, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return b
}

func unsealTest(_ string, sealed []byte) (p session.Private, err error) {
	if len(sealed) > 0 {
		err = json.Unmarshal(sealed, &p)
	}
	return p, err
}

func (b *bench) ask(sid string, c ledger.Command) ledger.Reply {
	b.t.Helper()
	r, err := b.ledger.Ask(b.t.Context(), sid, c)
	if err != nil {
		b.t.Fatalf("%s: %v", c.Kind, err)
	}
	return r
}

func (b *bench) untilNoted(sid, note string) {
	b.t.Helper()
	b.eventually("the worker hears "+note, func() bool { return slices.Contains(b.notes(sid, ""), note) })
}

// A page is recorded without a room; its secrets reach the worker and nobody else,
// and a pause and another push outlive the worker.
func TestPageHoldAndPush(t *testing.T) {
	b := newBench(t, sane)
	b.cfg.Unseal = unsealTest
	b.mintOK.Store(false) // a page needs no token
	b.open()
	sid := b.place(page)
	pid := b.incarnation(sid, 1)
	b.untilNoted(sid, "page=https://page.test/?login push=rtmp://a.test/1")
	b.untilState(sid, session.Recording)

	if r := b.ask(sid, ledger.Command{Kind: ledger.CommandHold, OnHold: true}); r.Code != 0 || !r.Record.Plan.Page.OnHold {
		t.Errorf("hold: %+v", r)
	}
	b.untilNoted(sid, "hold=true")
	other := sealedTest(session.Private{PageURL: "https://page.test/?login", Push: []string{"rtmp://b.test/2"}})
	if r := b.ask(sid, ledger.Command{Kind: ledger.CommandPush, Private: other}); r.Code != 0 {
		t.Errorf("push: %+v", r)
	}
	b.untilNoted(sid, "push=rtmp://b.test/2")
	if rec := b.get(sid); !rec.Plan.Page.OnHold || string(rec.Private) != string(other) {
		t.Errorf("the record does not have the orders: %+v", rec.Plan.Page)
	}

	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.incarnation(sid, 2)
	b.untilNoted(sid, "page=https://page.test/?login push=rtmp://b.test/2")
	if r := b.ask(sid, ledger.Command{Kind: ledger.CommandHold}); r.Code != 0 || r.Record.Plan.Page.OnHold {
		t.Errorf("go on: %+v", r)
	}
	b.untilNoted(sid, "hold=false")
	if r := b.stop(sid, false); r.Code != 0 {
		t.Errorf("stop: %+v", r)
	}
	b.untilState(sid, session.Done)
}

// Orders that a recording cannot obey are refused and change nothing.
func TestImpossibleOrders(t *testing.T) {
	b := newBench(t, sane)
	b.cfg.Unseal = unsealTest
	b.open()
	individual := b.place(func(r *ledger.Record) {
		r.Mode, r.Plan.Mode, r.Plan.Mixing = session.Individual, session.Individual, nil
	})
	mix := b.place()
	for what, c := range map[string]struct {
		sid string
		cmd ledger.Command
	}{
		"hold of an individual recording": {individual, ledger.Command{Kind: ledger.CommandHold, OnHold: true}},
		"push where there is none":        {mix, ledger.Command{Kind: ledger.CommandPush, Private: sealedTest(session.Private{Push: []string{"rtmp://x/1"}})}},
		"push to nowhere":                 {mix, ledger.Command{Kind: ledger.CommandPush, Private: sealedTest(session.Private{})}},
		"push that is not said":           {mix, ledger.Command{Kind: ledger.CommandPush}},
		"storage that is not said":        {mix, ledger.Command{Kind: ledger.CommandStore}},
		"something new":                   {mix, ledger.Command{Kind: "dance"}},
	} {
		if r := b.ask(c.sid, c.cmd); r.Code != codeBad {
			t.Errorf("%s: %+v", what, r)
		}
	}
	if r := b.ask(mix, ledger.Command{Kind: ledger.CommandHold, OnHold: true}); r.Code != 0 || !r.Record.Plan.Mixing.OnHold {
		t.Errorf("hold of a mix: %+v", r)
	}
	b.untilNoted(mix, "hold=true")
}

// renewing is a Shipper that notes what fresh credentials it got.
type renewing struct {
	Shipper
	got  chan string
	fail error
}

func (r renewing) Renew(rec ledger.Record) error {
	r.got <- string(rec.Storage)
	return r.fail
}

// Fresh credentials reach the record, the spool and the uploads that run.
func TestFreshCredentials(t *testing.T) {
	b := newBench(t, sane)
	got := make(chan string, 1)
	ship := b.cfg.Shipper
	b.cfg.Shipper = func(dir *spool.Dir, rec ledger.Record, report func(ShipProgress)) (Shipper, error) {
		s, err := ship(dir, rec, report)
		return renewing{Shipper: s, got: got}, err
	}
	b.open()
	sid := b.place()
	b.incarnation(sid, 1)
	if r := b.ask(sid, ledger.Command{Kind: ledger.CommandStore, Storage: []byte("fresh")}); r.Code != 0 {
		t.Fatalf("%+v", r)
	}
	if s := <-got; s != "fresh" {
		t.Errorf("the uploads got %q", s)
	}
	dir, err := spool.Open(b.cfg.Spool, sid)
	if err != nil {
		t.Fatal(err)
	}
	var saved ledger.Record
	if err := dir.ReadSession(&saved); err != nil || string(saved.Storage) != "fresh" || string(b.get(sid).Storage) != "fresh" {
		t.Errorf("spool %q, ledger %q, %v", saved.Storage, b.get(sid).Storage, err)
	}
	b.stop(sid, false)
	b.untilState(sid, session.Done)
	_, err = b.ledger.Ask(context.Background(), sid, ledger.Command{Kind: ledger.CommandStore, Storage: []byte("late")})
	if err != nil && !errors.Is(err, ledger.ErrNoOwner) {
		t.Error(err)
	}
	if s := string(b.get(sid).Storage); s != "fresh" {
		t.Errorf("credentials after the end: %q", s)
	}
}

// A node that cannot open the secrets of a recording refuses it.
func TestSecretsThatCannotBeOpened(t *testing.T) {
	b := newBench(t, sane)
	b.open()
	sid := b.claim(page)
	var refused *ledger.ErrRefused
	if err := b.ledger.Place(t.Context(), sid); !errors.As(err, &refused) {
		t.Errorf("%v", err)
	}
	if b.get(sid).Node != "" {
		t.Error("the node keeps it")
	}
}

// Pictures are not listed, but they are what is recorded.
func TestPicturesCount(t *testing.T) {
	p := progress{uploaded: true}
	p.view.add(spool.Fact{Type: spool.FactOpened, ZeroMicro: 1_000_000})
	p.view.add(spool.Fact{Type: spool.FactStatus, Status: int(session.StatusReady), At: 1})
	p.view.add(spool.Fact{Type: spool.FactClosed, Kind: spool.KindImage, Name: "a.jpg", StartMicro: 2_000_000})
	r := ledger.Record{State: session.Starting}
	p.apply(&r)
	if r.Status != session.StatusProgress || r.SliceStart != 3000 || len(r.Files) != 0 {
		t.Errorf("status %d, first %d, files %v", r.Status, r.SliceStart, r.Files)
	}
}
