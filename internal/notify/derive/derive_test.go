package derive

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"testing"
	"time"

	"tapedeck/internal/notify"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	sid  = "38f8e3cfdc474cd56fc1ceba380d7e1a"
	zero = 1_719_820_800_000_000 // Unix µs
)

func at(s float64) time.Time { return time.UnixMicro(zero + int64(s*1e6)) }

// step is one thing that happens; it is given to a deriver again and again.
type step func(d *Deriver)

// story is a recording as its node sees it.
type story struct {
	plan    session.Plan
	journal []spool.Fact
	steps   []step
	offset  int64
}

// fact adds a fact at s seconds.
func (x *story) fact(s float64, f spool.Fact) {
	f.At, f.Offset = at(s).UnixMicro(), int64(len(x.journal))*100
	x.journal = append(x.journal, f)
	x.steps = append(x.steps, func(d *Deriver) { d.Journal([]spool.Fact{f}, x.files()) })
}

func (x *story) receipt(s float64, name, state string) {
	r := Receipt{spool.Receipt{At: at(s).UnixMicro(), Name: name, Key: x.plan.FilePrefix + name, State: state, Note: "not in the spool"}, x.offset}
	x.offset += 50
	x.steps = append(x.steps, func(d *Deriver) { d.Receipts([]Receipt{r}) })
}

func (x *story) then(f step) { x.steps = append(x.steps, f) }

// files is what the node's view makes of the journal.
func (x *story) files() []session.File {
	var out []session.File
	for _, f := range x.journal {
		if f.Type == spool.FactIndex && !f.Unlisted || f.Type == spool.FactClosed && f.Kind == spool.KindMP4 {
			out = append(out, session.File{Name: x.plan.FilePrefix + f.Name, Track: f.Track, UID: f.UID, Mixed: x.plan.Mode == session.Mix, Playable: true, StartMilli: zero/1000 + f.StartMicro/1000})
		}
	}
	return out
}

func newStory(mode session.Mode) *story {
	x := &story{plan: session.Plan{SID: sid, AppID: "app1", CName: "demo", UID: 527841, Mode: mode, FilePrefix: "dir/"}}
	x.fact(0, spool.Fact{Type: spool.FactOpened, Incarnation: 1, ZeroMicro: zero})
	return x
}

func ready() spool.Fact { return spool.Fact{Type: spool.FactStatus, Status: int(session.StatusReady)} }

func begun(index, uid, track string, start, broken int64) spool.Fact {
	return spool.Fact{Type: spool.FactBegun, Kind: spool.KindSlice, Index: index, UID: uid, Track: track, StartMicro: start, BrokenMicro: broken}
}

