package recorder

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/channel/embedded"
	"tapedeck/internal/channel/livekit"
	"tapedeck/internal/media"
	"tapedeck/internal/media/depacket"
	"tapedeck/internal/media/mux/ts"
	"tapedeck/internal/session"
	"tapedeck/internal/testkit/clips"
	"tapedeck/internal/testkit/publish"
	"tapedeck/internal/testkit/review"
)

// sender is one participant of the matrix.
type sender struct {
	clips.Person
	spec  publish.Spec
	there *publish.Publisher
	stays []review.Stay
}

// senders are the senders of all kinds: 201 H.264 baseline in layers, 202 H.264
// high, 203 VP8, 204 VP9, 205 AV1.
func senders(t *testing.T) []*sender {
	t.Helper()
	one := func(c media.Codec, profile string) []clips.Video {
		return []clips.Video{{Codec: c, W: 320, H: 180, Kbps: 150, Profile: profile}}
	}
	layers := append(one(media.H264, ""), clips.Video{Codec: media.H264, W: 640, H: 360, Kbps: 400})
	people := []clips.Person{
		{UID: 201, Color: "#2050b0", Tone: 600, Video: layers},
		{UID: 202, Color: "#802080", Tone: 1000, Video: one(media.H264, "high")},
		{UID: 203, Color: "#b05010", Tone: 1500, Video: one(media.VP8, "")},
		{UID: 204, Color: "#108040", Tone: 2100, Video: one(media.VP9, "")},
		{UID: 205, Color: "#606010", Tone: 800, Video: one(media.AV1, "")},
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	sets, err := clips.Make(ctx, clips.CacheDir(), people)
	if err != nil {
		t.Fatal(err)
	}
	var all []*sender
	for _, s := range sets {
		spec, err := s.Spec()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &sender{Person: s.Person, spec: spec})
	}
	return all
}

func (a *sender) enter(t *testing.T, url string) {
	a.there = enter(t, url, a.UID, a.spec)
	a.stays = append(a.stays, review.Stay{Origin: a.there.Origin()})
}

func (a *sender) exit() {
	a.stays[len(a.stays)-1].End = time.Now()
	a.there.Leave()
}

// mute mutes or resumes everything that the sender sends. The content goes on
// meanwhile: in whole seconds of it another stay begins.
func (a *sender) mute(on bool) {
	for _, k := range a.there.Kinds() {
		a.there.Mute(k, on)
	}
	last := &a.stays[len(a.stays)-1]
	if on {
		last.End = time.Now()
		return
	}
	away := time.Since(last.Origin).Truncate(time.Second)
	a.stays = append(a.stays, review.Stay{Origin: last.Origin.Add(away)})
}

func (a *sender) user() review.User {
	u := review.User{UID: a.UID, Tone: a.Tone, Color: a.Color, Stays: append([]review.Stay(nil), a.stays...)}
	if n := len(u.Stays); u.Stays[n-1].End.IsZero() {
		u.Stays[n-1].End = time.Now()
	}
	return u
}

// begun returns once so many tracks have begun.
func (l *live) begun(tracks int) {
	l.t.Helper()
	limit := time.NewTimer(livePatience)
	defer limit.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		n := 0
		for _, s := range l.room.Stats() {
			if s.Frames > 0 {
				n++
			}
		}
		if n >= tracks {
			return
		}
		select {
		case <-limit.C:
			l.t.Fatalf("%d of %d tracks have begun", n, tracks)
		case <-look.C:
		}
	}
}

// pass lets some of the meeting pass.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	case <-timer.C:
	}
}

// looseSync is how far apart picture and sound may be here. A track is placed by
// the arrival of its packets until its sender's first report; on a machine that is
// busy with many encoders those are late, and the stays here are too short to take it
// back. The end-to-end tests and those of package timing have the real limit.
const looseSync = 150 * time.Millisecond

// judge looks at everything of a recording. What a network, or a machine that is
// too slow, has lost may be missing, if the recorder knows of it; all else has to
// be there and within review.LagLimit of its place.
func (l *live) judge(users []review.User) {
	l.t.Helper()
	r, err := review.Individual(l.t.Context(), l.dir.Path()+"/files", l.files(), users)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, f := range r.Files {
		l.t.Logf("%s: %d slices, %v, %s", f.Name[strings.Index(f.Name, "__"):], f.Slices, f.Duration, f.Codecs)
		for _, p := range f.Problems {
			if !strings.Contains(p, "A/V offset") {
				l.t.Errorf("%s: %s", f.Name, p)
			}
		}
	}
	for _, u := range r.Users {
		lost := l.lost(u.UID)
		l.t.Logf("user %d: %d flashes, %d beeps, A/V %v, lags %v, %d losses", u.UID, u.Flashes, u.Beeps, u.Sync, u.Lags, lost)
		limit := looseSync
		if l.loose {
			limit *= 2
		}
		if s := u.Sync; s != nil && s.Median.Abs() > limit {
			l.t.Errorf("user %d: picture and sound are apart: %v", u.UID, s)
		}
		for _, p := range u.Problems {
			missing := strings.Contains(p, "is missing") || strings.Contains(p, "stands still")
			placed := strings.Contains(p, "A/V offset") || strings.Contains(p, "the user was away") ||
				l.loose && strings.Contains(p, "off the time it was sent")
			if !placed && (!missing || lost == 0) {
				l.t.Errorf("user %d: %s", u.UID, p)
			}
		}
	}
}

