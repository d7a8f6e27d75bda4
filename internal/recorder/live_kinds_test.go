package recorder

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/channel/embedded"
	"tapedeck/internal/channel/livekit"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
	"tapedeck/internal/testkit/clips"
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/publish"
	"tapedeck/internal/testkit/review"
	"tapedeck/internal/testkit/samples"
)

// sizeStep is how long a sender of changing size stays with one.
const sizeStep = time.Second

// changing makes one single-layer clip of several of the same picture in
// different sizes: after a while it goes on in the next.
func changing(every time.Duration, sizes ...*publish.Clip) *publish.Clip {
	c := *sizes[0]
	step := int(every.Seconds() * clips.FPS)
	c.Frames = nil
	for i := range sizes[0].Frames {
		c.Frames = append(c.Frames, sizes[i/step%len(sizes)].Frames[i])
	}
	return &c
}

// pausing makes a sender with discontinuous transmission of a clip of beeps:
// around the beeps all packets, else one of twenty.
func pausing(c *publish.Clip) *publish.Clip {
	const second = int(time.Second / clips.OpusPacket)
	out := *c
	out.Frames = append([]publish.Frame(nil), c.Frames...)
	for i := range out.Frames {
		if at := i % second; (at < 20 || at > 35) && i%20 != 0 {
			out.Frames[i].Data = nil
		}
	}
	return &out
}

// kinds are senders that do what others do not: 211 and 213 change their
// size and pause their sound, 212 sends stereo.
func kinds(t *testing.T) []*sender {
	t.Helper()
	people := []clips.Person{{UID: 211, Color: "#2050b0", Tone: 600, Video: twoSizes(media.H264)}}
	if os.Getenv("TAPEDECK_TEST_LONG") != "" {
		people = append(people, clips.Person{UID: 213, Color: "#b05010", Tone: 1500, Video: twoSizes(media.VP8)})
	}
	var all []*sender
	for _, s := range clipsOf(t, people) {
		spec, err := s.Spec()
		if err != nil {
			t.Fatal(err)
		}
		spec.Video = []*publish.Clip{changing(sizeStep, spec.Video[1], spec.Video[0])}
		spec.Audio = pausing(spec.Audio)
		all = append(all, &sender{Person: s.Person, spec: spec})
	}
	return append(all, &sender{Person: clips.Person{UID: 212, Tone: toneLeft}, spec: publish.Spec{Audio: stereoClip(t)}})
}

func twoSizes(c media.Codec) []clips.Video {
	return []clips.Video{{Codec: c, W: 320, H: 180, Kbps: 150}, {Codec: c, W: 640, H: 360, Kbps: 400}}
}

// Senders that change their size while they send, that pause, and that send
// stereo: nothing is lost, everything keeps its place. The long form has a
// network that loses packets for one of its recorders.
func TestLiveKindsOfSenders(t *testing.T) {
	long := os.Getenv("TAPEDECK_TEST_LONG") != ""
	part, loss := 5*time.Second, 0.0
	if long {
		part, loss = 24*time.Second, 0.05
	}
	s, _ := behind(t, loss, 0.02)
	cast := kinds(t)
	for _, a := range cast {
		a.url = s.URL()
		a.enter(t)
	}
	tracks := 2*len(cast) - 1
	recorders := []*live{listen(t, s.URL(), testPlan(session.StreamStandard), nil, nil)}
	if long {
		recorders = append(recorders, listen(t, s.URL(), testPlan(session.StreamDefault), func(c *livekit.Config) { c.Relay = true }, nil))
	}
	for _, l := range recorders {
		l.begun(tracks)
	}
	pass(t, part)
	for _, l := range recorders {
		l.end()
	}
	var users []review.User
	for _, a := range cast {
		users = append(users, a.user())
	}
	for i, l := range recorders {
		l.loose = true
		l.judge(t, users)
		least := int(part/sizeStep) - 2
		if i > 0 {
			least /= 2 // the network is bad
		}
		l.sizes(cast[0].UID, least)
		sound := l.playlist(l.index(212, "audio"))
		l.apart(probe.Playlist{Slices: sound.Slices[len(sound.Slices)-1:]}, 1)
	}
	recorders[0].whole(cast[0].UID)
}