// mixStory: a mix with HLS and MP4 whose worker dies once.
func mixStory() *story {
	x := newStory(session.Mix)
	x.fact(0.2, ready())
	x.fact(1, spool.Fact{Type: spool.FactStream, UID: "0", Track: session.TrackAudio})
	x.fact(1.1, spool.Fact{Type: spool.FactStream, UID: "0", Track: session.TrackVideo})
	x.fact(1.2, begun("S_demo.m3u8", "0", session.TrackBoth, 1_000_000, 0))
	x.fact(1.2, spool.Fact{Type: spool.FactBegun, Kind: spool.KindMP4, Name: "S_demo_0.mp4", StartMicro: 1_000_000})
	x.fact(16, spool.Fact{Type: spool.FactClosed, Kind: spool.KindSlice, Name: "a.ts", Index: "S_demo.m3u8", StartMicro: 1_000_000})
	x.fact(16, spool.Fact{Type: spool.FactIndex, Kind: spool.KindPlaylist, Name: "S_demo.m3u8", UID: "0", Track: session.TrackBoth, StartMicro: 1_000_000})
	x.fact(16, begun("S_demo.m3u8", "0", session.TrackBoth, 16_000_000, 0))
	x.receipt(16.5, "a.ts", spool.ReceiptUploaded)
	x.receipt(17, "S_demo.m3u8", spool.ReceiptUploaded)
	x.fact(20, spool.Fact{Type: spool.FactOpened, Incarnation: 2, ZeroMicro: zero})
	x.fact(20.2, ready())
	x.fact(21, begun("S_demo.m3u8", "0", session.TrackBoth, 21_000_000, 18_500_000))
	x.then(func(d *Deriver) { d.Trouble(Uploads{Retried: true, Refused: errors.New("access denied")}, at(30)) })
	x.then(func(d *Deriver) { d.Minute(Uploads{Bytes: 3, Total: 7}, at(59.9)) })
	x.then(func(d *Deriver) { d.Minute(Uploads{Bytes: 3, Total: 7}, at(60)) })
	x.then(func(d *Deriver) { d.Minute(Uploads{}, at(200)) })
	x.fact(210, spool.Fact{Type: spool.FactClosed, Kind: spool.KindMP4, Name: "S_demo_0.mp4", UID: "0", Track: session.TrackBoth, StartMicro: 1_000_000})
	x.fact(210, spool.Fact{Type: spool.FactStream, UID: "0", Track: session.TrackAudio, Status: 1})
	x.fact(210, spool.Fact{Type: spool.FactEnded, Note: spool.EndStop, Recorded: true})
	x.then(func(d *Deriver) { d.Exit(End{Files: x.files()}, at(211)) })
	return x
}

func individualStory() *story {
	x := newStory(session.Individual)
	x.fact(0.2, ready())
	x.fact(1, spool.Fact{Type: spool.FactStream, UID: "101", Track: session.TrackAudio})
	x.fact(1, begun("S__uid_s_101__uid_e_audio.m3u8", "101", session.TrackAudio, 900_000, 0))
	x.fact(2, begun("S__uid_s_102__uid_e_video.m3u8", "102", session.TrackVideo, 1_900_000, 0))
	x.fact(9, spool.Fact{Type: spool.FactWarn, Status: 2, Note: "something"})
	x.fact(16, spool.Fact{Type: spool.FactIndex, Kind: spool.KindPlaylist, Name: "S__uid_s_101__uid_e_av-audio.m3u8", Unlisted: true})
	x.receipt(16, "S__uid_s_101__uid_e_av-audio.m3u8", spool.ReceiptUploaded)
	x.receipt(17, "S__uid_s_101__uid_e_audio.m3u8", spool.ReceiptUploaded)
	x.receipt(18, "S__uid_s_102__uid_e_video.m3u8", spool.ReceiptUploaded)
	x.receipt(19, "lost.ts", spool.ReceiptRefused)
	x.fact(20, spool.Fact{Type: spool.FactStream, UID: "102", Track: session.TrackVideo, Status: 1})
	x.fact(60, spool.Fact{Type: spool.FactEnded, Note: spool.EndIdle, Recorded: true})
	x.then(func(d *Deriver) { d.Trouble(Uploads{Retried: true, RetriedBackup: true}, at(70)) })
	x.then(func(d *Deriver) { d.Exit(End{Backuped: true}, at(71)) })
	return x
}

func snapshotStory() *story {
	x := newStory(session.Individual)
	x.plan.NoFiles = true
	x.fact(0.2, ready())
	x.fact(1, spool.Fact{Type: spool.FactStream, UID: "101", Track: session.TrackVideo})
	for i := range 3 {
		x.receipt(float64(5*i+5), fmt.Sprintf("S__uid_s_101__uid_e_video_%d.jpg", i), spool.ReceiptUploaded)
	}
	x.fact(60, spool.Fact{Type: spool.FactEnded, Note: spool.EndStop, Recorded: true})
	x.then(func(d *Deriver) { d.Exit(End{}, at(61)) })
	return x
}

