package recorder

import (
	"os"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
	"tapedeck/internal/testkit/player"
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/samples"
)

// A user with VP9 and sound in standard mode: the playlists name the
// initialisation of every slice, and the joint index plays in a browser.
func TestIndividualFragmentsPlay(t *testing.T) {
	t.Parallel()
	d := newDeck(t, shortPlan(session.StreamStandard))
	var s scene
	u := channel.User{UID: 7}
	s.send(&channel.Track{ID: "v", User: u, Codec: media.VP9}, samples.Pictures(t, media.VP9), sec, 1*sec, 9*sec)
	s.send(&channel.Track{ID: "a", User: u, Codec: media.Opus}, samples.H264(t).Opus, loop, 1*sec, 9*sec)
	d.play(&s, 0, 10*sec)
	d.finish()
	d.check()
	for _, kind := range []string{"video", "av-video"} {
		text, err := os.ReadFile(d.path(d.index(7, kind)))
		if err != nil {
			t.Fatal(err)
		}
		p := d.playlist(d.index(7, kind))
		// Slices that are decoded alike share the initialisation of the first.
		if n := strings.Count(string(text), `#EXT-X-MAP:URI="`+p.Slices[0].Name+`",BYTERANGE="`); n != 1 || strings.Count(string(text), "#EXT-X-BYTERANGE:") != 2 {
			t.Errorf("%s does not say how slices are decoded:\n%s", kind, text)
		}
		if len(p.Slices) != 2 || p.Version != 6 {
			t.Errorf("%s: %d slices, version %d", kind, len(p.Slices), p.Version)
		}
	}
	av := d.index(7, "av")
	w, err := probe.Watch(t.Context(), []probe.Segment{{Path: d.path(av)}})
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Warnings) > 0 || len(w.Frames) != 240 {
		t.Errorf("%v, %v, %d frames", err, w.Warnings, len(w.Frames))
	}
	r, err := player.Play(t.Context(), d.dir.Path()+"/files", av, 4, 2*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Complete(0.2); err != nil {
		t.Errorf("%v: %+v", err, r)
	}
}

// A worker that is killed leaves a slice that is whole up to its last fragment.
func TestIndividualFragmentsAreRecovered(t *testing.T) {
	t.Parallel()
	d := newDeck(t, testPlan(session.StreamDefault))
	var s scene
	v := &channel.Track{ID: "v", User: channel.User{UID: 7}, Codec: media.AV1}
	s.send(v, samples.Pictures(t, media.AV1), sec, 1*sec, 20*sec)
	d.play(&s, 0, 8*sec)
	d.await(d.index(7, "video"), 1*sec, bytesOf(samples.Pictures(t, media.AV1), 0, sec)*5)
	dir := snapshot(t, d.dir)
	d.drop()
	killed := d.resume(dir)
	killed.finish()
	killed.check()
	list := killed.playlist(d.index(7, "video"))
	if len(list.Slices) != 1 || list.Slices[0].Duration < 5*time.Second || list.Slices[0].Duration > 7*time.Second {
		t.Fatalf("%+v", list.Slices)
	}
	w := killed.watch(d.index(7, "video"))
	if n := time.Duration(len(w.Frames)) * time.Second / 30; (n - list.Slices[0].Duration).Abs() > time.Millisecond {
		t.Errorf("%d frames in %v", len(w.Frames), list.Slices[0].Duration)
	}
}

// Codecs that the specification does not know are recorded too.
func TestIndividualOtherCodecs(t *testing.T) {
	t.Parallel()
	for c, want := range map[media.Codec]string{media.VP9: ".mp4 vp9", media.AV1: ".mp4 av1", media.H265: ".mp4 hevc"} {
		d := newDeck(t, shortPlan(session.StreamDefault))
		units := samples.Pictures(t, c)
		v := &channel.Track{ID: "v", User: channel.User{UID: 7}, Codec: c}
		var s scene
		s.send(v, units, sec, 0, 5*sec)
		d.play(&s, 0, 6*sec)
		d.finish()
		d.check()
		video := d.playlist(d.index(7, "video"))
		info, _, err := probe.Inspect(t.Context(), d.path(video.Slices[0].Name))
		if got := video.Slices[0].Name[strings.LastIndex(video.Slices[0].Name, "."):] + " " + info.Codecs(); err != nil || got != want {
			t.Errorf("%s: %s, %v", c, got, err)
		}
		within(t, c.String(), video.Sum(), 5*time.Second, time.Millisecond)
		if w := d.watch(d.index(7, "video")); len(w.Frames) != 150 {
			t.Errorf("%s: %d frames", c, len(w.Frames))
		}
	}
}
