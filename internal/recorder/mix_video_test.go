package recorder

import (
	"fmt"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
	"tapedeck/internal/testkit/probe"
)

// watch decodes the MP4 of a finished recording; times are the recording's.
func (s *stage) watch(regions ...probe.Region) *probe.Watched {
	s.t.Helper()
	w, err := probe.Watch(s.t.Context(), []probe.Segment{{Path: s.mp4(0), Shift: time.Duration(s.mode.start) * time.Microsecond}}, regions...)
	if err != nil {
		s.t.Fatal(err)
	}
	if len(w.Warnings) > 0 {
		s.t.Errorf("ffmpeg: %q", w.Warnings)
	}
	return w
}

// expect checks the colour of region i over a stretch of time, but for flashes
// and the few pictures in which a moving bar crosses it.
func expect(t *testing.T, w *probe.Watched, i int, from, to time.Duration, colour [3]float64) {
	t.Helper()
	n, wrong := 0, []string(nil)
	for _, f := range w.Frames {
		if f.At < from || f.At >= to || f.Sight[i].Y > 180 {
			continue
		}
		if n++; !shows(f.Sight[i], colour) {
			r, g, b := f.Sight[i].RGB()
			wrong = append(wrong, fmt.Sprintf("%v: %.0f %.0f %.0f", f.At, r, g, b))
		}
	}
	if n == 0 || len(wrong)*4 > n {
		t.Errorf("region %d, %v to %v: %d of %d pictures do not show %v: %q", i, from, to, len(wrong), n, colour, wrong)
	}
}

// quarter lies in the first cell of two or more, clock where the only user's
// running clock is seen.
var (
	quarter = probe.Region{X: 0.1, Y: 0.1, W: 0.2, H: 0.3}
	clock   = probe.Region{X: 0.25, Y: 0.58, W: 0.5, H: 0.14}
)

// A new layout, new colour and a new subscription hold from the next picture
// on, without a black one, a new file or a new encoder.
func TestMixChangesWhileItRuns(t *testing.T) {
	plan := mixPlan()
	plan.SliceLength = 15 * time.Second
	s := newStage(t, plan)
	a, b := s.actor(0), s.actor(1)
	a.stay(0, 20*second)
	b.stay(0, 20*second)
	s.run(2 * second)
	s.mode.Layout(session.Layout{Kind: 2, MaxUID: 102, Background: "#00A000"}) // 102 large at the left
	s.run(4 * second)
	s.mode.Subscribe(session.Subscription{Audio: session.UIDList{All: true}, Video: session.UIDList{All: true, Deny: []uint32{102}}})
	s.run(6 * second)
	s.mode.Subscribe(session.Subscription{Audio: session.UIDList{All: true, Deny: []uint32{102}}, Video: session.UIDList{Allow: []uint32{102}}})
	s.run(8 * second)
	s.stop()

	left := probe.Region{X: 0.05, Y: 0.2, W: 0.1, H: 0.6}
	right := probe.Region{X: 0.85, Y: 0.05, W: 0.1, H: 0.1}
	w := s.watch(left, right, probe.Whole())
	green := [3]float64{0, 160, 0}
	expect(t, w, 0, time.Second, 1950*time.Millisecond, a.colour())
	expect(t, w, 1, time.Second, 1950*time.Millisecond, b.colour())
	expect(t, w, 0, 2050*time.Millisecond, 3950*time.Millisecond, b.colour())
	expect(t, w, 1, 2050*time.Millisecond, 3950*time.Millisecond, a.colour())
	expect(t, w, 0, 4050*time.Millisecond, 5950*time.Millisecond, green) // not subscribed: place without picture
	expect(t, w, 1, 4050*time.Millisecond, 5950*time.Millisecond, a.colour())
	expect(t, w, 0, 6500*time.Millisecond, 8*time.Second, b.colour()) // back at its next key frame
	expect(t, w, 1, 6050*time.Millisecond, 8*time.Second, green)      // 101 still has a place for its sound
	if n := w.Blacks(2); len(n) > 0 {
		t.Errorf("black pictures at %v", n)
	}
	if n := len(w.Beeps(600)); n != 8 {
		t.Errorf("user 101 is heard %d times of 8", n)
	}
	if n := len(w.Beeps(1000)); n != 6 {
		t.Errorf("user 102 is heard %d times of 6", n)
	}
	s.whole(s.mode.start, 8*second-s.mode.start, 15)
	if _, ok := s.src.sizes[b.vt.ID]; !ok {
		t.Error("the source was never asked for a size")
	}
}