// lost counts the losses of a user that the recorder knows of.
func (l *live) lost(uid uint32) int64 {
	n := int64(len(l.gaps(uidText(uid))))
	for _, s := range l.room.Stats() {
		if s.Track.User.UID == uid {
			n += s.Lost + s.Late
		}
	}
	return n
}

// All kinds of senders meet; three recorders hear them: one in default mode over a
// network that loses and reorders packets, one in standard mode, one that keeps
// the sound as it is. Meanwhile somebody is muted, somebody leaves and comes
// back, and the layer of a third changes.
func TestLiveMatrix(t *testing.T) {
	part, loss := 5*time.Second, 0.03
	if os.Getenv("TAPEDECK_TEST_LONG") != "" {
		part, loss = 12*time.Second, 0.10
	}
	s, network := behind(t, loss, 0.02)
	cast := senders(t)
	for _, a := range cast {
		a.enter(t, s.URL())
	}
	lossy := listen(t, s.URL(), testPlan(session.StreamDefault), func(c *livekit.Config) { c.Relay = true }, nil)
	clean := listen(t, s.URL(), testPlan(session.StreamStandard), nil, nil)
	plan := testPlan(session.StreamOriginal)
	plan.Streams = session.AudioOnly
	original := listen(t, s.URL(), plan, nil, nil)
	lossy.begun(2 * len(cast))
	clean.begun(2 * len(cast))
	original.begun(len(cast))
	pass(t, part)
	cast[2].mute(true)
	cast[1].exit()
	pass(t, part/2)
	cast[2].mute(false)
	cast[1].enter(t, s.URL())
	lower(clean)
	pass(t, part)
	for _, l := range []*live{lossy, clean, original} {
		l.end()
	}
	var users []review.User
	for _, a := range cast {
		users = append(users, a.user())
	}
	network.mu.Lock()
	t.Logf("the network lost %d packets", network.lost)
	network.mu.Unlock()
	t.Run("default, loss", func(t *testing.T) { lossy.t = t; lossy.judge(users) })
	t.Run("standard", func(t *testing.T) { clean.t = t; clean.judge(users) })
	t.Run("original", func(t *testing.T) {
		original.t = t
		var sound []review.User
		for _, u := range users {
			u.Color = ""
			sound = append(sound, u)
		}
		original.judge(sound)
	})
}

// lower asks for the lowest layer of every camera.
func lower(l *live) {
	for _, s := range l.room.Stats() {
		if s.Track.Codec.Video() {
			l.room.SetSize(s.Track, 160, 90)
		}
	}
}

// What stands in the files is what the sender sent, byte for byte: H.264 in TS
// slices, and Opus where sound is not transcoded.
func TestLiveBytesAreTheSenders(t *testing.T) {
	s := serve(t, embedded.Options{})
	who := senders(t)[1]
	who.enter(t, s.URL())
	plan := shortPlan(session.StreamOriginal)
	plan.Streams = session.AudioOnly
	sound := listen(t, s.URL(), plan, nil, nil)
	pictures := listen(t, s.URL(), shortPlan(session.StreamDefault), nil, nil)
	pass(t, 7*time.Second)
	sound.end()
	pictures.end()
	opus := sound.contents(sound.index(who.UID, "audio"))
	video := pictures.contents(pictures.index(who.UID, "video"))
	if len(opus) < 250 || len(video) < 150 {
		t.Fatalf("%d packets, %d frames", len(opus), len(video))
	}
	sent := func(c *publish.Clip) (frames [][]byte) {
		for range 3 { // loops
			for _, f := range c.Frames {
				frames = append(frames, f.Data)
			}
		}
		return frames
	}
	follows(t, "Opus", opus, sent(who.spec.Audio))
	var frames [][]byte
	for _, f := range video {
		frames = append(frames, depacket.SplitH264(f)...) // without the delimiter that TS has to have
	}
	follows(t, "H.264", frames, sent(who.spec.Video[0]))
}

// contents reads the elementary stream out of the slices of a playlist.
func (l *live) contents(index string) (units [][]byte) {
	l.t.Helper()
	for _, sl := range l.playlist(index).Slices {
		f, err := os.Open(l.path(sl.Name))
		if err != nil {
			l.t.Fatal(err)
		}
		if err := ts.Read(f, func(u ts.Unit) error {
			units = append(units, bytes.Clone(u.Data))
			return nil
		}); err != nil {
			l.t.Error(err)
		}
		_ = f.Close()
	}
	return units
}

// follows finds got in sent, in one piece.
func follows(t *testing.T, what string, got, sent [][]byte) {
	t.Helper()
	best := 0
	for at := range sent {
		n := 0
		for n < len(got) && at+n < len(sent) && bytes.Equal(got[n], sent[at+n]) {
			n++
		}
		best = max(best, n)
	}
	if best != len(got) {
		t.Errorf("%s: only %d of %d units in a row are the sender's", what, best, len(got))
	}
}
