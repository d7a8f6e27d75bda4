package transcode

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/samples"
)

// every returns n instants a second apart.
func every(from time.Duration, n int) (out []time.Duration) {
	for i := range n {
		out = append(out, from+time.Duration(i)*time.Second)
	}
	return out
}

func near(t *testing.T, what string, got, want []time.Duration, limit time.Duration) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d, want %d: %v", what, len(got), len(want), got)
		return
	}
	for i := range got {
		if d := got[i] - want[i]; d < -limit || d > limit {
			t.Errorf("%s %d at %v, want %v", what, i, got[i], want[i])
		}
	}
}

func beeps(w *probe.Watched, hz int) (out []time.Duration) {
	for _, b := range w.Beeps(hz) {
		out = append(out, b.Start)
	}
	return out
}

func flashes(w *probe.Watched, region int) (out []time.Duration) {
	for _, f := range w.Flashes(region) {
		out = append(out, f.Start)
	}
	return out
}

func watch(t *testing.T, path string, regions ...probe.Region) *probe.Watched {
	t.Helper()
	// The length of a sequence of ADTS frames can only be estimated.
	if err := probe.Clean(context.Background(), path); err != nil && filepath.Ext(path) != ".aac" {
		t.Error(err)
	}
	w, err := probe.Watch(context.Background(), []probe.Segment{{Path: path}}, regions...)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func length(t *testing.T, path string, want, limit time.Duration) probe.Info {
	t.Helper()
	info, _, err := probe.Inspect(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	lasts := info.Duration
	if filepath.Ext(path) == ".aac" { // says nothing of its length: ffprobe guesses it from the bytes of the first frames
		packets, err := probe.Packets(t.Context(), path)
		span, ok := probe.SpanOf(packets, "audio")
		if err != nil || !ok {
			t.Fatal(path, err)
		}
		lasts = span.Length()
	}
	if d := lasts - want; d < -limit || d > limit {
		t.Errorf("%s lasts %v, want %v", filepath.Base(path), lasts, want)
	}
	return info
}

// moovFirst reports whether the index comes before the media.
func moovFirst(t *testing.T, path string) bool {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	return string(b[at+4:at+8]) == "moov"
}

func run(t *testing.T, j Job) (Result, string) {
	t.Helper()
	out := t.TempDir()
	var last Report
	res, err := Run(t.Context(), j, Dir(j.Input), Folder(out), func(r Report) {
		if r.Done < last.Done {
			t.Errorf("progress goes back from %d to %d", last.Done, r.Done)
		}
		last = r
	})
	if err != nil {
		t.Fatal(err)
	}
	if last.Done != last.Total || last.Total == 0 {
		t.Errorf("ends at %d of %d bytes", last.Done, last.Total)
	}
	return res, out
}

const frameLength = time.Second / 30

// Every user's MP4 is as long as the recording, with everything at its time.
func TestUsersBecomeMP4s(t *testing.T) {
	res, out := run(t, Job{Input: room(t), Kind: KindUsers})
	if len(res.Users) != 3 || len(res.Missing) != 0 {
		t.Fatalf("%+v", res)
	}
	name := func(uid string) string { return filepath.Join(out, stem+"__uid_s_"+uid+"__uid_e_0.mp4") }
	for _, u := range res.Users {
		if len(u.Files) != 1 || filepath.Join(out, u.Files[0]) != name(u.UID) || u.Error != "" {
			t.Errorf("%+v", u)
		}
		length(t, name(u.UID), 26*time.Second, frameLength)
		if !moovFirst(t, name(u.UID)) {
			t.Errorf("%s: the index does not come first", u.UID)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(out, "*.part")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}

	w := watch(t, name("101"))
	want := append(every(2500*time.Millisecond, 10), every(16500*time.Millisecond, 10)...)
	near(t, "beep of 101", beeps(w, samples.ToneH264), want, 12*time.Millisecond)
	near(t, "flash of 101", flashes(w, 0), want, frameLength)
	w = watch(t, name("102"))
	near(t, "beep of 102", beeps(w, samples.ToneVP8), every(500*time.Millisecond, 10), 3*time.Millisecond)
	near(t, "flash of 102", flashes(w, 0), every(500*time.Millisecond, 10), frameLength)
	w = watch(t, name("103"))
	near(t, "beep of 103", beeps(w, samples.ToneH264), every(4500*time.Millisecond, 10), 3*time.Millisecond)
}

// H.264 in one format is copied bit by bit: the same pictures come out.
func TestPicturesAreCopied(t *testing.T) {
	rec, err := Open(room(t), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range rec.Users {
		v, err := rec.video(u, func(int64) {})
		if err != nil {
			t.Fatal(err)
		}
		if kept := v != nil && v.kept; kept != (u.UID == "101") {
			t.Errorf("%s: kept %v", u.UID, kept)
		}
	}
}

// A shared screen beside the camera is a file of its own, of the same user.
func TestScreenIsAFileOfItsOwn(t *testing.T) {
	dir := room(t)
	v := newTrack(t, dir, "101", "screen")
	v.ts(samples.H264(t).Video, 3*sec, 300)
	v.end()
	res, out := run(t, Job{Input: dir, Kind: KindUsers})
	want := []string{stem + "__uid_s_101__uid_e_0.mp4", stem + "__uid_s_101__uid_e_screen_0.mp4"}
	if len(res.Users) != 3 || !slices.Equal(res.Users[0].Files, want) {
		t.Fatalf("%+v", res.Users)
	}
	info := length(t, filepath.Join(out, want[1]), 26*time.Second, frameLength)
	if _, ok := info.Stream("audio"); ok {
		t.Error("the screen has sound")
	}
}

func TestEverybodyInOneSoundFile(t *testing.T) {
	dir := room(t)
	for _, form := range []Job{
		{Container: "mp3", SampleRate: 48000, Bitrate: 48000, Channels: 2},
		{Container: "m4a", SampleRate: 32000, Bitrate: 48000, Channels: 1},
		{Container: "aac", SampleRate: 16000, Bitrate: 48000, Channels: 2},
		{Container: "mp3", SampleRate: 16000, Bitrate: 32000, Channels: 1},
	} {
		form.Input, form.Kind = dir, KindAudioMix
		res, out := run(t, form)
		if len(res.Files) != 1 || res.Files[0] != stem+"_0."+form.Container {
			t.Fatalf("%+v", res)
		}
		path := filepath.Join(out, res.Files[0])
		info := length(t, path, 26*time.Second, 80*time.Millisecond) // whole frames, and what drains out of the encoder
		if a, _ := info.Stream("audio"); a.Rate != form.SampleRate || a.Channels != form.Channels {
			t.Errorf("%s: %+v", form.Container, a)
		}
		w := watch(t, path)
		near(t, form.Container+": beep of 102", beeps(w, samples.ToneVP8), every(500*time.Millisecond, 10), 10*time.Millisecond)
		// 101 and 103 have one tone, on the same instants where both are there.
		want := append(every(2500*time.Millisecond, 12), every(16500*time.Millisecond, 10)...)
		near(t, form.Container+": beep of 101 and 103", beeps(w, samples.ToneH264), want, 10*time.Millisecond)
	}
}

func TestEverybodyInOnePicture(t *testing.T) {
	dir := room(t)
	res, out := run(t, Job{Input: dir, Kind: KindComposite, Mixing: &session.Mixing{
		Width: 640, Height: 360, FPS: 15, Bitrate: 500, Layout: session.Layout{Kind: 3, Background: "#000000", Regions: []session.CustomRegion{
			{UID: 101, W: 0.5, H: 1, Alpha: 1}, {UID: 102, X: 0.5, W: 0.5, H: 1, Alpha: 1},
		}},
	}})
	path := filepath.Join(out, res.Files[0])
	length(t, path, 26*time.Second, 2*frameLength)
	w := watch(t, path, probe.Region{X: 0.02, Y: 0.1, W: 0.46, H: 0.8}, probe.Region{X: 0.52, Y: 0.1, W: 0.46, H: 0.8})
	want := append(every(2500*time.Millisecond, 10), every(16500*time.Millisecond, 10)...)
	near(t, "flash of 101", flashes(w, 0), want, 2*frameLength)
	near(t, "flash of 102", flashes(w, 1), every(500*time.Millisecond, 10), 2*frameLength)
	near(t, "beep of 102", beeps(w, samples.ToneVP8), every(500*time.Millisecond, 10), 10*time.Millisecond)
}