// The last picture of a muted camera stays; a shared screen takes its place
// while it lasts.
func TestMixMuteAndScreen(t *testing.T) {
	plan := mixPlan()
	plan.SliceLength = 15 * time.Second
	s := newStage(t, plan)
	a, screen := s.actor(0), s.actor(1)
	a.drop = func(video bool, n int64) bool { return video && n >= 60 && n < 120 } // muted from 2 to 4 s
	a.stay(0, 20*second)
	orange := screen.colour()
	screen.user, screen.kind, screen.audio = a.user, channel.Screen, nil
	st := screen.send(screen.video, channel.Screen, 5*second, 7*second)
	s.run(9 * second)
	s.stop()
	w := s.watch(quarter, clock)
	expect(t, w, 0, time.Second, 5*time.Second, a.colour())
	if f := w.Freezes(1, 1500*time.Millisecond, 0, 9*time.Second); len(f) != 1 || f[0].Start > 2100*time.Millisecond {
		t.Errorf("the picture stands still at %v", f)
	}
	expect(t, w, 0, 5500*time.Millisecond, 6900*time.Millisecond, orange)
	expect(t, w, 0, 7500*time.Millisecond, 9*time.Second, a.colour())
	if s.src.keys[a.vt.ID] == 0 {
		t.Error("no key frame was asked for when the camera came back")
	}
	if got := s.src.sizes[st.ID]; got[0] < 636 {
		t.Errorf("the screen was asked for in %v", got)
	}
}

// The camera is switched off while its user stays: the last picture stays too,
// also in a new layout. It goes when the user goes.
func TestMixKeepsTheLastPicture(t *testing.T) {
	plan := mixPlan()
	plan.SliceLength = 15 * time.Second
	s := newStage(t, plan)
	a, b := s.actor(0), s.actor(2)
	b.stay(0, 20*second)
	s.cue(0, channel.Joined{User: a.user})
	a.vt = a.send(a.video, channel.Camera, 50*milli, 1900*milli)
	s.run(2500 * milli)
	s.mode.Layout(session.Layout{Kind: 2, MaxUID: 101, Background: "#404040"})
	s.run(3500 * milli)
	s.cue(3600*milli, channel.Left{User: a.user, At: 3600 * milli})
	s.run(4500 * milli)
	s.stop()
	w := s.watch(probe.Region{X: 0.6, Y: 0.1, W: 0.3, H: 0.8}, probe.Region{X: 0.05, Y: 0.4, W: 0.1, H: 0.2})
	expect(t, w, 0, time.Second, 2450*time.Millisecond, a.colour()) // second of two
	expect(t, w, 1, 0, 2450*time.Millisecond, backdrop)
	expect(t, w, 1, 2550*time.Millisecond, 3550*time.Millisecond, a.colour()) // large
	expect(t, w, 1, 3650*time.Millisecond, 4500*time.Millisecond, backdrop)
}

// Lost frames: the picture goes on, nothing green is seen, a key frame is asked
// for; a stream without a key frame shows the background until one comes.
func TestMixLoss(t *testing.T) {
	plan := mixPlan()
	plan.SliceLength = 15 * time.Second
	s := newStage(t, plan)
	a, b := s.actor(0), s.actor(1)
	a.drop = func(video bool, n int64) bool { return video && n%31 == 5 || !video && (n%23 == 4 || n%50 == 11) }
	b.drop = func(video bool, n int64) bool { return video && n < 65 && n%10 == 0 || n > 150 && n%17 == 3 } // no key frame before 2.33 s
	a.stay(0, 20*second)
	b.stay(0, 20*second)
	s.run(8 * second)
	s.stop()
	w := s.watch(quarter, probe.Region{X: 0.6, Y: 0.1, W: 0.3, H: 0.8}, probe.Whole())
	expect(t, w, 0, 500*time.Millisecond, 8*time.Second, a.colour())
	expect(t, w, 1, 0, 2300*time.Millisecond, backdrop)
	expect(t, w, 1, 2500*time.Millisecond, 8*time.Second, b.colour())
	if n := len(w.Broken(2)); n > 0 {
		t.Errorf("%d broken pictures", n)
	}
	for _, id := range []string{a.vt.ID, b.vt.ID} {
		if s.src.keys[id] == 0 {
			t.Errorf("no key frame of %s was asked for", id)
		}
	}
	if n := len(w.Beeps(600)); n != 8 {
		t.Errorf("user 101 is heard %d times of 8", n)
	}
	facts, _, err := s.dir.ReadJournal(0)
	if err != nil {
		t.Fatal(err)
	}
	told := false
	for _, f := range facts {
		told = told || f.Type == "gap" && f.UID == "101"
	}
	if !told {
		t.Error("the journal does not tell what was restored")
	}
}

