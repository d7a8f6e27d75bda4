package node

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

func TestRestartFindsLivingWorker(t *testing.T) {
	b := newBench(t, sane)
	b.open()
	id := b.node.ID()
	sid := b.place()
	pid := b.incarnation(sid, 1)
	b.close(false)
	if !living(pid) {
		t.Fatal("the worker went with its node")
	}
	n := len(b.slices(sid))
	b.eventually("it records alone", func() bool { return len(b.slices(sid)) > n+2 })
	b.open()
	if b.node.ID() != id {
		t.Errorf("node id %s became %s", id, b.node.ID())
	}
	if r := b.stop(sid, false); r.Code != 0 || r.Record.State != session.Done {
		t.Errorf("stop: %+v", r)
	}
	if pids := b.pids(sid); len(pids) != 1 {
		t.Errorf("workers %v", pids)
	}
	b.shippedAll(sid)
	b.eventually("the worker is gone", func() bool { return !living(pid) })
	b.close(false)
	b.open() // what is done stays done
	if _, err := b.ledger.Ask(t.Context(), sid, ledger.Command{}); !errors.Is(err, ledger.ErrNoOwner) {
		t.Errorf("served again: %v", err)
	}
	b.clock.ahead.Add(int64(25 * time.Hour))
	b.node.sweep(t.Context())
	if sids, _ := spool.List(b.cfg.Spool); len(sids) != 0 {
		t.Errorf("never removed: %v", sids)
	}
}