// sizes checks that each change of size of a user began a slice of its own, with
// its tags: so many changes at least.
func (l *live) sizes(uid uint32, least int) {
	l.t.Helper()
	changes, last := 0, ""
	for i, sl := range l.playlist(l.index(uid, "video")).Slices {
		for _, tag := range sl.Tags {
			_, size, ok := strings.Cut(tag, "ROTATE:")
			size, _, _ = strings.Cut(size, ",ROTATE=")
			if !ok || size == last {
				continue
			}
			if last != "" {
				changes++
			}
			last = size
			if !sl.Discontinuity && i > 0 {
				l.t.Errorf("slice %d: %s without a discontinuity", i, size)
			}
		}
		info, _, err := probe.Inspect(l.t.Context(), l.path(sl.Name))
		if err != nil {
			l.t.Fatal(err)
		}
		want := map[string]int{"WIDTH=640,HEIGHT=360": 640, "WIDTH=320,HEIGHT=180": 320}[last]
		if v, ok := info.Stream("video"); !ok || v.W != want {
			l.t.Errorf("slice %d is %d wide, its tag says %s", i, v.W, last)
		}
	}
	if changes < least {
		l.t.Errorf("%d changes of size, want %d", changes, least)
	}
}

// whole checks that the pictures of a user over a good network have no holes:
// as many as fit into the time they span. A machine that was too slow is forgiven
// what the recorder noted.
func (l *live) whole(uid uint32) {
	l.t.Helper()
	p := l.playlist(l.index(uid, "video"))
	w := l.watch(l.index(uid, "video"))
	want := int(p.Sum().Seconds()*clips.FPS + 0.5)
	if n := len(w.Frames); n < want-2 && l.lost(uid) == 0 {
		l.t.Errorf("%d pictures in %v, want %d", n, p.Sum(), want)
	}
	sound := l.playlist(l.index(uid, "audio"))
	for _, s := range l.room.Stats() {
		all := int64(sound.Sum() / clips.OpusPacket)
		if s.Track.User.UID == uid && s.Track.Codec == media.Opus && s.Frames > all*2/3 {
			l.t.Errorf("%d packets of %d came: the sender did not pause", s.Frames, all)
		}
	}
	if n := len(l.starts(sound)); n != 1 {
		l.t.Errorf("sound begins %d times: pauses are not filled with silence", n)
	}
}

// An H.265 sender goes into fragmented MP4.
func TestLiveH265(t *testing.T) {
	if os.Getenv("TAPEDECK_TEST_LONG") == "" {
		t.Skip("TAPEDECK_TEST_LONG is not set")
	}
	s := serve(t, embedded.Options{})
	enter(t, s.URL(), 214, publish.Spec{Video: []*publish.Clip{samples.Clip(samples.Pictures(t, media.H265))}})
	l := listen(t, s.URL(), shortPlan(session.StreamDefault), nil, nil)
	l.begun(1)
	pass(t, 10*time.Second)
	l.end()
	p := l.playlist(l.index(214, "video"))
	if len(p.Slices) < 2 || filepath.Ext(p.Slices[0].Name) != ".mp4" {
		t.Fatalf("slices %+v", p.Slices)
	}
	if sum := p.Sum(); sum < 8*time.Second {
		t.Errorf("%v of pictures", sum)
	}
	l.cleanOneByOne(l.index(214, "video"))
	for _, sl := range p.Slices {
		if info, _, err := probe.Inspect(t.Context(), l.path(sl.Name)); err != nil || info.Codecs() != "hevc" {
			t.Errorf("%s: %q, %v", sl.Name, info.Codecs(), err)
		}
	}
}