// A room of twenty: seventeen are drawn, everybody is heard, the source is told
// how large each is drawn, and the eighteenth takes the place of one who leaves.
func TestMixOfTwenty(t *testing.T) {
	plan := mixPlan()
	plan.SliceLength = 15 * time.Second
	s := newStage(t, plan)
	b := s.actor(3)
	colour := b.colour()
	var tracks []*channel.Track
	for i := range 20 {
		b.user = person(uint32(200 + i))
		if i > 0 {
			b.audio = nil
		}
		end := 20 * second
		if i == 0 {
			end = 1500 * milli
		}
		b.stay(media.Time(i)*milli, end)
		tracks = append(tracks, b.vt)
	}
	s.run(1400 * milli)
	sizes := func() (seen, hidden int) {
		for _, tr := range tracks {
			switch w, h := s.src.sizes[tr.ID][0], s.src.sizes[tr.ID][1]; {
			case w == unseen && h == unseen:
				hidden++
			case w >= 126 && w <= 134 && h >= 70 && h <= 76: // 0.2 of 640x360
				seen++
			default:
				t.Errorf("asked for %dx%d of %s", w, h, tr.ID)
			}
		}
		return seen, hidden
	}
	if seen, hidden := sizes(); seen != 17 || hidden != 3 {
		t.Errorf("%d of 20 are drawn, %d not", seen, hidden)
	}
	s.run(3500 * milli)
	s.src.sizes[tracks[0].ID] = [2]int{unseen, unseen} // has left
	if seen, hidden := sizes(); seen != 17 || hidden != 3 {
		t.Errorf("%d of 20 are drawn after one left, %d not", seen, hidden)
	}
	s.stop()
	w := s.watch(probe.Region{X: 0.42, Y: 0.82, W: 0.16, H: 0.16}, probe.Region{X: 0.12, Y: 0.02, W: 0.16, H: 0.16})
	expect(t, w, 0, 800*time.Millisecond, 1450*time.Millisecond, colour)
	expect(t, w, 0, 2*time.Second, 3500*time.Millisecond, colour) // somebody else, from the next key frame on
	expect(t, w, 1, 800*time.Millisecond, 3500*time.Millisecond, colour)
}

// What a mix cannot keep up with is repeated, never left out; a short pause
// costs nothing.
func TestMixLate(t *testing.T) {
	for _, tc := range []struct{ pause, freezes int }{{2, 0}, {5, 1}} {
		t.Run(fmt.Sprintf("%d s", tc.pause), func(t *testing.T) {
			testMixLate(t, media.Time(tc.pause)*second, tc.freezes)
		})
	}
}

func testMixLate(t *testing.T, pause media.Time, freezes int) {
	plan := mixPlan()
	plan.SliceLength = 15 * time.Second
	s := newStage(t, plan)
	a := s.actor(0)
	a.stay(0, 20*second)
	s.run(2 * second)
	s.now += pause // the process slept
	s.deliver()
	for range 8 { // rounds without time passing: it catches up
		if _, err := s.mode.round(s.now); err != nil {
			t.Fatal(err)
		}
	}
	end := 2*second + pause + 2*second
	s.run(end)
	s.stop()
	s.whole(s.mode.start, end-s.mode.start, 15)
	w := s.watch(quarter, clock)
	last := time.Duration(end) * time.Microsecond
	expect(t, w, 0, 500*time.Millisecond, last, a.colour())
	if n, want := len(w.Beeps(600)), int(end/second); n != want {
		t.Errorf("heard %d times of %d", n, want)
	}
	if f := w.Freezes(1, time.Second, 0, last); len(f) != freezes {
		t.Errorf("the picture stands still at %v, want %d times", f, freezes)
	}
	if f := w.Freezes(1, 300*time.Millisecond, last-2*time.Second, last-100*time.Millisecond); len(f) != 0 {
		t.Errorf("it still stands after catching up: %v", f)
	}
}
