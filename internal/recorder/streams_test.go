package recorder

import (
	"fmt"
	"slices"
	"testing"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
)

func TestStreams(t *testing.T) {
	mic := func(uid uint32) *channel.Track {
		return &channel.Track{User: channel.User{UID: uid}, Codec: media.Opus}
	}
	cam := func(uid uint32) *channel.Track {
		return &channel.Track{User: channel.User{UID: uid}, Codec: media.VP8}
	}
	m1, m2, c1 := mic(1), mic(2), cam(1)
	unit := func(t *channel.Track, at media.Time) channel.Event {
		return channel.Media{Track: t, Unit: media.Unit{PTS: at}}
	}
	story := []channel.Event{
		channel.Started{Track: m1}, channel.Started{Track: m2}, channel.Started{Track: c1},
		unit(m1, 1), unit(m1, 2), unit(m2, 3), unit(c1, 4),
		channel.Muted{Track: m1, Muted: true, At: 5}, unit(m1, 6), // what was on its way
		channel.Muted{Track: m1, At: 7}, unit(m1, 8),
		channel.Ended{Track: m1, At: 9}, channel.Ended{Track: m2, At: 10}, unit(m2, 11),
	}
	for mode, want := range map[session.Mode][]string{
		session.Individual: {
			"1 audio on 1", "2 audio on 3", "1 video on 4", "1 audio off 5", "1 audio on 8", "1 audio off 9", "2 audio off 10", "1 video off 12",
		},
		session.Mix: {"0 audio on 1", "0 video on 4", "0 audio off 10", "0 video off 12"},
	} {
		var got []string
		s := newStreams(session.Plan{Mode: mode}, func(uid uint32, track string, on bool, at media.Time) {
			got = append(got, fmt.Sprintf("%d %s %s %d", uid, track, map[bool]string{true: "on", false: "off"}[on], at))
		})
		for _, ev := range story {
			s.observe(ev)
		}
		s.close(12)
		s.close(13)
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n%q, want\n%q", mode, got, want)
		}
	}
}

// Where pictures are all there is, those tell whose can be seen.
func TestStreamsBesidePictures(t *testing.T) {
	s := newStreams(session.Plan{Mode: session.Individual, NoFiles: true}, func(_ uint32, track string, _ bool, _ media.Time) {
		t.Errorf("%s was noted", track)
	})
	track := &channel.Track{Codec: media.H264}
	s.observe(channel.Started{Track: track})
	s.observe(channel.Media{Track: track})
	s.close(1)
}
