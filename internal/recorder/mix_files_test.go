package recorder

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/probe"
)

// Sound without pictures and pictures without sound.
func TestMixOfOneKind(t *testing.T) {
	for _, streams := range []session.StreamTypes{session.AudioOnly, session.VideoOnly} {
		t.Run(fmt.Sprint(streams), func(t *testing.T) {
			plan := mixPlan()
			plan.Streams, plan.AudioProfile = streams, 2
			s := newStage(t, plan)
			a, c := s.actor(0), s.actor(2)
			a.stay(0, 20*second)
			c.stay(0, 20*second)
			s.run(5 * second)
			s.stop()
			want, kind := "h264", session.TrackVideo
			if !streams.Video() {
				want, kind = "aac", session.TrackAudio
			}
			p := s.playlist()
			if len(p.Slices) != 2 || (p.Slices[0].Duration-3*time.Second).Abs() > 22*time.Millisecond {
				t.Errorf("slices %+v", p.Slices)
			}
			if n := len(p.Slices[0].Tags); n != 1 {
				t.Errorf("tags %q", p.Slices[0].Tags)
			}
			length := time.Duration(5*second-s.mode.start) * time.Microsecond
			if d := p.Sum() - length; d < 0 || d > time.Second/15 {
				t.Errorf("%v of %v", p.Sum(), length)
			}
			for _, path := range []string{s.file(p.Slices[0].Name), s.mp4(0)} {
				clean(t, path)
				info, _, err := probe.Inspect(t.Context(), path)
				if err != nil || info.Codecs() != want {
					t.Errorf("%s: %+v, %v", filepath.Base(path), info, err)
				}
				if st, ok := info.Stream("audio"); ok && (st.Channels != 2 || st.Rate != 48000) {
					t.Errorf("%+v", st)
				}
			}
			facts, _, err := s.dir.ReadJournal(0)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range facts {
				if f.Type == spool.FactClosed && f.Kind != spool.KindReport && f.Track != kind {
					t.Errorf("%s is said to hold %s", f.Name, f.Track)
				}
			}
		})
	}
}

// Every frame rate of the API keeps its grid over slices; odd sizes become even.
func TestMixFrameRates(t *testing.T) {
	for _, fps := range []int{1, 7, 60} {
		t.Run(fmt.Sprint(fps), func(t *testing.T) {
			plan := mixPlan()
			plan.Mixing.FPS, plan.Mixing.Width, plan.Mixing.Height = fps, 161, 91
			plan.MP4 = fps != 1
			s := newStage(t, plan)
			a := s.actor(3)
			a.stay(0, 20*second)
			s.run(4 * second)
			s.stop()
			s.whole(s.mode.start, 4*second-s.mode.start, int64(fps))
			if !plan.MP4 {
				if _, err := os.Stat(s.mp4(0)); err == nil {
					t.Error("an MP4 that nobody asked for")
				}
				return
			}
			info, _, err := probe.Inspect(t.Context(), s.mp4(0))
			if v, _ := info.Stream("video"); err != nil || v.W != 162 || v.H != 92 || v.FrameRate != fmt.Sprintf("%d/1", fps) {
				t.Errorf("%+v, %v", info, err)
			}
			if fps < 10 {
				return // a flash of 100 ms may fall between two pictures
			}
			w := s.watch(probe.Whole())
			sync, ok := probe.SyncOf(probe.Offsets(w.Flashes(0), w.Beeps(2100)))
			if !ok || sync.Within(15*time.Millisecond) != nil {
				t.Errorf("flash and beep: %v", sync)
			}
		})
	}
}

// An MP4 that is full is followed by the next at a slice boundary, without a
// picture or a sample of sound lost between them.
func TestMixMP4Rollover(t *testing.T) {
	for name, settings := range map[string]Settings{"length": {MP4Length: 2 * second}, "size": {MP4Bytes: 100_000}} {
		t.Run(name, func(t *testing.T) { testMixRollover(t, settings) })
	}
}

func testMixRollover(t *testing.T, settings Settings) {
	s := newStageWith(t, mixPlan(), settings)
	s.actor(0).stay(0, 20*second)
	s.run(7 * second)
	s.stop()
	pictures, sound := 0, 0
	for n, want := range []time.Duration{3 * time.Second, 3 * time.Second, time.Second - time.Duration(s.mode.start)*time.Microsecond} {
		clean(t, s.mp4(n))
		pk, err := probe.Packets(t.Context(), s.mp4(n))
		if err != nil {
			t.Fatal(err)
		}
		v, _ := probe.SpanOf(pk, "video")
		a, _ := probe.SpanOf(pk, "audio")
		if !v.KeyFirst || v.First != 0 || (v.Length()-want).Abs() > time.Second/15 || a.First > 22*time.Millisecond || (a.End-v.End).Abs() > 45*time.Millisecond {
			t.Errorf("MP4 %d: video %+v, audio %+v, want %v", n, v, a, want)
		}
		pictures, sound = pictures+v.Packets, sound+a.Packets
	}
	vs, as := 0, 0
	for _, sl := range s.playlist().Slices {
		pk, err := probe.Packets(t.Context(), s.file(sl.Name))
		if err != nil {
			t.Fatal(err)
		}
		v, _ := probe.SpanOf(pk, "video")
		a, _ := probe.SpanOf(pk, "audio")
		vs, as = vs+v.Packets, as+a.Packets
	}
	if pictures != vs || sound != as {
		t.Errorf("the MP4s hold %d pictures and %d frames of sound, the slices %d and %d", pictures, sound, vs, as)
	}
}

