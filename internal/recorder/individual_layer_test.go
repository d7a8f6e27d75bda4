package recorder

import (
	"strings"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
	"tapedeck/internal/testkit/samples"
)

// A server that climbs from layer to layer sends several key frames for one
// instant, microseconds apart. The last of them counts: none of the others makes a
// slice, and nothing that follows is dropped.
func TestIndividualLayersAtOneInstant(t *testing.T) {
	t.Parallel()
	d := newDeck(t, shortPlan(session.StreamDefault))
	var s scene
	small, large := samples.H264(t), samples.H264Large(t)
	v := &channel.Track{ID: "v", User: channel.User{UID: 7}, Codec: media.H264}
	s.add(1*sec, channel.Started{Track: v, At: 1 * sec})
	s.media(v, small.Video, loop, 1*sec, 2*sec)
	between := small.Video[0]
	between.PTS, between.W, between.H = 2*sec-22, 160, 90
	s.add(between.PTS+network, channel.Media{Track: v, Unit: between})
	between.PTS, between.W, between.H = 2*sec-11, 320, 180
	s.add(between.PTS+network, channel.Media{Track: v, Unit: between})
	s.media(v, large.Video, loop, 2*sec, 4*sec)
	s.add(4*sec+network, channel.Ended{Track: v, At: 4 * sec})
	d.play(&s, 0, 5*sec)
	d.finish()
	d.check()
	p := d.playlist(d.index(7, "video"))
	if len(p.Slices) != 2 {
		t.Fatalf("%d slices, want one for each size that is shown", len(p.Slices))
	}
	within(t, "small", p.Slices[0].Duration, time.Second, time.Millisecond)
	within(t, "large", p.Slices[1].Duration, 2*time.Second, time.Millisecond)
	if notes := d.gaps("7"); len(notes) > 0 {
		t.Errorf("notes: %q", notes)
	}
	if w := d.watch(d.index(7, "video")); len(w.Frames) != 90 {
		t.Errorf("%d frames, want 90", len(w.Frames))
	}
}

// Frames that are missing before a change of size leave a hole between the
// slices: none is listed as longer than what it holds.
func TestIndividualLossBeforeChangeOfSize(t *testing.T) {
	t.Parallel()
	d := newDeck(t, shortPlan(session.StreamDefault))
	var s scene
	small, large := samples.H264(t), samples.H264Large(t)
	v := &channel.Track{ID: "v", User: channel.User{UID: 7}, Codec: media.H264}
	s.add(1*sec, channel.Started{Track: v, At: 1 * sec})
	s.media(v, small.Video, loop, 1*sec, 1_650_000)
	s.media(v, large.Video, loop, 2*sec, 4*sec)
	d.play(&s, 0, 5*sec)
	d.finish()
	d.check()
	p := d.playlist(d.index(7, "video"))
	if len(p.Slices) != 2 || strings.Contains(strings.Join(p.Slices[1].Tags, ""), "TRACK-EVENT") {
		t.Fatalf("%+v", p.Slices)
	}
	within(t, "small", p.Slices[0].Duration, 20*time.Second/30, time.Millisecond)
	within(t, "large", p.Slices[1].Duration, 2*time.Second, time.Millisecond)
	within(t, "second start", p.Slices[1].UTC.Sub(p.Slices[0].UTC), time.Second, time.Millisecond)
}

// A phone that is turned says so in the stream: the playlist tells it at once,
// in as many tags as it takes.
func TestIndividualTurned(t *testing.T) {
	t.Parallel()
	d := newDeck(t, shortPlan(session.StreamDefault))
	var s scene
	v := &channel.Track{ID: "v", User: channel.User{UID: 7}, Codec: media.H264}
	s.add(1*sec, channel.Started{Track: v, At: 1 * sec})
	s.media(v, samples.H264(t).Video, loop, 1*sec, 7*sec)
	for i, e := range s.events {
		if m, ok := e.ev.(channel.Media); ok && m.Unit.PTS >= 2_900_000 && m.Unit.PTS < 6*sec {
			m.Unit.Turn = 90
			s.events[i].ev = m
		}
	}
	d.play(&s, 0, 8*sec)
	d.finish()
	d.check()
	p := d.playlist(d.index(7, "video"))
	var tags []string
	for i, sl := range p.Slices {
		for _, tag := range sl.Tags {
			if _, rest, ok := strings.Cut(tag, "HEIGHT=180,ROTATE="); ok {
				tags = append(tags, string(rune('0'+i))+" "+rest)
			}
		}
	}
	want := "0 0,TIME=20260730235951123 0 90,TIME=20260730235953123 1 0,TIME=20260730235956123"
	if got := strings.Join(tags, " "); got != want || len(p.Slices) != 2 {
		t.Errorf("%d slices, tags %s\nwant %s", len(p.Slices), got, want)
	}
}
