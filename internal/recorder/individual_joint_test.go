package recorder

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/samples"
)

// A user speaks before the camera is on, switches it off and on again, goes
// away and comes back with a larger picture, and speaks on without one: all of
// it plays from the joint index in a browser, pauses included.
func TestJointIndexPlays(t *testing.T) {
	t.Parallel()
	d := newDeck(t, testPlan(session.StreamStandard))
	set, large := samples.H264(t), samples.H264Large(t)
	var s scene
	u := channel.User{UID: 7}
	v := &channel.Track{ID: "v", User: u, Codec: media.H264}
	a := &channel.Track{ID: "a", User: u, Codec: media.Opus}
	s.send(a, set.Opus, loop, 2*sec, 46*sec)
	s.add(5*sec, channel.Started{Track: v, At: 5 * sec})
	s.media(v, set.Video, loop, 5*sec, 20*sec)
	s.add(20*sec+network, channel.Muted{Track: v, Muted: true, At: 20 * sec})
	s.add(30*sec, channel.Muted{Track: v, Muted: false, At: 30 * sec})
	s.media(v, set.Video, loop, 30*sec, 46*sec)
	s.add(46*sec+network, channel.Ended{Track: v, At: 46 * sec})
	s.add(46*sec+network+1, channel.Left{User: u, At: 46 * sec})
	v2 := &channel.Track{ID: "v2", User: u, Codec: media.H264}
	a2 := &channel.Track{ID: "a2", User: u, Codec: media.Opus}
	s.send(a2, large.Opus, loop, 55*sec, 75*sec)
	s.send(v2, large.Video, loop, 55*sec, 68*sec)
	d.play(&s, 0, 75*sec)
	d.finish()
	d.check()

	av := d.index(7, "av")
	info, warnings, err := probe.Inspect(context.Background(), d.path(av))
	if err != nil || len(warnings) > 0 || info.Codecs() != "h264+aac" && info.Codecs() != "aac+h264" {
		t.Errorf("ffprobe: %+v, %q, %v", info, warnings, err)
	}
	r := d.plays(av, 70*time.Second)
	if strings.Contains(strings.Join(r.Repaired, " "), "Hole") || r.W != 2*samples.W {
		t.Errorf("%q, width %d", r.Repaired, r.W)
	}
	var listed []string
	for _, f := range d.facts() {
		if f.Type == spool.FactIndex && f.Final {
			if !f.Unlisted {
				listed = append(listed, f.Name)
			}
			if f.Name == av && (!f.Playable || f.Track != session.TrackBoth || f.UID != "7") {
				t.Errorf("fact of the joint index: %+v", f)
			}
		}
	}
	if len(listed) != 3 {
		t.Errorf("listed: %q", listed)
	}
}

func TestJointMPD(t *testing.T) {
	t.Parallel()
	d := newDeck(t, testPlan(session.StreamStandard))
	var s scene
	s.user(7, "a", samples.VP8(t), 2*sec, 25*sec)
	s.user(7, "b", samples.VP8(t), 32*sec, 40*sec)
	d.play(&s, 0, 41*sec)
	d.finish()
	d.check()
	video, audio := d.playlist(d.index(7, "video")), d.playlist(d.index(7, "audio"))
	for _, p := range append(video.Slices, audio.Slices...) {
		if !strings.HasSuffix(p.Name, ".webm") {
			t.Errorf("slice %s in standard mode with VP8", p.Name)
		}
	}
	w := d.watch(d.index(7, "video"), d.index(7, "audio"))
	inSync(t, w, samples.ToneVP8, 29)

	mpd := strings.TrimSuffix(d.index(7, "av"), ".m3u8") + ".mpd"
	b, err := os.ReadFile(d.path(mpd))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`media="` + video.Slices[0].Name + `" mediaRange="`, `media="` + audio.Slices[len(audio.Slices)-1].Name + `" mediaRange="`,
		`width="320" height="180" rotate="0" time="20260730235952123"`, `<ExtDiscontinuity time="20260731000022123"/>`,
		`type="static" mediaPresentationDuration="PT38.`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the MPD lacks %s:\n%s", want, b)
		}
	}
	if _, err := os.Stat(d.path(d.index(7, "av"))); err == nil {
		t.Error("there is a joint M3U8 too, without TS slices")
	}
	// Slices may be shipped and gone as soon as they are closed.
	p := d.mode.(*individual).users[7]
	all := append(p.index(typeVideo).slices(), p.index(typeAudio).slices()...)
	want := newJoint(p).segments(all)
	for _, s := range all {
		if err := os.Remove(d.path(s.name)); err != nil {
			t.Fatal(err)
		}
	}
	for i, g := range newJoint(p).segments(all) {
		if g.Head == 0 || g.Head != want[i].Head || !strings.Contains(string(b), fmt.Sprintf(`media="%s" mediaRange="%d-`, g.Name, g.Head)) {
			t.Errorf("the header of %s, which is gone, is known as %d bytes", g.Name, g.Head)
		}
	}
}
