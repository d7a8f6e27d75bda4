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
	"tapedeck/internal/link"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

func TestPlaceToDone(t *testing.T) {
	b := newBench(t, sane)
	t.Setenv("TAPEDECK_CONF_SECRET", "do-not-leak")
	b.open()
	sid := b.place()
	b.eventually("status 5", func() bool { return b.get(sid).Status == session.StatusProgress })
	r := b.get(sid)
	if r.State != session.Recording || r.Node != b.node.ID() || r.SliceStart == 0 || r.Started.IsZero() || !r.Recorded {
		t.Errorf("while recording: %+v", r)
	}
	want := session.File{Name: "d1/" + sid + "_room.m3u8", Track: session.TrackBoth, UID: "0", Mixed: true, Playable: true, StartMilli: r.SliceStart}
	if len(r.Files) != 1 || r.Files[0] != want {
		t.Errorf("files %+v, want %+v", r.Files, want)
	}
	if s := b.node.Stats(); s.Live != 1 || s.Used <= 0 || s.Capacity <= s.Used {
		t.Errorf("stats %+v", s)
	}
	pid := b.incarnation(sid, 1)
	reply := b.stop(sid, false)
	if reply.Code != 0 || reply.Record == nil || reply.Record.State != session.Done || reply.Record.Uploading != session.UploadUploaded {
		t.Fatalf("stop: %+v", reply)
	}
	b.shippedAll(sid)
	if r := b.get(sid); r.Status != session.StatusExit || r.StoppedAt.IsZero() || r.Reason != spool.EndStop {
		t.Errorf("afterwards: %+v", r)
	}
	b.eventually("the worker is gone", func() bool { return !living(pid) })
	b.eventually("nobody serves it", func() bool {
		_, err := b.ledger.Ask(t.Context(), sid, ledger.Command{Kind: ledger.CommandStop})
		return errors.Is(err, ledger.ErrNoOwner)
	})
	b.eventually("the node is idle", func() bool { return b.node.Stats() == Stats{Capacity: b.node.Stats().Capacity} })
	env := strings.Join(b.notes(sid, "pid="), "")
	if strings.Contains(env, "do-not-leak") || !strings.Contains(env, "PATH=") || !strings.Contains(env, "ws://rooms.test/tok-room1") {
		t.Errorf("the worker saw %s", env)
	}
	left, err := os.ReadDir(filepath.Join(b.cfg.Spool, sid, "files"))
	if err != nil || len(left) != 0 {
		t.Errorf("files left: %v, %v", left, err)
	}
	b.clock.ahead.Add(int64(25 * time.Hour))
	b.node.sweep(t.Context())
	if _, err := os.Stat(filepath.Join(b.cfg.Spool, sid)); !os.IsNotExist(err) {
		t.Errorf("the folder stays for ever: %v", err)
	}
}

func TestStopAnswers(t *testing.T) {
	t.Run("nothing recorded", func(t *testing.T) {
		b := newBench(t, silent)
		b.open()
		sid := b.place()
		if r := b.stop(sid, false); r.Code != codeNoData {
			t.Errorf("%+v", r)
		}
		b.untilState(sid, session.Done)
	})
	t.Run("upload takes longer", func(t *testing.T) {
		b := newBench(t, sane)
		b.cfg.times.answer = 500 * time.Millisecond
		b.closed.Store(true)
		b.open()
		sid := b.place()
		b.incarnation(sid, 1)
		r := b.stop(sid, false)
		if r.Code != codeUploading || r.Record == nil || !r.Record.State.Exiting() {
			t.Errorf("first: %+v", r)
		}
		if r := b.stop(sid, false); r.Code != codeLeaving {
			t.Errorf("second: %+v", r)
		}
		if r := b.untilState(sid, session.Uploading); r.Uploading != session.UploadUnknown || r.Status != session.StatusStopped {
			t.Errorf("meanwhile: %+v", r)
		}
		b.closed.Store(false)
		b.untilState(sid, session.Done)
		b.shippedAll(sid)
	})
	t.Run("async", func(t *testing.T) {
		b := newBench(t, sane)
		b.closed.Store(true)
		b.open()
		sid := b.place()
		b.incarnation(sid, 1)
		if r := b.stop(sid, true); r.Code != 0 || r.Record == nil || r.Record.State != session.Stopping || r.Record.Status != session.StatusStopping {
			t.Errorf("%+v", r)
		}
		b.closed.Store(false)
		b.untilState(sid, session.Done)
	})
}