func TestMP4Full(t *testing.T) {
	m := &mp4File{file: &MP4{start: second}}
	if m.full(7200*second, mp4Length, mp4Bytes) || !m.full(7201*second, mp4Length, mp4Bytes) {
		t.Error("two hours are not two hours")
	}
	m.big = mp4Bytes
	if !m.full(2*second, mp4Length, mp4Bytes) {
		t.Error("2 GB are not full")
	}
}

// A worker was killed; the next one goes on in the same playlist, after a
// discontinuity, with its own MP4.
func TestMixGoesOn(t *testing.T) {
	plan := mixPlan()
	s := newStage(t, plan)
	a := s.actor(0)
	a.stay(0, 30*second)
	s.run(5 * second)
	if err := s.out.Close(); err != nil { // the rest of the worker is just gone
		t.Fatal(err)
	}
	s.now = 7 * second
	var later []cue
	for _, c := range s.script { // nobody heard what was said meanwhile
		if c.at >= s.now {
			later = append(later, c)
		}
	}
	s.script = later
	s.open(plan)
	s.script = append(s.script, cue{s.now, started(a, true)}, cue{s.now, started(a, false)})
	s.run(11 * second)
	s.stop()
	p := s.playlist()
	if len(p.Slices) < 4 || !p.Ended {
		t.Fatalf("%+v", p)
	}
	cuts := 0
	for i, sl := range p.Slices {
		clean(t, s.file(sl.Name))
		if sl.Discontinuity {
			cuts++
			if i > 0 && (len(sl.Tags) != 2 || sl.UTC.Before(mixZero.Add(6900*time.Millisecond))) {
				t.Errorf("slice %d after the interruption: %+v", i, sl)
			}
		}
	}
	if cuts != 2 {
		t.Errorf("%d discontinuities", cuts)
	}
	clean(t, s.file(mixSID+"_room.m3u8"))
	for n := range 2 {
		clean(t, s.mp4(n))
	}
}

// started announces one of an actor's tracks.
func started(a *actor, video bool) channel.Event {
	t := a.at
	if video {
		t = a.vt
	}
	if t == nil {
		t = cameraTrack(a.user.UID, "x")
	}
	return channel.Started{Track: t, At: a.s.now}
}

// Run leaves nothing behind in an empty room.
func TestMixRunOfNobody(t *testing.T) {
	s := newStage(t, mixPlan())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.mode.Run(ctx) }()
	s.mode.Handle(started(s.actor(0), true))
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if s.mode.Recorded() {
		t.Error("an empty room was recorded")
	}
	all, err := os.ReadDir(filepath.Dir(s.file("x")))
	if err != nil || len(all) > 0 {
		t.Errorf("files of an empty room: %v, %v", all, err)
	}
}

// Run follows the output's clock and, when told to stop, writes at once what
// it holds back.
func TestMixRun(t *testing.T) {
	plan := mixPlan()
	plan.SliceLength = time.Second
	s := newStage(t, plan)
	if err := s.out.Close(); err != nil {
		t.Fatal(err)
	}
	s.mode.close()
	var err error
	if s.dir, err = spool.Create(t.TempDir(), mixSID); err != nil {
		t.Fatal(err)
	}
	s.wall = true
	s.open(plan)
	s.actor(0).stay(0, 20*second)
	slices.SortStableFunc(s.script, func(a, b cue) int { return int(a.at - b.at) })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.mode.Run(ctx) }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for s.now < 1500*milli {
		<-tick.C
		s.now = s.out.Clock().Now()
		s.deliver()
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	stopped := s.out.Clock().Now()
	t.Logf("closed %d ms after the stop", (stopped-s.now)/milli)
	if err := s.out.Ended(spool.EndStop, s.mode.Recorded()); err != nil {
		t.Fatal(err)
	}
	p := s.playlist()
	if got, least, most := p.Sum(), time.Duration(s.now-s.mode.start)*time.Microsecond, time.Duration(stopped-s.mode.start)*time.Microsecond; got < least || got > most+time.Second/15 {
		t.Errorf("%v were written, want %v to %v", got, least, most)
	}
	if left := s.parts(); len(left) > 0 || !p.Ended {
		t.Errorf("unfinished: %q, ended %v", left, p.Ended)
	}
	clean(t, s.mp4(0))
}

// The spool's folder vanishes under a running mix: the fault comes back.
func TestMixFault(t *testing.T) {
	s := newStage(t, mixPlan())
	s.actor(0).stay(0, 20*second)
	s.run(1 * second)
	if err := os.Rename(filepath.Dir(s.file("x")), filepath.Join(t.TempDir(), "gone")); err != nil {
		t.Fatal(err)
	}
	var err error
	for err == nil && s.now < 8*second {
		s.now += 20 * milli
		s.deliver()
		_, err = s.mode.round(s.now)
	}
	if err == nil {
		t.Error("a mix without a folder goes on")
	}
	if s.mode.salvage(err) == nil {
		t.Error("the cause is lost")
	}
}

func TestNewMixRefuses(t *testing.T) {
	s := newStage(t, mixPlan())
	plan := mixPlan()
	plan.Mixing = nil
	if _, err := newMix(plan, Settings{}, s.out, newTwin(), nil); err == nil {
		t.Error("a mix without a canvas")
	}
	plan = mixPlan()
	plan.Mixing.FPS = 0
	if _, err := newMix(plan, Settings{}, s.out, newTwin(), nil); err == nil {
		t.Error("a mix without a frame rate")
	}
}
