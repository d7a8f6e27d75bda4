package recorder

import (
	"math"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/player"
	"tapedeck/internal/testkit/samples"
)

// A user who sends sound all the time switches the camera off for 4 s, the worker is
// killed, and both go on 15 s later with another microphone that is muted before the
// end: all of it plays from the joint index, pauses included, with picture and
// sound where they belong.
func TestJointPausesPlay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		pictures func(testing.TB) []media.Unit
		loop     media.Time
		deck     func(*testing.T, session.Plan) *deck
	}{
		{"H.264", func(t testing.TB) []media.Unit { return samples.H264(t).Video }, loop, newDeck},
		{"VP9", func(t testing.TB) []media.Unit { return samples.Pictures(t, media.VP9) }, sec, newDeck},
		{"AV1, encrypted", func(t testing.TB) []media.Unit { return samples.Pictures(t, media.AV1) }, sec, encryptedDeck},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			pictures, sound := c.pictures(t), samples.H264(t).Opus
			before := c.deck(t, shortPlan(session.StreamStandard))
			u := channel.User{UID: 7}
			v := &channel.Track{ID: "v", User: u, Codec: pictures[0].Codec}
			a := &channel.Track{ID: "a", User: u, Codec: media.Opus}
			var s scene
			s.send(a, sound, loop, 2*sec+300_000, 30*sec)
			s.add(1*sec, channel.Started{Track: v, At: 1 * sec})
			s.media(v, pictures, c.loop, 1*sec, 4*sec)
			s.add(4*sec+network, channel.Muted{Track: v, Muted: true, At: 4 * sec})
			s.add(8*sec, channel.Muted{Track: v, Muted: false, At: 8 * sec})
			s.media(v, pictures, c.loop, 8*sec, 30*sec)
			before.play(&s, 0, 11*sec)
			before.await(before.index(7, typeVideo), 8*sec, 30_000)
			before.await(before.index(7, typeAudio), 6*sec, 14_000)
			dir := snapshot(t, before.dir)
			before.drop()

			after := before.resume(dir)
			var again scene
			again.send(&channel.Track{ID: "v2", User: u, Codec: pictures[0].Codec}, pictures, c.loop, 26*sec, 45*sec)
			again.send(&channel.Track{ID: "a2", User: u, Codec: media.Opus}, sound, loop, 26*sec, 28*sec)
			after.play(&again, 11*sec, 46*sec)
			after.finish()
			if after.content == nil {
				after.check()
			} else {
				opened(after).check()
			}
			av := after.index(7, "av")
			ffmpegPlays(t, after.dir.Path()+"/files", av)
			after.plays(av, 44*time.Second)
		})
	}
}

// plays checks that a browser plays a joint index from its beginning to the end,
// which is so long, and puts every slice where it belongs.
func (d *deck) plays(av string, length time.Duration) player.Report {
	d.t.Helper()
	r, err := player.Play(d.t.Context(), d.dir.Path()+"/files", av, 8, 2*time.Minute)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := r.Complete(0.2); err != nil {
		d.t.Errorf("%v", err)
	}
	within(d.t, "what the browser played", time.Duration(r.Position*1e9), length, 200*time.Millisecond)
	slices, origin := map[string]spool.Fact{}, media.Time(-1)
	for _, f := range d.facts() {
		if f.Type != spool.FactClosed || f.Kind != spool.KindSlice {
			continue
		}
		slices[f.Name] = f
		if start := media.Time(f.StartMicro); f.Track == session.TrackVideo && (origin < 0 || start < origin) {
			origin = start
		}
	}
	seen := 0
	for _, p := range r.Parts {
		f, ok := slices[p.Name]
		if !ok {
			continue // it fills a pause
		}
		seen++
		end := float64(media.Time(f.StartMicro+f.DurMicro)-origin) / 1e6
		if math.Abs(p.End-end) > 0.06 {
			d.t.Errorf("%s ends at %.3f s, want %.3f", p.Name, p.End, end)
		}
	}
	if seen < 4 {
		d.t.Errorf("the browser played %d slices: %+v", seen, r.Parts)
	}
	return r
}
