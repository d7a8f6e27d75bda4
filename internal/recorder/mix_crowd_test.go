package recorder

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/publish"
)

// crowd is seventeen users of whom all but the first come, go, mute and change
// layers as chance wants it.
type crowd struct {
	s      *stage
	rng    *rand.Rand
	layers []*publish.Clip // of one picture in several sizes, and in VP8
	audio  *publish.Clip
	names  int
}

// enter lets a user be there from one time to another. The size of the picture
// changes at a key frame about every three seconds.
func (c *crowd) enter(uid uint32, from, to media.Time, video, audio bool) {
	user := person(uid)
	c.names++
	c.s.cue(from, channel.Joined{User: user, At: from})
	if video {
		first := c.layers[c.rng.IntN(len(c.layers))]
		t := &channel.Track{ID: fmt.Sprintf("v%d", c.names), User: user, Codec: first.Codec}
		c.s.cue(from, channel.Started{Track: t, At: from})
		clip, last := first, from
		for n := int64(from * 30 / 1e6); ; n++ {
			pts := media.Time(n * 1e6 / 30)
			if pts >= to {
				break
			}
			f := clip.Frames[n%int64(len(clip.Frames))]
			if f.Key && c.rng.IntN(9) == 0 {
				if next := c.layers[c.rng.IntN(len(c.layers))]; next.Codec == t.Codec {
					clip, f = next, next.Frames[n%int64(len(next.Frames))]
				}
			}
			last = max(last, pts+30*milli+media.Time(c.rng.IntN(60000)))
			c.s.cue(last, channel.Media{Track: t, Unit: media.Unit{Codec: clip.Codec, PTS: pts, RTP: n * 3000, Key: f.Key, Data: f.Data}})
		}
		if c.rng.IntN(3) == 0 {
			at := from + media.Time(c.rng.Int64N(int64(to-from)))
			c.s.cue(at, channel.Muted{Track: t, Muted: true, At: at})
			c.s.cue(at+second, channel.Muted{Track: t, Muted: false, At: at + second})
		}
		c.s.cue(max(to, last), channel.Ended{Track: t, At: to})
	}
	if audio {
		a := &actor{s: c.s, user: user, drop: func(bool, int64) bool { return false }, stays: c.names}
		a.send(c.audio, channel.Microphone, from, to)
	}
	c.s.cue(to, channel.Left{User: user, At: to, Reason: "client"})
}

// layout is one of all kinds, with the first user somewhere at the upper left.
func (c *crowd) layout() session.Layout {
	l := session.Layout{Kind: c.rng.IntN(4), Background: "#404040"}
	switch l.Kind {
	case 2:
		l.MaxUID = 101
	case 3:
		l.Regions = []session.CustomRegion{{UID: 101, X: 0, Y: 0, W: 0.6, H: 0.7, Alpha: 1}}
		for range c.rng.IntN(16) {
			x, y := 0.3+0.5*c.rng.Float64(), 0.3+0.5*c.rng.Float64()
			l.Regions = append(l.Regions, session.CustomRegion{X: x, Y: y, W: 0.2 * c.rng.Float64(), H: 0.2 * c.rng.Float64(), Alpha: c.rng.Float64(), Fit: c.rng.IntN(2) == 0})
		}
	}
	return l
}

// Seventeen users at random with a new layout every second: nothing breaks, no
// picture is missing, what is heard is what is seen, and memory does not grow.
// Ten minutes with TAPEDECK_TEST_LONG, else twenty seconds; the clock runs as
// fast as the machine can.
func TestMixOfACrowd(t *testing.T) {
	length, long := 20*second, os.Getenv("TAPEDECK_TEST_LONG") != ""
	if long {
		length = 600 * second
	}
	plan := mixPlan()
	plan.SliceLength, plan.Mixing.FPS = 15*time.Second, 30
	s := newStage(t, plan)
	c := &crowd{s: s, rng: rand.New(rand.NewPCG(11, 12))}
	for _, i := range []int{0, 1, 3} {
		a := s.actor(i)
		c.layers = append(c.layers, a.video)
		if i == 0 {
			c.audio = a.audio
		}
	}
	c.enter(101, 134*milli, length+second, false, true) // pictures of the mix fall on those of the clips
	first := s.actor(0)
	first.audio = nil
	first.send(first.video, channel.Camera, 134*milli, length+second)
	for uid := uint32(102); uid < 118; uid++ {
		for at := media.Time(c.rng.IntN(5e6)); at < length; {
			stay := second + media.Time(c.rng.IntN(12e6))
			c.enter(uid, at, min(at+stay, length), c.rng.IntN(4) > 0, false)
			at += stay + media.Time(c.rng.IntN(2e6))
		}
	}
	middle := 0
	for at := second; at < length; at += second {
		s.run(at)
		s.mode.Layout(c.layout())
		if at == length/4 {
			middle = residentKB(t)
		}
	}
	s.run(length)
	grown := residentKB(t) - middle
	s.stop()
	s.whole(s.mode.start, length-s.mode.start, 30)
	w := s.watch(probe.Region{X: 0.12, Y: 0.13, W: 0.06, H: 0.05}, probe.Whole())
	if n := len(w.Blacks(1)); n > 0 {
		t.Errorf("%d black pictures", n)
	}
	beeps, flashes := w.Beeps(600), w.Flashes(0)
	seconds := int(length / second)
	if len(beeps) < seconds-1 || len(flashes) < seconds*3/4 {
		t.Errorf("%d beeps and %d flashes in %d s", len(beeps), len(flashes), seconds)
	}
	sync, ok := probe.SyncOf(probe.Offsets(flashes, beeps))
	if !ok || sync.Within(40*time.Millisecond) != nil {
		t.Errorf("flash and beep: %v", sync)
	}
	// A new layout that changes the light in the corner is taken for a flash as
	// well: what counts is that beeps have theirs.
	together := 0
	for _, o := range probe.Offsets(flashes, beeps) {
		if o.AV.Abs() <= 40*time.Millisecond {
			together++
		}
	}
	if together < len(beeps)*9/10 {
		t.Errorf("%d of %d beeps have a flash within 40 ms", together, len(beeps))
	}
	t.Logf("flash and beep: %v; %d of %d beeps with a flash within 40 ms; memory grew by %d MB", sync, together, len(beeps), grown>>10)
	if long && grown > 24<<10 { // other tests run beside the short one
		t.Errorf("memory grew by %d MB in three quarters of the time", grown>>10)
	}
}

func residentKB(t *testing.T) (kb int) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("no /proc")
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	_, _ = fmt.Sscan(rest, &kb)
	return kb
}
