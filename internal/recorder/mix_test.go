package recorder

import (
	"testing"
	"time"

	"tapedeck/internal/testkit/probe"
)

// cell is a quarter of a best-fit picture, without its edges.
func cell(i int) probe.Region {
	return probe.Region{X: float64(i%2)*0.5 + 0.1, Y: float64(i/2)*0.5 + 0.1, W: 0.3, H: 0.3}
}

// sight returns what region i showed at a time.
func sight(w *probe.Watched, at time.Duration, i int) probe.Sight {
	var s probe.Sight
	for _, f := range w.Frames {
		if f.At > at {
			break
		}
		s = f.Sight[i]
	}
	return s
}

// Four users, one of them without video, one who leaves and returns: everybody
// is seen and heard where and when they were, in step, in slices and MP4.
func TestMixOfFour(t *testing.T) {
	s := newStage(t, mixPlan())
	a, b, c, d := s.actor(0), s.actor(1), s.actor(2), s.actor(3)
	a.stay(200*milli, 20*second)
	b.stay(700*milli, 20*second)
	c.stay(900*milli, 20*second)
	d.stay(1100*milli, 4*second)
	d.stay(6*second, 20*second)
	s.run(10 * second)
	s.stop()

	// User 101's tracks begin at 250 ms: the first packet of sound is that of
	// 260 ms, whose content begins 6.5 ms earlier.
	const first = 253 * milli
	p := s.whole(first, 10*second-first, 15)
	if len(p.Slices) != 4 {
		t.Errorf("%d slices", len(p.Slices))
	}
	if tags := p.Slices[0].Tags; len(tags) != 2 {
		t.Errorf("tags %q", tags)
	}
	if left := s.parts(); len(left) > 0 {
		t.Errorf("unfinished: %q", left)
	}
	clean(t, s.mp4(0))
	info, _, err := probe.Inspect(t.Context(), s.mp4(0))
	if err != nil || info.Codecs() != "h264+aac" || (info.Duration-9747*time.Millisecond).Abs() > 80*time.Millisecond {
		t.Errorf("MP4: %+v, %v", info, err)
	}

	var names []string
	for _, sl := range p.Slices {
		names = append(names, s.file(sl.Name))
	}
	ts := probe.Concat(names)
	ts.Shift = -10 * time.Second
	for name, seg := range map[string]probe.Segment{"slices": ts, "MP4": {Path: s.mp4(0), Shift: time.Duration(first) * time.Microsecond}} {
		t.Run(name, func(t *testing.T) { s.fourAreThere(t, seg, a, b, d) })
	}
}

// fourAreThere looks at and listens to a mix of TestMixOfFour.
func (s *stage) fourAreThere(t *testing.T, seg probe.Segment, a, b, d *actor) {
	w, err := probe.Watch(t.Context(), []probe.Segment{seg}, cell(0), cell(1), cell(2), cell(3), probe.Whole())
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Warnings) > 0 {
		t.Errorf("ffmpeg: %q", w.Warnings)
	}
	if n := len(w.Broken(4)); n > 0 {
		t.Errorf("%d broken pictures", n)
	}
	for _, k := range []struct {
		at   time.Duration
		cell int
		want [3]float64
	}{
		{2 * time.Second, 0, a.colour()}, {2 * time.Second, 1, b.colour()}, {2 * time.Second, 2, backdrop}, {2 * time.Second, 3, d.colour()},
		{3900 * time.Millisecond, 3, d.colour()}, // seen to the end
		{4200 * time.Millisecond, 3, backdrop}, {5900 * time.Millisecond, 3, backdrop},
		{6500 * time.Millisecond, 3, d.colour()}, {9900 * time.Millisecond, 3, d.colour()}, {9900 * time.Millisecond, 0, a.colour()},
	} {
		if got := sight(w, k.at, k.cell); !shows(got, k.want) {
			r, g, b := got.RGB()
			t.Errorf("at %v cell %d shows %.0f %.0f %.0f, want %v", k.at, k.cell, r, g, b, k.want)
		}
	}
	// Beeps of user 104 come at 1.5, 2.5, 3.5 and 6.5 ... 9.5 s.
	var got []time.Duration
	for _, k := range w.Beeps(2100) {
		got = append(got, k.Start.Round(10*time.Millisecond))
	}
	if len(got) != 7 || got[0] != 1500*time.Millisecond || got[2] != 3500*time.Millisecond || got[3] != 6500*time.Millisecond {
		t.Errorf("user 104 is heard at %v", got)
	}
	if n := len(w.Beeps(1500)); n != 9 {
		t.Errorf("user 103 is heard %d times", n)
	}
	for i, k := range []struct{ cell, tone int }{{0, 600}, {1, 1000}, {3, 2100}} {
		beeps := w.Beeps(k.tone)
		for _, b := range beeps {
			if d := (b.Start - 500*time.Millisecond) % time.Second; min(d.Abs(), (d-time.Second).Abs()) > 2*time.Millisecond {
				t.Errorf("tone %d at %v", k.tone, b.Start)
			}
		}
		sync, ok := probe.SyncOf(probe.Offsets(w.Flashes(k.cell), beeps))
		if !ok {
			t.Errorf("user %d: flashes %v, beeps %v", i, w.Flashes(k.cell), beeps)
		} else if err := sync.Within(40 * time.Millisecond); err != nil {
			t.Errorf("user %d: %v", i, err)
		}
	}
}