func TestUpdateAndLayout(t *testing.T) {
	b := newBench(t, sane)
	b.open()
	mix := b.place()
	single := b.place(func(r *ledger.Record) { r.Plan.Mixing = nil })
	b.incarnation(mix, 1)
	ask := func(sid string, c ledger.Command) int {
		t.Helper()
		r, err := b.ledger.Ask(t.Context(), sid, c)
		if err != nil {
			t.Fatal(err)
		}
		return r.Code
	}
	sub := ledger.Command{Kind: ledger.CommandUpdate, Subscription: &session.Subscription{Audio: session.UIDList{Allow: []uint32{7}}}}
	layout := ledger.Command{Kind: ledger.CommandLayout, Layout: &session.Layout{Kind: 1}}
	if c := ask(mix, sub); c != 0 {
		t.Errorf("update: %d", c)
	}
	if c := ask(mix, layout); c != 0 {
		t.Errorf("layout: %d", c)
	}
	b.eventually("the worker was told", func() bool {
		return len(b.notes(mix, string(link.Subscribe))) > 0 && len(b.notes(mix, string(link.Layout))) > 0
	})
	if p := b.get(mix).Plan; !p.Subscription.Audio.Has(7) || p.Mixing.Layout.Kind != 1 {
		t.Errorf("plan %+v", p)
	}
	if c := ask(single, layout); c != codeBad {
		t.Errorf("layout without a mix: %d", c)
	}
	if c := ask(mix, ledger.Command{Kind: "dance"}); c != codeBad {
		t.Errorf("unknown command: %d", c)
	}
	b.closed.Store(true)
	late := b.place()
	b.stop(late, true)
	if c := ask(late, sub); c != codeNoTask {
		t.Errorf("update while leaving: %d", c)
	}
	b.closed.Store(false)
	b.close(true)
	for _, sid := range []string{mix, single, late} {
		if r := b.get(sid); r.State != session.Done {
			t.Errorf("closed with finish: %s", r.State)
		}
		for _, pid := range b.pids(sid) {
			b.eventually("the worker is gone", func() bool { return !living(pid) })
		}
	}
}

func TestKilledWorkerIsReplaced(t *testing.T) {
	b := newBench(t, sane)
	b.open()
	sid := b.place()
	first := b.incarnation(sid, 1)
	before := b.slices(sid)
	killed := time.Now()
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	second := b.incarnation(sid, 2)
	for _, f := range b.facts(sid) {
		if f.Type == spool.FactOpened && f.Incarnation == 2 {
			t.Logf("the second worker opened the journal %v after the kill", time.UnixMicro(f.At).Sub(killed).Round(time.Millisecond))
		}
	}
	if r := b.get(sid); r.State != session.Recording {
		t.Errorf("state %s", r.State)
	}
	if r := b.stop(sid, false); r.Code != 0 {
		t.Errorf("stop: %+v", r)
	}
	if after := b.slices(sid); len(after) <= len(before) || after[0] != before[0] {
		t.Errorf("slices %v, before the kill %v", after, before)
	}
	b.shippedAll(sid)
	b.eventually("the second worker is gone", func() bool { return !living(second) })
	if living(first) {
		t.Error("the first worker lives")
	}
}

func TestCrashLoopFails(t *testing.T) {
	b := newBench(t, crashes)
	b.open()
	sid := b.place()
	r := b.untilState(sid, session.Failed)
	if r.Status != session.StatusAbnormal || !strings.Contains(r.Reason, "died 4 times") {
		t.Errorf("%+v", r)
	}
	b.eventually("nobody serves it", func() bool {
		_, err := b.ledger.Ask(t.Context(), sid, ledger.Command{Kind: ledger.CommandStop})
		return errors.Is(err, ledger.ErrNoOwner)
	})
	if !b.log.has("worker_log=") {
		t.Error("the log does not say where to look")
	}
	said, err := os.ReadFile(filepath.Join(b.cfg.Spool, sid, logName))
	if err != nil || strings.Count(string(said), "dies as told") != 4 {
		t.Errorf("worker log %q, %v", said, err)
	}
	// The channel is free for another recorder.
	if err := b.ledger.Claim(t.Context(), ledger.Record{SID: "x", RID: "x", App: r.App, CName: r.CName, UID: r.UID, State: session.Starting}); err != nil {
		t.Error(err)
	}
}