func webStory() *story {
	x := newStory(session.Web)
	x.plan.Page = &session.Page{MaxLength: 4 * time.Hour}
	x.fact(0.2, ready())
	x.fact(5, spool.Fact{Type: spool.FactPage, Note: "started"})
	x.fact(5, begun("S_web.m3u8", "0", session.TrackBoth, 5_000_000, 0))
	x.fact(6, spool.Fact{Type: spool.FactPush, Output: 0, Note: "publishing"})
	x.fact(7, spool.Fact{Type: spool.FactPage, Note: "reload", Reason: "audio_silence"})
	x.fact(8, spool.Fact{Type: spool.FactPage, Note: "onhold"})
	x.fact(9, spool.Fact{Type: spool.FactIndex, Kind: spool.KindPlaylist, Name: "S_web.m3u8", UID: "0", Track: session.TrackBoth, StartMicro: 5_000_000})
	x.receipt(9, "S_web.m3u8", spool.ReceiptUploaded)
	x.fact(9, spool.Fact{Type: spool.FactClosed, Kind: spool.KindMP4, Name: "S_web_0.mp4", UID: "0", Track: session.TrackBoth, StartMicro: 5_000_000})
	x.fact(10, spool.Fact{Type: spool.FactPage, Note: "limit", Reason: "WebGL"})
	x.fact(10, spool.Fact{Type: spool.FactEnded, Note: spool.EndMaxLength, Recorded: true})
	x.then(func(d *Deriver) { d.Minute(Uploads{}, at(90)) })
	x.then(func(d *Deriver) { d.Exit(End{Files: x.files()}, at(91)) })
	return x
}

// TestPageStopped pins event 71 of every end (events.md 5.5).
func TestPageStopped(t *testing.T) {
	for reason, want := range map[string]struct {
		code             int
		message, details string
	}{
		spool.EndStop:       {0, "ok", "stopped by the user"},
		spool.EndMaxLength:  {1, "max_recording_hour", "max recording hour is 4"},
		spool.EndCapability: {2, "capability_limit", "the page uses something that cannot be recorded"},
		spool.EndEngine:     {3, "start_engine_failed", "the recorder could not start"},
		spool.EndPageReady:  {4, "page_load_timeout", "the page did not say that it is ready"},
		spool.EndPageAccess: {5, "access_url_failed", "the page could not be opened"},
		spool.EndFault:      {6, "recorder_error", "the recorder failed"},
	} {
		x := newStory(session.Web)
		x.plan.Page = &session.Page{MaxLength: 4 * time.Hour}
		x.fact(1, spool.Fact{Type: spool.FactEnded, Note: reason})
		all := x.tell()
		var got notify.PageStopped
		if len(all) == 0 || all[len(all)-1].Type != 71 || json.Unmarshal(all[len(all)-1].Details, &got) != nil {
			t.Fatalf("%s: %+v", reason, all)
		}
		if got.Code != want.code || got.Message != want.message || got.Details != want.details || got.FileList == nil {
			t.Errorf("%s: %+v", reason, got)
		}
		if (len(all) == 2 && all[0].Type == 1) != (reason == spool.EndFault) {
			t.Errorf("%s: %d events", reason, len(all))
		}
	}
}

func refusedStory() *story {
	x := newStory(session.Mix)
	x.fact(1, spool.Fact{Type: spool.FactEnded, Note: spool.EndRefused})
	x.then(func(d *Deriver) { d.Exit(End{Failed: true}, at(2)) })
	return x
}

func stuckStory() *story {
	x := newStory(session.Mix)
	x.plan.Postponed = &session.Postpone{Kind: session.PostponeTranscode}
	x.fact(0.2, ready())
	x.then(func(d *Deriver) { d.GivenUp("the worker died 4 times", at(9)) })
	x.fact(10, spool.Fact{Type: spool.FactEnded, Note: spool.EndFault, Recorded: true})
	x.then(func(d *Deriver) { d.Misfit(session.StatusStopped, nil, at(11)) })
	x.then(func(d *Deriver) { d.Exit(End{Failed: true, Unsent: "uploads did not succeed within 24h"}, at(12)) })
	return x
}

