package recorder

import (
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/samples"
)

func within(t *testing.T, what string, got, want, tolerance time.Duration) {
	t.Helper()
	if (got - want).Abs() > tolerance {
		t.Errorf("%s is %v, want %v ± %v", what, got, want, tolerance)
	}
}

// inSync checks flash against beep over all of what was watched.
func inSync(t *testing.T, w *probe.Watched, tone, least int) {
	t.Helper()
	offsets := probe.Offsets(w.Flashes(0), w.Beeps(tone))
	sync, ok := probe.SyncOf(offsets)
	if !ok || sync.Count < least {
		t.Fatalf("%d pairs of flash and beep, want %d", sync.Count, least)
	}
	if sync.Lowest < -20*time.Millisecond || sync.Highest > 20*time.Millisecond {
		t.Errorf("sound against picture: %v", sync)
	}
}

func TestIndividualH264(t *testing.T) {
	t.Parallel()
	d := newDeck(t, testPlan(session.StreamDefault))
	var s scene
	v, _ := s.user(7, "a", samples.H264(t), 2*sec, 42*sec)
	d.play(&s, 0, 43*sec)
	d.finish()
	d.check()
	d.cleanOneByOne(d.index(7, "video"))
	d.cleanOneByOne(d.index(7, "audio"))

	video, audio := d.playlist(d.index(7, "video")), d.playlist(d.index(7, "audio"))
	if len(video.Slices) != 3 || len(audio.Slices) != 3 {
		t.Fatalf("%d video and %d audio slices", len(video.Slices), len(audio.Slices))
	}
	within(t, "video", video.Sum(), 40*time.Second, 34*time.Millisecond)
	within(t, "audio", audio.Sum(), 40*time.Second, 45*time.Millisecond)
	within(t, "first audio slice", audio.Slices[0].Duration, 15018666*time.Microsecond, time.Microsecond)
	if got := d.src.sizes[v.ID]; got != [2]int{0, 0} {
		t.Errorf("the source was asked for %v", got)
	}
	w := d.watch(d.index(7, "video"), d.index(7, "audio"))
	inSync(t, w, samples.ToneH264, 38)
	if len(w.Warnings) > 0 || len(w.Broken(0)) > 0 {
		t.Errorf("%q, %d broken frames", w.Warnings, len(w.Broken(0)))
	}
}
