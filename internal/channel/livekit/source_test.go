package livekit

import (
	"math"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/channel/embedded"
	"tapedeck/internal/media"
	"tapedeck/internal/testkit/publish"
)

func TestEverythingArrivesWholeAndInOrder(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{})
	video, sound, screen := h264(1), opus(1), vp8(1, 640, 360)
	p := enter(t, s.URL(), "7", publish.Spec{Video: []*publish.Clip{video}, Audio: sound, Screen: screen})
	enter(t, s.URL(), "listener", publish.Spec{})
	began := time.Now()
	r := record(t, configOf(t, s.URL()))
	var firstAudio, firstVideo time.Duration
	r.until("the first units", func(events []channel.Event) bool {
		if firstAudio == 0 && len(unitsOf(events, of("7", media.Opus))) > 0 {
			firstAudio = time.Since(began)
		}
		if firstVideo == 0 && len(unitsOf(events, of("7", media.H264))) > 0 {
			firstVideo = time.Since(began)
		}
		return firstAudio > 0 && firstVideo > 0
	})
	t.Logf("first sound after %v, first picture after %v", firstAudio.Round(time.Millisecond), firstVideo.Round(time.Millisecond))
	r.until("five seconds", func(events []channel.Event) bool { return len(unitsOf(events, of("7", media.Opus))) > 230 })
	r.stop()
	if r.err != nil {
		t.Errorf("Run returned %v", r.err)
	}
	events := r.all()
	checkLife(t, events)
	tracks := map[media.Codec]*publish.Clip{media.H264: video, media.Opus: sound, media.VP8: screen}
	for codec, clip := range tracks {
		units := unitsOf(events, of("7", codec))
		if missing := checkContent(t, clip, units); missing > 0 || len(units) < 50 {
			t.Errorf("%v: %d units, %d missing", codec, len(units), missing)
		}
	}
	for _, entry := range []string{"connected", "joined 7", "joined listener", "started 7 h264", "started 7 vp8", "started 7 opus", "ended 7 opus"} {
		if has(events, entry) != 1 {
			t.Errorf("%q is told %d times: %s", entry, has(events, entry), summary(events))
		}
	}
	for _, ev := range events {
		switch e := ev.(type) {
		case channel.Joined:
			if e.User.Mapped != (e.User.Identity == "listener") || !e.User.Mapped && e.User.UID != 7 {
				t.Errorf("user is %+v", e.User)
			}
		case channel.Started:
			want := map[media.Codec]channel.SourceKind{media.H264: channel.Camera, media.Opus: channel.Microphone, media.VP8: channel.Screen}
			if e.Track.Kind != want[e.Track.Codec] {
				t.Errorf("%v is of kind %d", e.Track.Codec, e.Track.Kind)
			}
		}
	}
	checkAligned(t, r, p, video, sound)
	for _, st := range r.src.Stats() {
		if st.Lost != 0 || st.Frames == 0 || st.Packets < st.Frames {
			t.Errorf("stats of %v: %+v", st.Track.Codec, st)
		}
	}
}

// checkAligned verifies that the content of camera and microphone, whose clips
// begin with frame 0 at the same moment, lies where it was sent.
func checkAligned(t *testing.T, r *recording, p *publish.Publisher, video, sound *publish.Clip) {
	t.Helper()
	events := r.all()
	origin := r.clock.At(p.Origin())
	worst := map[media.Codec]float64{}
	phase := map[media.Codec][]float64{}
	for codec, clip := range map[media.Codec]*publish.Clip{media.H264: video, media.Opus: sound} {
		period := clip.Ticks * int64(len(clip.Frames))
		units := unitsOf(events, of("7", codec))
		n := frameOf(clip, units[0].Data)
		for _, u := range units {
			// Where the content of this unit belongs, from the origin, in seconds.
			want := float64((int64(n)*clip.Ticks+u.RTP-units[0].RTP)%period-clip.Lead) / float64(codec.ClockRate())
			got := float64(u.PTS-origin) / 1e6
			off := math.Mod(got-want+10, 2)
			if off > 1 {
				off -= 2
			}
			phase[codec] = append(phase[codec], off)
			worst[codec] = math.Max(worst[codec], math.Abs(off))
		}
	}
	v, a := phase[media.H264], phase[media.Opus]
	begin, end := v[0]-a[0], v[len(v)-1]-a[len(a)-1]
	t.Logf("pictures lie %.1f ms after their sound in the beginning, %.1f ms at the end; sound lies %.1f ms after its origin", begin*1e3, end*1e3, a[len(a)-1]*1e3)
	if math.Abs(begin) > 0.040 || math.Abs(end) > 0.020 {
		t.Errorf("pictures lie %.1f ms after their sound in the beginning, %.1f ms at the end", begin*1e3, end*1e3)
	}
	if worst[media.Opus] > 0.15 {
		t.Errorf("sound lies up to %.1f ms from where it was sent", worst[media.Opus]*1e3)
	}
}

func frameOf(c *publish.Clip, data []byte) int {
	for i, f := range c.Frames {
		if string(f.Data) == string(data) {
			return i
		}
	}
	return -1
}