func stories() map[string]*story {
	return map[string]*story{
		"mix": mixStory(), "individual": individualStory(), "snapshot": snapshotStory(), "web": webStory(), "refused": refusedStory(), "stuck": stuckStory(),
	}
}

func (x *story) recording() Recording {
	return Recording{Plan: x.plan, PushURL: func(int) string { return "rtmp://live.example.test/app/key" }}
}

func (x *story) tell() []notify.Event {
	d := New(x.recording(), notify.Event{})
	for _, s := range x.steps {
		s(d)
	}
	return d.Take()
}

// TestStories pins which events a recording has, in which order, with what.
func TestStories(t *testing.T) {
	for name, x := range stories() {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			for i, e := range x.tell() {
				if e.Seq != int64(i) || e.SID != sid || e.App != "app1" || e.CName != "demo" || e.UID != 527841 {
					t.Errorf("event %d: %+v", i, e)
				}
				fmt.Fprintf(&b, "%d %s +%dms %s %s\n", e.Seq, e.ID[len(sid)+1:], e.At-zero/1000, e.Scene, e.Details)
			}
			path := "testdata/" + name + ".golden"
			if *update {
				if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(want, b.Bytes()) {
				t.Errorf("got\n%swant\n%s", b.Bytes(), want)
			}
		})
	}
}

// TestDerivedAgain: a node that was killed after any event derives the rest,
// no event twice and none too few, although it sees everything again and in
// larger portions.
func TestDerivedAgain(t *testing.T) {
	for name, x := range stories() {
		whole := x.tell()
		for cut := range len(whole) + 1 {
			var last notify.Event
			if cut > 0 {
				last = roundTrip(t, whole[cut-1])
			}
			d := New(x.recording(), last)
			d.Journal(x.journal, x.files())
			for _, s := range x.steps {
				s(d)
			}
			got := append(append([]notify.Event(nil), whole[:cut]...), d.Take()...)
			same(t, fmt.Sprintf("%s cut at %d", name, cut), got, whole)
		}
	}
}

// same compares what was told, whatever the order of the logs was.
func same(t *testing.T, what string, got, want []notify.Event) {
	t.Helper()
	ids := map[string]int{}
	for i, e := range got {
		if e.Seq != int64(i) {
			t.Errorf("%s: event %d has sequence %d", what, i, e.Seq)
		}
		if e.Type != notify.TypeStatusUpdate { // a call is told when it is made
			ids[e.ID]++
		}
	}
	for _, e := range want {
		if e.Type != notify.TypeStatusUpdate {
			ids[e.ID]--
		}
	}
	for id, n := range ids {
		if n != 0 {
			t.Errorf("%s: %s is told %+d times", what, id, n)
		}
	}
}

func roundTrip(t *testing.T, e notify.Event) notify.Event {
	t.Helper()
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := notify.DecodeEvent(b)
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// TestKilledAtRandom: many crashes in one recording.
func TestKilledAtRandom(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		for name, x := range stories() {
			var kept []notify.Event
			for range 6 {
				var last notify.Event
				if len(kept) > 0 {
					last = kept[len(kept)-1]
				}
				d := New(x.recording(), last)
				upTo := r.IntN(len(x.steps) + 1)
				for _, s := range x.steps[:upTo] {
					s(d)
				}
				fresh := d.Take()
				kept = append(kept, fresh[:r.IntN(len(fresh)+1)]...)
			}
			var last notify.Event
			if len(kept) > 0 {
				last = kept[len(kept)-1]
			}
			d := New(x.recording(), last)
			for _, s := range x.steps {
				s(d)
			}
			same(t, fmt.Sprintf("%s, seed %d", name, seed), append(kept, d.Take()...), x.tell())
		}
	}
}

