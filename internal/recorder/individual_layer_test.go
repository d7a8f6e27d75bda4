package recorder

import (
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
	"tapedeck/internal/testkit/samples"
)

// A server that switches layers may send two pictures for one instant: neither
// makes a slice without a length.
func TestIndividualLayersAtOneInstant(t *testing.T) {
	t.Parallel()
	d := newDeck(t, shortPlan(session.StreamDefault))
	var s scene
	set, large := samples.H264(t), samples.H264Large(t)
	v := &channel.Track{ID: "v", User: channel.User{UID: 7}, Codec: media.H264}
	first := set.Video[0]
	first.PTS = 1*sec - 11
	s.add(1*sec, channel.Started{Track: v, At: 1 * sec})
	s.add(first.PTS+network, channel.Media{Track: v, Unit: first})
	s.media(v, large.Video, loop, 1*sec, 4*sec)
	s.add(4*sec+network, channel.Ended{Track: v, At: 4 * sec})
	d.play(&s, 0, 5*sec)
	d.finish()
	d.check()
	p := d.playlist(d.index(7, "video"))
	if len(p.Slices) < 2 {
		t.Fatalf("%d slices, want one for each size", len(p.Slices))
	}
	for _, s := range p.Slices {
		if s.Duration < time.Millisecond {
			t.Errorf("%s lasts %v", s.Name, s.Duration)
		}
	}
}
