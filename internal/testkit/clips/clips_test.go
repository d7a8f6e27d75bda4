package clips_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/testkit/clips"
	"tapedeck/internal/testkit/probe"
)

// TestLoopsAreInStep measures the encoded files: whole loops, key frames, and
// flash and beep where they are promised.
func TestLoopsAreInStep(t *testing.T) {
	if testing.Short() {
		t.Skip("runs ffmpeg")
	}
	cache := t.TempDir()
	people := []clips.Person{
		{UID: 7, Color: "#2050b0", Tone: 600, Video: []clips.Video{{Codec: media.H264, W: 320, H: 180, Kbps: 150}, {Codec: media.H264, W: 640, H: 360, Kbps: 400}}},
		{UID: 8, Color: "#b05010", Tone: 1000, Video: []clips.Video{{Codec: media.VP8, W: 320, H: 180, Kbps: 300}}},
	}
	sets, err := clips.Make(t.Context(), cache, people)
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range sets {
		for _, layer := range set.Layers {
			picture(t, layer)
		}
		sound(t, set)
	}
	kept(t, cache, people, sets)
}

func picture(t *testing.T, c clips.Clip) {
	t.Helper()
	packets, err := probe.Packets(t.Context(), c.Path)
	if err != nil {
		t.Fatal(err)
	}
	const frames = int(clips.Loop/time.Second) * clips.FPS
	if len(packets) != frames {
		t.Errorf("%s: %d frames, want %d", c.Path, len(packets), frames)
	}
	for i, p := range packets {
		if i%clips.GOP == 0 && !p.Key {
			t.Errorf("%s: frame %d is no key frame", c.Path, i)
		}
	}
	w, err := probe.Watch(t.Context(), []probe.Segment{{Path: c.Path}})
	if err != nil {
		t.Fatal(err)
	}
	flashes := w.Flashes(0)
	if len(flashes) != int(clips.Loop/time.Second) {
		t.Fatalf("%s: %d flashes", c.Path, len(flashes))
	}
	// Raw H.264 carries no times, so frames are counted.
	step := time.Second / clips.FPS
	for i, f := range flashes {
		want := clips.FirstFlash + time.Duration(i)*time.Second
		if n := int((f.Start + step/2) / step); c.Codec == media.VP8 && n != int(want/step) {
			t.Errorf("%s: flash %d begins in frame %d, want %d", c.Path, i, n, want/step)
		}
	}
	for i := range frames {
		bright := w.Frames[i].Sight[0].Y > 180
		pos := (time.Duration(i)*step + step/2 + time.Second - clips.FirstFlash) % time.Second
		if bright != (pos < clips.FlashLength) {
			t.Errorf("%s: frame %d bright %v", c.Path, i, bright)
		}
	}
	if f := w.Freezes(0, 200*time.Millisecond, 0, clips.Loop); len(f) > 0 {
		t.Errorf("%s: the picture stands still: %v", c.Path, f)
	}
}

func sound(t *testing.T, s clips.Set) {
	t.Helper()
	packets, err := probe.Packets(t.Context(), s.Audio.Path)
	if err != nil {
		t.Fatal(err)
	}
	if want := int(clips.Loop / clips.OpusPacket); len(packets) != want {
		t.Errorf("%s: %d packets, want %d", s.Audio.Path, len(packets), want)
	}
	w, err := probe.Watch(t.Context(), []probe.Segment{{Path: s.Audio.Path}})
	if err != nil {
		t.Fatal(err)
	}
	beeps := w.Beeps(s.Tone)
	if len(beeps) != int(clips.Loop/time.Second) {
		t.Fatalf("%s: %d beeps", s.Audio.Path, len(beeps))
	}
	for i, b := range beeps {
		want := clips.FirstFlash + time.Duration(i)*time.Second
		if d := b.Start - want; d.Abs() > time.Millisecond {
			t.Errorf("%s: beep %d is off by %v", s.Audio.Path, i, d)
		}
	}
}

// kept proves that a second call makes nothing and leaves no rubbish.
func kept(t *testing.T, cache string, people []clips.Person, sets []clips.Set) {
	t.Helper()
	before, err := os.Stat(sets[0].Layers[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := clips.Make(t.Context(), cache, people)
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(again[0].Layers[0].Path)
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the clip was made again: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "*")); len(left) != len(people) {
		t.Errorf("the cache holds %q", left)
	}
}

func TestRefusesWhatItCannotMake(t *testing.T) {
	for _, p := range []clips.Person{
		{UID: 1},
		{UID: 1, Tone: 650},
		{UID: 1, Video: []clips.Video{{Codec: media.VP9, W: 320, H: 180, Kbps: 100}}},
		{UID: 1, Video: []clips.Video{{Codec: media.H264, W: 321, H: 180, Kbps: 100}}},
		{UID: 1, Video: []clips.Video{{Codec: media.H264, W: 320, H: 180, Kbps: 100}, {Codec: media.VP8, W: 320, H: 180, Kbps: 100}}},
	} {
		if _, err := clips.Make(t.Context(), t.TempDir(), []clips.Person{p}); err == nil {
			t.Errorf("%+v was made", p)
		}
	}
}
