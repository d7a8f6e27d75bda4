package node

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

const zero = 1_783_080_000_000_000 // Unix µs

var (
	opened  = spool.Fact{Type: spool.FactOpened, Incarnation: 1, ZeroMicro: zero}
	ready   = spool.Fact{Type: spool.FactStatus, At: zero + 500, Status: int(session.StatusReady)}
	slice   = spool.Fact{Type: spool.FactClosed, Kind: spool.KindSlice, Name: "a1.ts", Index: "a.m3u8", StartMicro: 250_000}
	index   = spool.Fact{Type: spool.FactIndex, Kind: spool.KindPlaylist, Name: "a.m3u8", Track: session.TrackAudio, UID: "7", Playable: true}
	stopped = spool.Fact{Type: spool.FactEnded, At: zero + 9_000_000, Note: spool.EndStop, Recorded: true}
)

func ended(reason string, recorded bool) spool.Fact {
	return spool.Fact{Type: spool.FactEnded, At: zero + 9_000_000, Note: reason, Recorded: recorded}
}

func TestApply(t *testing.T) {
	type want struct {
		state    session.State
		status   session.Status
		upload   string
		recorded bool
		reason   string
	}
	for _, c := range []struct {
		name  string
		from  session.State
		facts []spool.Fact
		rest  progress
		want  want
	}{
		{"nothing yet", session.Starting, nil, progress{}, want{session.Starting, 0, "", false, ""}},
		{"opened", session.Starting, []spool.Fact{opened}, progress{}, want{session.Starting, 0, "", false, ""}},
		{"in the channel", session.Starting, []spool.Fact{opened, ready}, progress{}, want{session.Recording, 4, "", false, ""}},
		{"a slice", session.Recording, []spool.Fact{opened, ready, slice}, progress{}, want{session.Recording, 4, "", true, ""}},
		{"first upload", session.Recording, []spool.Fact{opened, ready, slice, index}, progress{uploaded: true}, want{session.Recording, 5, "", true, ""}},
		{"upload before the playlist", session.Recording, []spool.Fact{opened, ready, slice}, progress{uploaded: true}, want{session.Recording, 4, "", true, ""}},
		{"stop was ordered", session.Stopping, []spool.Fact{opened, ready, slice}, progress{uploaded: true}, want{session.Stopping, 0, "", true, ""}},
		{"ended", session.Stopping, []spool.Fact{opened, ready, slice, stopped}, progress{}, want{session.Uploading, 7, session.UploadUnknown, true, "stop"}},
		{"idle exit", session.Recording, []spool.Fact{opened, ready, ended(spool.EndIdle, false)}, progress{}, want{session.Uploading, 7, session.UploadUnknown, false, "idle"}},
		{"shipped", session.Uploading, []spool.Fact{opened, ready, slice, stopped}, progress{shipped: true, uploaded: true}, want{session.Done, 8, session.UploadUploaded, true, "stop"}},
		{"shipped to the backup", session.Uploading, []spool.Fact{opened, ready, slice, stopped}, progress{shipped: true, backuped: true}, want{session.Done, 8, session.UploadBackuped, true, "stop"}},
		{"all at once", session.Starting, []spool.Fact{opened, ready, slice, stopped}, progress{shipped: true}, want{session.Done, 8, session.UploadUploaded, true, "stop"}},
		{"wrong key", session.Starting, []spool.Fact{opened, ended(spool.EndRefused, false)}, progress{}, want{session.Failed, 20, session.UploadUnknown, false, "refused"}},
		{"no server", session.Starting, []spool.Fact{opened, ended(spool.EndUnreached, false)}, progress{}, want{session.Failed, 20, session.UploadUnknown, false, "unreached"}},
		{"no page", session.Starting, []spool.Fact{opened, ended(spool.EndPageAccess, false)}, progress{}, want{session.Failed, 20, session.UploadUnknown, false, "access_url_failed"}},
		{"page beyond a limit", session.Recording, []spool.Fact{opened, ready, slice, ended(spool.EndCapability, true)}, progress{shipped: true}, want{session.Done, 8, session.UploadUploaded, true, "capability_limit"}},
		{"key changed while recording", session.Recording, []spool.Fact{opened, ready, slice, ended(spool.EndRefused, true)}, progress{shipped: true}, want{session.Done, 8, session.UploadUploaded, true, "refused"}},
		{"full disk", session.Recording, []spool.Fact{opened, ready, slice, ended(spool.EndFault, true)}, progress{}, want{session.Uploading, 7, session.UploadUnknown, true, "fault"}},
		{"worker given up", session.Recording, []spool.Fact{opened, ready, slice}, progress{failure: "died"}, want{session.Failed, 20, "", true, "died"}},
		{"given up, shipped", session.Failed, []spool.Fact{opened, ready, slice, ended(spool.EndFault, true)}, progress{failure: "died", shipped: true}, want{session.Failed, 20, session.UploadUploaded, true, "died"}},
		{"uploads given up", session.Uploading, []spool.Fact{opened, ready, slice, stopped}, progress{givenUp: "late"}, want{session.Failed, 20, session.UploadUnknown, true, "late"}},
		{"done stays done", session.Done, []spool.Fact{opened, ready}, progress{failure: "late news"}, want{session.Done, 0, "", false, "late news"}},
	} {
		p := c.rest
		for _, f := range c.facts {
			p.view.add(f)
		}
		r := ledger.Record{State: c.from}
		p.apply(&r)
		once := r
		p.apply(&r)
		if got := (want{r.State, r.Status, r.Uploading, r.Recorded, r.Reason}); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		if !reflect.DeepEqual(once, r) {
			t.Errorf("%s: applied twice: %+v then %+v", c.name, once, r)
		}
	}
}

