package recorder

import (
	"cmp"
	"context"
	"testing"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/testkit/clips"
	"tapedeck/internal/testkit/publish"
	"tapedeck/internal/testkit/review"
)

// sender is one participant of the matrix.
type sender struct {
	clips.Person
	name  string
	url   string // of the server
	spec  publish.Spec
	there *publish.Publisher
	stays []review.Stay
}

// senders are the senders of all kinds, each with two layers: H.264 baseline and
// high, VP8, VP9, AV1.
func senders(t *testing.T) []*sender {
	t.Helper()
	two := func(c media.Codec, profile string) []clips.Video {
		return []clips.Video{
			{Codec: c, W: 160, H: 90, Kbps: 60, Profile: profile},
			{Codec: c, W: 320, H: 180, Kbps: 150, Profile: profile},
		}
	}
	people := []clips.Person{
		{UID: 201, Color: "#2050b0", Tone: 600, Video: two(media.H264, "")},
		{UID: 202, Color: "#802080", Tone: 1000, Video: two(media.H264, "high")},
		{UID: 203, Color: "#b05010", Tone: 1500, Video: two(media.VP8, "")},
		{UID: 204, Color: "#108040", Tone: 2100, Video: two(media.VP9, "")},
		{UID: 205, Color: "#606010", Tone: 800, Video: two(media.AV1, "")},
	}
	var all []*sender
	for _, s := range clipsOf(t, people) {
		spec, err := s.Spec()
		if err != nil {
			t.Fatal(err)
		}
		name := s.Video[0].Codec.String()
		if s.Video[0].Codec == media.H264 {
			name += " " + cmp.Or(s.Video[0].Profile, "baseline")
		}
		all = append(all, &sender{Person: s.Person, name: name, spec: spec})
	}
	return all
}

func (a *sender) enter(t *testing.T) {
	a.there = enter(t, a.url, a.UID, a.spec)
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

// clipsOf makes what people send.
func clipsOf(t *testing.T, people []clips.Person) []clips.Set {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	sets, err := clips.Make(ctx, clips.CacheDir(), people)
	if err != nil {
		t.Fatal(err)
	}
	return sets
}
