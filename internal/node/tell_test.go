package node

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/ledger"
	"tapedeck/internal/notify"
	"tapedeck/internal/session"
)

// box is an outbox that can fail.
type box struct {
	mu     sync.Mutex
	events map[string][]notify.Event
	marks  map[string]notify.Event
	down   bool // nothing is written
	mute   bool // what is written is not acknowledged
	asked  int
}

func (b *box) Last(_ context.Context, _, sid string) (notify.Event, uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.events[sid]
	if b.down {
		return notify.Event{}, 0, errors.New("down")
	}
	if len(all) == 0 {
		return b.marks[sid], 0, nil
	}
	return all[len(all)-1], uint64(len(all)), nil
}

func (b *box) Append(_ context.Context, e notify.Event, rev uint64) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	if b.down {
		return 0, errors.New("down")
	}
	if uint64(len(b.events[e.SID])) != rev {
		return 0, notify.ErrTaken
	}
	b.events[e.SID] = append(b.events[e.SID], e)
	if b.mute && b.asked%2 == 0 {
		return 0, errors.New("no answer")
	}
	return rev + 1, nil
}

func (b *box) KeepMarks(_ context.Context, e notify.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.marks[e.SID] = e
	return nil
}

func (b *box) set(change func(*box)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b)
}

// told returns the types of a recording's events.
func (b *box) told(sid string) []notify.Type {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []notify.Type
	for _, e := range b.events[sid] {
		out = append(out, e.Type)
	}
	return out
}

func tellingBench(t *testing.T, way string) (*bench, *box) {
	t.Helper()
	b := newBench(t, way)
	o := &box{events: map[string][]notify.Event{}, marks: map[string]notify.Event{}}
	b.cfg.Events = Events{
		Outbox: o, Wanted: func(app string) (bool, bool) { return app == "app1", true },
		Seal: func(_ string, b []byte) ([]byte, error) { return b, nil },
	}
	b.cfg.times.minute = 10 * time.Millisecond
	return b, o
}

// What a record says was told before: while the outbox is down, the recording
// is not done.
func TestToldBeforeDone(t *testing.T) {
	b, o := tellingBench(t, sane)
	b.open()
	sid := b.place()
	b.untilState(sid, session.Recording)
	b.eventually("a file is uploaded", func() bool { return slices.Contains(o.told(sid), notify.TypeFileInfos) })
	o.set(func(o *box) { o.down = true })
	if r := b.stop(sid, true); r.Code != 0 {
		t.Fatal(r.Code)
	}
	b.eventually("the worker ended", func() bool { return b.log.has("the record cannot be written") })
	if r := b.get(sid); r.State == session.Done || r.State == session.Uploading {
		t.Errorf("the record says %s and nobody was told", r.State)
	}
	o.set(func(o *box) { o.down = false })
	b.untilState(sid, session.Done)
	if got, want := o.told(sid), []notify.Type{30, 40, 13, 43, 4, 41, 31, 11}; !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
	b.close(true)
}

// A write whose answer was lost is not made twice.
func TestAnswersLost(t *testing.T) {
	b, o := tellingBench(t, sane)
	o.mute = true
	b.open()
	sid := b.place()
	b.untilState(sid, session.Recording)
	b.eventually("something is uploaded", func() bool { return slices.Contains(o.told(sid), notify.TypeFileInfos) })
	b.stop(sid, true)
	b.untilState(sid, session.Done)
	for i, e := range o.events[sid] {
		if e.Seq != int64(i) {
			t.Errorf("event %d has number %d", i, e.Seq)
		}
	}
	if got, want := o.told(sid), []notify.Type{30, 40, 13, 43, 4, 41, 31, 11}; !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
}

// Somebody else tells of the recording: it is not ours any more.
func TestToldByAnother(t *testing.T) {
	b, o := tellingBench(t, sane)
	b.open()
	sid := b.place()
	b.untilState(sid, session.Recording)
	b.eventually("something is uploaded", func() bool { return slices.Contains(o.told(sid), notify.TypeFileInfos) })
	o.set(func(o *box) {
		o.events[sid] = append(o.events[sid], notify.Event{ID: "another", SID: sid})
	})
	b.stop(sid, true)
	b.eventually("the node lets go", func() bool { return b.log.has("no longer ours") })
	if n := len(o.told(sid)); n != 6 {
		t.Errorf("%d events, the node went on telling", n)
	}
}

func TestMinutes(t *testing.T) {
	b, o := tellingBench(t, sane)
	b.open()
	sid := b.place()
	b.untilState(sid, session.Recording)
	for n := 1; n <= 2; n++ {
		b.clock.ahead.Add(int64(time.Minute))
		b.eventually("a minute is told", func() bool { return count(o.told(sid), notify.TypeUploadingProgress) == n })
	}
	b.stop(sid, true)
	b.untilState(sid, session.Done)
	if n := count(o.told(sid), notify.TypeUploadingProgress); n != 2 {
		t.Errorf("event 33 came %d times in two minutes", n)
	}
	for _, e := range o.events[sid] {
		if e.Type == notify.TypeUploadingProgress && !strings.Contains(string(e.Details), `"progress":`) {
			t.Errorf("%s", e.Details)
		}
	}
}