func TestFileList(t *testing.T) {
	later, hidden, mp4 := slice, index, spool.Fact{Type: spool.FactClosed, Kind: spool.KindMP4, Name: "a_0.mp4", Track: session.TrackBoth, UID: "0", StartMicro: 1_000_000}
	later.StartMicro = 15_000_000
	hidden.Name, hidden.Unlisted = "hidden.m3u8", true
	orphan := spool.Fact{Type: spool.FactIndex, Name: "b.m3u8", Track: session.TrackVideo, UID: "8", StartMicro: 2_000_000}
	var v view
	for _, f := range []spool.Fact{opened, later, slice, index, hidden, index, orphan, mp4} {
		v.add(f)
	}
	plan := session.Plan{Mode: session.Individual, FilePrefix: "d1/"}
	want := []session.File{
		{Name: "d1/a.m3u8", Track: session.TrackAudio, UID: "7", Playable: true, StartMilli: zero/1000 + 250},
		{Name: "d1/b.m3u8", Track: session.TrackVideo, UID: "8", StartMilli: zero/1000 + 2000},
		{Name: "d1/a_0.mp4", Track: session.TrackBoth, UID: "0", Playable: true, StartMilli: zero/1000 + 1000},
	}
	if got := v.list(plan); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if v.first != zero+250_000 {
		t.Errorf("first slice at %d", v.first)
	}
	plan.Mode = session.Mix
	if got := v.list(plan)[0]; got.UID != "0" || !got.Mixed {
		t.Errorf("in a mix: %+v", got)
	}
}

func TestCosts(t *testing.T) {
	mix := func(w, h, fps int) session.Plan {
		return session.Plan{Mode: session.Mix, Streams: session.Both, Mixing: &session.Mixing{Width: w, Height: h, FPS: fps}}
	}
	individual := func(users ...uint32) session.Plan {
		l := session.UIDList{All: len(users) == 0, Allow: users}
		return session.Plan{Mode: session.Individual, Streams: session.Both, Subscription: session.Subscription{Audio: l, Video: l}}
	}
	audio := mix(640, 360, 15)
	audio.Streams = session.AudioOnly
	for _, c := range []struct {
		name      string
		plan      session.Plan
		low, high float64 // of the measurements behind the table
	}{
		{"mix 360p15", mix(640, 360, 15), 0.053, 0.08},
		{"mix 720p30", mix(1280, 720, 30), 0.22, 0.41},
		{"mix of sound", audio, 0.013, 0.04},
		{"individual, one user", individual(1), 0.011, 0.03},
		{"individual, unknown users", individual(), 0.044, 0.09},
	} {
		if got := DefaultCosts().Of(c.plan); got < c.low || got > c.high {
			t.Errorf("%s: %.3f cores", c.name, got)
		}
	}
}

func TestAdmission(t *testing.T) {
	a := newAdmission(Costs{MixAudio: 0.5}, 2) // 1.4 cores may be planned
	plan := session.Plan{Mode: session.Mix}
	for _, sid := range []string{"a", "b"} {
		if err := a.reserve(sid, plan); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.reserve("c", plan); err == nil || !strings.Contains(err.Error(), "node.cores") {
		t.Errorf("third: %v", err)
	}
	a.book("c", plan) // it runs already
	if n, used := a.used(); n != 3 || math.Abs(used-1.5) > 1e-9 {
		t.Errorf("%d recordings, %v cores", n, used)
	}
	for _, sid := range []string{"a", "b", "c", "never"} {
		a.release(sid)
	}
	a.costs.MixAudio = 100
	if err := a.reserve("big", plan); err != nil {
		t.Errorf("an idle node refuses its first: %v", err)
	}
}

func TestBudget(t *testing.T) {
	start := time.Unix(1000, 0)
	var b budget
	for i, c := range []struct {
		after time.Duration
		pause time.Duration
		ok    bool
	}{
		{0, 0, true}, {time.Second, restartPause, true}, {2 * time.Second, 2 * restartPause, true},
		{3 * time.Second, 0, false}, {59 * time.Second, 0, false},
		{60 * time.Second, 2 * restartPause, true}, // the first one is a minute ago
		{60 * time.Second, 0, false}, {10 * time.Minute, 0, true},
	} {
		if pause, ok := b.take(start.Add(c.after)); pause != c.pause || ok != c.ok {
			t.Errorf("%d: %v %v, want %v %v", i, pause, ok, c.pause, c.ok)
		}
	}
}