// Another node's logs begin anew, what is told once stays told.
func TestTakenOver(t *testing.T) {
	x := mixStory()
	whole := x.tell()
	rec := x.recording()
	rec.Epoch, rec.Plan.UID = 1, 99
	d := New(rec, whole[5])
	d.Failover(at(100))
	d.Failover(at(101))
	d.Journal([]spool.Fact{{Type: spool.FactOpened, ZeroMicro: zero, Incarnation: 1}, func() spool.Fact { f := ready(); f.Offset = 100; return f }()}, nil)
	got := d.Take()
	if len(got) != 2 || got[0].Type != notify.TypeSessionFailover || string(got[0].Details) != `{"msgName":"session_failover","newUid":99}` ||
		got[0].UID != 99 || got[1].Type != notify.TypeRecorderStarted || got[1].ID != sid+":1j100:40" || got[0].Seq != 6 {
		t.Errorf("%+v", got)
	}
}

// Event 11 is the last one, whatever comes up later.
func TestNothingAfterExit(t *testing.T) {
	x := mixStory()
	whole := x.tell()
	d := New(x.recording(), whole[len(whole)-1])
	d.Journal(x.journal, nil)
	d.GivenUp("its spool folder is gone", at(300))
	d.Trouble(Uploads{RetriedBackup: true}, at(300))
	d.Minute(Uploads{}, at(3000))
	d.Misfit(session.StatusExit, nil, at(300))
	d.Exit(End{Failed: true, Unsent: "late"}, at(300))
	if got := d.Take(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestRegistered(t *testing.T) {
	x := mixStory()
	rec := x.recording()
	rec.Registered = true
	d := New(rec, notify.Event{})
	d.Journal(x.journal, nil)
	got := d.Take()
	if got[1].Type != notify.TypeRecorderStarted || got[2].Type != notify.TypeSessionRegistered || got[2].ID != got[1].ID[:len(got[1].ID)-3]+".2:13" {
		t.Errorf("%+v", got[:3])
	}
}

func TestSealed(t *testing.T) {
	x := webStory()
	rec := x.recording()
	rec.Seal = func(b []byte) ([]byte, error) { return append([]byte("sealed "), b...), nil }
	d := New(rec, notify.Event{})
	d.Journal(x.journal, nil)
	for _, e := range d.Take() {
		if e.Type == notify.TypePushStatus && (e.Details != nil || !bytes.Contains(e.Sealed, []byte("/app/key"))) {
			t.Errorf("%+v", e)
		}
	}
}

func TestLeaveCodes(t *testing.T) {
	got := map[string][2]int{}
	for _, r := range []string{spool.EndStop, spool.EndIdle, spool.EndRoom, spool.EndRemoved, spool.EndRefused, spool.EndUnreached, spool.EndFault} {
		got[r] = [2]int{leaveCode(r, true), leaveCode(r, false)}
	}
	want := map[string][2]int{
		spool.EndStop: {16, 16}, spool.EndIdle: {4, 4}, spool.EndRoom: {6, 6}, spool.EndRemoved: {2, 0},
		spool.EndRefused: {2, 0}, spool.EndUnreached: {2, 0}, spool.EndFault: {2, 0},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}

func TestPageCodes(t *testing.T) {
	for i, r := range []string{spool.EndStop, spool.EndMaxLength, spool.EndCapability, spool.EndEngine, spool.EndPageReady, spool.EndPageAccess, spool.EndFault} {
		want := []string{"ok", "max_recording_hour", "capability_limit", "start_engine_failed", "page_load_timeout", "access_url_failed", "recorder_error"}[i]
		if s := pageStopped(session.Plan{}, r, nil); s.Code != i || s.Message != want || s.Details == "" || s.FileList == nil {
			t.Errorf("%s: %+v", r, s)
		}
	}
}