func count(all []notify.Type, t notify.Type) (n int) {
	for _, x := range all {
		if x == t {
			n++
		}
	}
	return n
}

// A second start, or a stop that comes twice, does not fit.
func TestMisfit(t *testing.T) {
	b, o := tellingBench(t, sane)
	b.closed.Store(true) // the files stay on their way
	b.open()
	sid := b.place()
	b.eventually("there is a playlist", func() bool { return len(b.get(sid).Files) > 0 })
	if _, err := b.ledger.Ask(t.Context(), sid, ledger.Command{Kind: ledger.CommandMisfit}); err != nil { // a second start
		t.Fatal(err)
	}
	b.eventually("the second start is told", func() bool { return slices.Contains(o.told(sid), notify.TypeStatusUpdate) })
	b.stop(sid, true)
	b.untilState(sid, session.Uploading)
	if r := b.stop(sid, true); r.Code != codeLeaving {
		t.Errorf("code %d", r.Code)
	}
	b.eventually("both are told", func() bool { return count(o.told(sid), notify.TypeStatusUpdate) == 2 })
	want := []string{`"status":4,"recordingMode":0,"fileList":"d1/`, `"status":7,"recordingMode":0,"fileList":"d1/`}
	for _, e := range o.events[sid] {
		if e.Type == notify.TypeStatusUpdate {
			if !strings.Contains(string(e.Details), want[0]) {
				t.Errorf("%s, want %s", e.Details, want[0])
			}
			want = want[1:]
		}
	}
}

// A recording whose worker cannot be kept alive tells that, and that it is over.
func TestToldOfFailure(t *testing.T) {
	b, o := tellingBench(t, crashes)
	b.open()
	sid := b.place()
	b.untilState(sid, session.Failed)
	b.eventually("the end is told", func() bool { return slices.Contains(o.told(sid), notify.TypeSessionExit) })
	if got, want := o.told(sid), []notify.Type{1, 41, 11}; !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
	if last := o.events[sid][2]; !strings.Contains(string(last.Details), `"exitStatus":1`) {
		t.Errorf("%s", last.Details)
	}
}

// Apps without an endpoint cost nothing.
func TestNobodyToTell(t *testing.T) {
	b, o := tellingBench(t, sane)
	b.open()
	sid := b.place(func(r *ledger.Record) { r.App, r.Plan.AppID = "app2", "app2" })
	b.untilState(sid, session.Recording)
	b.stop(sid, true)
	b.untilState(sid, session.Done)
	if o.asked != 0 {
		t.Errorf("the outbox was asked %d times", o.asked)
	}
}

// A page has other events than a channel.
func TestToldOfPage(t *testing.T) {
	b, o := tellingBench(t, sane)
	b.open()
	sid := b.place(func(r *ledger.Record) { r.Mode, r.Plan.Mode, r.Plan.Mixing = session.Web, session.Web, nil })
	b.untilState(sid, session.Recording)
	b.stop(sid, true)
	b.untilState(sid, session.Done)
	if got, want := o.told(sid), []notify.Type{71, 31, 11}; !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
}

// A recording that no node took fails, and its caller hears of it once.
func TestToldOfStray(t *testing.T) {
	b, o := tellingBench(t, sane)
	b.open()
	b.mintOK.Store(false)
	sid := b.claim()
	b.clock.ahead.Add(int64(2 * time.Hour))
	o.set(func(o *box) { o.down = true })
	b.node.sweep(t.Context())
	if r := b.get(sid); r.State == session.Failed {
		t.Error("it failed and nobody was told")
	}
	o.set(func(o *box) { o.down = false })
	b.node.sweep(t.Context())
	b.node.sweep(t.Context())
	if r := b.get(sid); r.State != session.Failed || !strings.HasPrefix(r.Reason, "no node took it") {
		t.Errorf("it is %s: %s", r.State, r.Reason)
	}
	if got, want := o.told(sid), []notify.Type{1, 11}; !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
}

// A record that the sweep read before its recording was over is not failed, and
// its caller hears nothing after event 11.
func TestStaleRecordTellsNothing(t *testing.T) {
	b, o := tellingBench(t, sane)
	b.open()
	sid := b.place()
	stale := b.untilState(sid, session.Recording)
	b.eventually("something is uploaded", func() bool { return slices.Contains(o.told(sid), notify.TypeFileInfos) })
	b.stop(sid, false)
	b.untilState(sid, session.Done)
	b.eventually("the keeper is gone", func() bool { known, _ := b.node.closed(sid); return !known })
	b.clock.ahead.Add(int64(2 * time.Hour))
	b.node.recoverRecord(t.Context(), stale)
	if got := o.told(sid); got[len(got)-1] != notify.TypeSessionExit || b.get(sid).State != session.Done {
		t.Errorf("told %v, state %s", got, b.get(sid).State)
	}
}