func TestRefusedRoomFails(t *testing.T) {
	b := newBench(t, refused)
	b.open()
	sid := b.place()
	r := b.untilState(sid, session.Failed)
	if r.Status != session.StatusAbnormal || r.Reason != spool.EndRefused {
		t.Errorf("%+v", r)
	}
	if !b.log.has("LiveKit at ws://rooms.test refuses the key of app app1: check livekit.key") {
		t.Error("the log does not say what to do")
	}
	b.eventually("the worker is gone", func() bool { return len(b.pids(sid)) == 1 && !living(b.pids(sid)[0]) })
}

// Whatever a worker does, it is gone in the end.
func TestStubbornWorkers(t *testing.T) {
	t.Run("stays after its end", func(t *testing.T) {
		b := newBench(t, deaf)
		b.open()
		sid := b.place()
		pid := b.incarnation(sid, 1)
		if r := b.stop(sid, false); r.Code != 0 {
			t.Errorf("stop: %+v", r)
		}
		b.eventually("the worker is gone", func() bool { return !living(pid) })
		if n := len(b.pids(sid)); n != 1 {
			t.Errorf("%d workers", n)
		}
	})
	t.Run("does not stop", func(t *testing.T) {
		b := newBench(t, hangs)
		b.cfg.times.stop, b.cfg.times.exit = 50*time.Millisecond, 50*time.Millisecond
		b.open()
		sid := b.place()
		b.incarnation(sid, 1)
		b.stop(sid, true)
		if r := b.untilState(sid, session.Failed); !r.Recorded {
			t.Errorf("%+v", r)
		}
		for _, pid := range b.pids(sid) {
			b.eventually("the worker is gone", func() bool { return !living(pid) })
		}
		b.eventually("what it has is shipped", func() bool { return b.get(sid).Uploading == session.UploadUploaded })
	})
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		spoil  func(*bench)
		change func(*ledger.Record)
		says   string
	}{
		{name: "spool cannot be written", spoil: func(b *bench) { b.cfg.Spool = "/proc/self/spool" }, says: "spool"},
		{name: "spool is full", spoil: func(b *bench) { b.cfg.MinFree = 1 << 62 }, says: "free space there, or lower spool.min_free_mb"},
		{name: "no program", spoil: func(b *bench) { b.cfg.Worker = []string{"/nowhere/tapedeck-worker"} }, says: "build or install /nowhere/tapedeck-worker"},
		{name: "no key", spoil: func(b *bench) { b.mintOK.Store(false) }, says: "no token for the room of app app1"},
		{name: "no storage", change: func(r *ledger.Record) { r.Storage = []byte("bad") }, says: "bad storage"},
		{name: "not starting", change: func(r *ledger.Record) { r.State = session.Recording }, says: "recording"},
		{name: "someone else's", change: func(r *ledger.Record) { r.Node = "other" }, says: "other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, sane)
			if c.spoil != nil {
				c.spoil(b)
			}
			b.open()
			if c.change == nil {
				c.change = func(*ledger.Record) {}
			}
			sid := b.claim(c.change)
			before := b.get(sid)
			err := b.ledger.Place(t.Context(), sid)
			var refused *ledger.ErrRefused
			if !errors.As(err, &refused) || !strings.Contains(refused.Reason, c.says) {
				t.Fatalf("%v", err)
			}
			if r := b.get(sid); r.Node != before.Node || r.State != before.State {
				t.Errorf("the record is %s on %q", r.State, r.Node)
			}
			if sids, _ := spool.List(b.cfg.Spool); len(sids) != 0 {
				t.Errorf("left in the spool: %v", sids)
			}
			if s := b.node.Stats(); s.Live != 0 || s.Used != 0 {
				t.Errorf("booked: %+v", s)
			}
			if !b.log.has("a recording is refused") {
				t.Error("nothing in the log")
			}
			if _, err := b.ledger.Ask(t.Context(), sid, ledger.Command{}); !errors.Is(err, ledger.ErrNoOwner) {
				t.Errorf("somebody serves it: %v", err)
			}
		})
	}
}

func TestFullNodeRefuses(t *testing.T) {
	b := newBench(t, silent)
	b.cfg.Cores, b.cfg.Costs = 1, Costs{Mix: 0.3}
	b.open()
	first, second := b.place(), b.place()
	third := b.claim()
	var refused *ledger.ErrRefused
	if err := b.ledger.Place(t.Context(), third); !errors.As(err, &refused) || !strings.Contains(refused.Reason, "full: 2 recordings take 0.60 of 0.70 cores") {
		t.Fatalf("%v", err)
	}
	b.stop(first, false)
	b.eventually("there is room again", func() bool { return b.ledger.Place(t.Context(), third) == nil })
	b.stop(second, true)
}
