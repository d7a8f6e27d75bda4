package recorder

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/player"
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/samples"
)

func rawPlan() session.Plan {
	p := shortPlan("")
	p.Mode = session.Raw
	return p
}

// outputs returns the files of the list, by what follows the uid in their names.
func (d *deck) outputs(uid string) (names []string) {
	for _, f := range d.facts() {
		product := f.Type == spool.FactIndex || f.Type == spool.FactClosed && f.Kind == spool.KindMP4
		if _, rest, ok := strings.Cut(f.Name, "__uid_s_"+uid+"__uid_e_"); ok && product && !f.Unlisted && !slices.Contains(names, rest) {
			names = append(names, rest)
		}
	}
	slices.Sort(names)
	return names
}

// A user with picture and sound who leaves and returns: one playlist of merged
// slices that plays in a browser, and MP4 files.
func TestRawMerged(t *testing.T) {
	t.Parallel()
	plan := rawPlan()
	plan.MP4 = true
	d := newDeck(t, plan)
	var s scene
	set := samples.H264(t)
	s.user(7, "a", set, 1*sec, 10*sec)
	s.user(7, "b", set, 14*sec, 19*sec)
	d.play(&s, 0, 20*sec)
	d.finish()
	want := []string{"0_h264.mp4", "1_h264.mp4", "h264.m3u8"}
	if got := d.outputs("7"); !slices.Equal(got, want) {
		t.Fatalf("outputs %q, want %q", got, want)
	}
	name := newNames(d.plan).index(7, "h264")
	p := d.playlist(name)
	slice := regexp.MustCompile(`^[0-9a-f]{32}_my_room__uid_s_7__uid_e_\d{17}_h264\.ts$`)
	for _, sl := range p.Slices {
		if !slice.MatchString(sl.Name) {
			t.Errorf("slice %s", sl.Name)
		}
		info, _, err := probe.Inspect(t.Context(), d.path(sl.Name))
		if err != nil || info.Codecs() != "h264+aac" {
			t.Errorf("%s: %+v, %v", sl.Name, info, err)
		}
	}
	d.decodes(p)
	within(t, "playlist", p.Sum(), 14*time.Second, 400*time.Millisecond)
	w := d.watch(name)
	inSync(t, w, samples.ToneH264, 14)
	for i, want := range []time.Duration{9 * time.Second, 5 * time.Second} {
		path := d.path(newNames(d.plan).user(7, string(rune('0'+i))) + "_h264.mp4")
		info, _, err := probe.Inspect(t.Context(), path)
		if err != nil || info.Codecs() != "h264+aac" {
			t.Fatalf("MP4 %d: %+v, %v", i, info, err)
		}
		if err := probe.Clean(t.Context(), path); err != nil {
			t.Error(err)
		}
		within(t, "MP4", info.Duration, want, 300*time.Millisecond)
	}
	r, err := player.Play(t.Context(), d.dir.Path()+"/files", name, 4, 2*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Complete(0.4); err != nil {
		t.Errorf("%v: %+v", err, r)
	}
}

// The camera goes off and on: the sound goes on in the same playlist.
func TestRawCameraOffAndOn(t *testing.T) {
	t.Parallel()
	d := newDeck(t, rawPlan())
	var s scene
	set := samples.H264(t)
	u := channel.User{UID: 7}
	v := &channel.Track{ID: "v", User: u, Codec: media.H264}
	s.send(&channel.Track{ID: "a", User: u, Codec: media.Opus}, set.Opus, loop, 1*sec, 16*sec)
	s.add(1*sec, channel.Started{Track: v, At: 1 * sec})
	s.media(v, set.Video, loop, 1*sec, 6*sec)
	s.add(6*sec+network, channel.Muted{Track: v, Muted: true, At: 6 * sec})
	s.add(11*sec, channel.Muted{Track: v, At: 11 * sec})
	s.media(v, set.Video, loop, 11*sec, 16*sec)
	d.play(&s, 0, 17*sec)
	d.finish()
	if got := d.outputs("7"); !slices.Equal(got, []string{"h264.m3u8"}) {
		t.Fatalf("outputs %q", got)
	}
	name := newNames(d.plan).index(7, "h264")
	w := d.watch(name)
	if len(w.Warnings) > 0 || len(w.Broken(0)) > 0 || len(w.Frames) != 10*30 {
		t.Errorf("%q, %d frames, want 300", w.Warnings, len(w.Frames))
	}
	if n := len(w.Beeps(samples.ToneH264)); n != 15 {
		t.Errorf("%d beeps, want 15", n)
	}
	d.decodes(d.playlist(name))
}

// VP8 and VP9 give a DASH manifest over WebM, sound alone a playlist of AAC, and
// MP3 where that is asked for.
func TestRawOtherOutputs(t *testing.T) {
	t.Parallel()
	d := newDeck(t, rawPlan())
	var s scene
	s.user(7, "a", samples.VP8(t), 1*sec, 9*sec)
	u := channel.User{UID: 8}
	s.send(&channel.Track{ID: "w", User: u, Codec: media.VP9}, samples.Pictures(t, media.VP9), sec, 1*sec, 9*sec)
	s.send(&channel.Track{ID: "x", User: u, Codec: media.Opus}, samples.H264(t).Opus, loop, 1*sec, 9*sec)
	s.send(&channel.Track{ID: "y", User: channel.User{UID: 9}, Codec: media.Opus}, samples.H264(t).Opus, loop, 1*sec, 9*sec)
	d.play(&s, 0, 10*sec)
	d.finish()
	for uid, want := range map[string][]string{"7": {"vp8.mpd"}, "8": {"vp9.mpd"}, "9": {"aac.m3u8"}} {
		if got := d.outputs(uid); !slices.Equal(got, want) {
			t.Errorf("outputs of %s: %q, want %q", uid, got, want)
		}
	}
	files, err := filepath.Glob(d.path("*_vp?.webm"))
	if err != nil || len(files) != 4 {
		t.Errorf("%q, %v", files, err)
	}
	for _, f := range files {
		if err := probe.Clean(t.Context(), f); err != nil {
			t.Error(err)
		}
	}
	d.decodes(d.playlist(newNames(d.plan).index(9, "aac")))
}

func TestRawMP3(t *testing.T) {
	t.Parallel()
	plan := rawPlan()
	plan.Streams, plan.MP3 = session.AudioOnly, true
	d := newDeck(t, plan)
	var s scene
	s.send(&channel.Track{ID: "a", User: channel.User{UID: 7}, Codec: media.Opus}, samples.H264(t).Opus, loop, 1*sec, 9*sec)
	s.add(9*sec+network+1, channel.Left{User: channel.User{UID: 7}, At: 9 * sec})
	d.play(&s, 0, 11*sec)
	d.finish()
	if got := d.outputs("7"); !slices.Equal(got, []string{"0_mp3.mp3"}) {
		t.Fatalf("outputs %q", got)
	}
	path := d.path(newNames(d.plan).user(7, "0") + "_mp3.mp3")
	info, _, err := probe.Inspect(t.Context(), path)
	if err != nil || info.Codecs() != "mp3" {
		t.Fatalf("%+v, %v", info, err)
	}
	within(t, "MP3", info.Duration, 8*time.Second, 150*time.Millisecond)
	if err := probe.Clean(t.Context(), path); err != nil {
		t.Error(err)
	}
	w, err := probe.Watch(t.Context(), []probe.Segment{{Path: path}})
	if err != nil || len(w.Beeps(samples.ToneH264)) != 8 {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(d.path(newNames(d.plan).report())); err != nil {
		t.Error(err)
	}
}