func TestRestartReplacesDeadWorker(t *testing.T) {
	b := newBench(t, sane)
	b.open()
	sid := b.place()
	pid := b.incarnation(sid, 1)
	b.close(false)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.eventually("it is dead", func() bool { return !living(pid) })
	b.open()
	b.incarnation(sid, 2)
	// An adopted worker that dies is noticed like a child.
	b.close(false)
	b.open()
	if err := syscall.Kill(b.pids(sid)[1], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.incarnation(sid, 3)
	if r := b.stop(sid, false); r.Code != 0 {
		t.Errorf("stop: %+v", r)
	}
	b.shippedAll(sid)
}

func TestRestartFinishesUploads(t *testing.T) {
	b := newBench(t, sane)
	b.closed.Store(true)
	b.open()
	sid := b.place()
	b.incarnation(sid, 1)
	b.stop(sid, true)
	b.untilState(sid, session.Uploading)
	b.close(false)
	b.closed.Store(false)
	b.open()
	b.untilState(sid, session.Done)
	b.shippedAll(sid)
	if n := len(b.pids(sid)); n != 1 {
		t.Errorf("%d workers", n)
	}
}

// A stop that the node did not live to carry out is carried out.
func TestRestartFinishesStop(t *testing.T) {
	b := newBench(t, sane)
	b.open()
	sid := b.place()
	b.incarnation(sid, 1)
	b.close(false)
	if _, err := b.ledger.Update(t.Context(), sid, func(r *ledger.Record) error { return r.SetState(session.Stopping, session.StatusStopping) }); err != nil {
		t.Fatal(err)
	}
	b.open()
	b.untilState(sid, session.Done)
	b.shippedAll(sid)
}

// The ledger was lost, the spool was not.
func TestFolderWithoutRecord(t *testing.T) {
	b := newBench(t, sane)
	b.open()
	sid := b.place()
	pid := b.incarnation(sid, 1)
	b.close(false)
	if err := b.ledger.Release(t.Context(), b.get(sid)); err != nil {
		t.Fatal(err)
	}
	b.open()
	b.eventually("the worker ends", func() bool { return !living(pid) })
	b.eventually("all is shipped", func() bool {
		left, err := os.ReadDir(filepath.Join(b.cfg.Spool, sid, "files"))
		return err == nil && len(left) == 0
	})
	b.shippedAll(sid)
}

// The record is gone when a caller wants to stop.
func TestStopWithoutRecord(t *testing.T) {
	b := newBench(t, silent)
	b.open()
	sid := b.place()
	b.untilState(sid, session.Recording)
	if err := b.ledger.Release(t.Context(), b.get(sid)); err != nil {
		t.Fatal(err)
	}
	// The node may have noticed by itself before it is asked.
	r, err := b.ledger.Ask(t.Context(), sid, ledger.Command{Kind: ledger.CommandStop})
	if !errors.Is(err, ledger.ErrNoOwner) && (err != nil || r.Code != codeNoTask) {
		t.Errorf("stop: %+v, %v", r, err)
	}
	b.eventually("the node lets go", func() bool { return b.node.Stats().Live == 0 })
}

// The start was undone after the node had taken the recording.
func TestWithdrawnRecording(t *testing.T) {
	b := newBench(t, silent)
	b.open()
	sid := b.place()
	b.eventually("it runs", func() bool { return len(b.pids(sid)) == 1 })
	pid := b.pids(sid)[0]
	b.untilState(sid, session.Recording) // nothing will happen that it publishes
	if err := b.ledger.Release(t.Context(), b.get(sid)); err != nil {
		t.Fatal(err)
	}
	b.node.sweep(t.Context())
	b.eventually("the worker is gone", func() bool { return !living(pid) })
	b.eventually("so is its folder", func() bool {
		sids, err := spool.List(b.cfg.Spool)
		return err == nil && len(sids) == 0
	})
}

func TestSweepTakesStrays(t *testing.T) {
	b := newBench(t, sane)
	b.open()
	stray := b.claim()
	b.node.sweep(t.Context())
	if r := b.get(stray); r.Node != "" {
		t.Errorf("robbed a young one: %+v", r)
	}
	b.clock.ahead.Add(int64(2 * time.Minute))
	b.node.sweep(t.Context())
	b.untilState(stray, session.Recording)

	b.mintOK.Store(false)
	hopeless := b.claim()
	b.clock.ahead.Add(int64(2 * time.Minute))
	b.node.sweep(t.Context())
	if r := b.get(hopeless); r.State != session.Starting {
		t.Errorf("gave up early: %+v", r)
	}
	b.clock.ahead.Add(int64(2 * time.Hour))
	b.node.sweep(t.Context())
	if r := b.get(hopeless); r.State != session.Failed || !strings.Contains(r.Reason, "no node took it") {
		t.Errorf("%+v", r)
	}
	b.mintOK.Store(true)
	b.stop(stray, false)
}

// The node died between owning a record and making its folder.
func TestRecordWithoutFolder(t *testing.T) {
	b := newBench(t, sane)
	b.open()
	id := b.node.ID()
	b.close(false)
	young := b.claim(func(r *ledger.Record) { r.Node = id })
	running := b.claim(func(r *ledger.Record) { r.Node, r.State = id, session.Recording })
	b.open()
	if r := b.get(young); r.Node != "" || r.State != session.Starting {
		t.Errorf("young: %s on %q", r.State, r.Node)
	}
	if r := b.get(running); r.State != session.Failed || !strings.Contains(r.Reason, "spool folder") {
		t.Errorf("running: %+v", r)
	}
}

func TestUploadsAreGivenUp(t *testing.T) {
	b := newBench(t, sane)
	b.closed.Store(true)
	b.open()
	sid := b.place()
	b.incarnation(sid, 1)
	b.stop(sid, true)
	b.untilState(sid, session.Uploading)
	b.clock.ahead.Add(int64(25 * time.Hour))
	b.node.sweep(t.Context())
	if r := b.untilState(sid, session.Failed); !strings.Contains(r.Reason, "uploads") {
		t.Errorf("%+v", r)
	}
	b.eventually("the node lets go", func() bool { return b.node.Stats().Uploading == 0 })
	b.clock.ahead.Add(int64(1000 * time.Hour))
	b.node.sweep(t.Context())
	if len(b.slices(sid)) == 0 {
		t.Error("unshipped files were removed")
	}
}

func TestNodeID(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first, err := loadID(dir)
	if err != nil || len(first) != 16 {
		t.Fatalf("%q, %v", first, err)
	}
	if again, err := loadID(dir); err != nil || again != first {
		t.Errorf("%q became %q, %v", first, again, err)
	}
	for _, bad := range []string{"", "x", "0011223344556677889", "00112233445566GG"} {
		if err := os.WriteFile(filepath.Join(dir, idFile), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if id, err := loadID(dir); err == nil {
			t.Errorf("%q was taken as %q", bad, id)
		}
	}
}
