// Package samples gives tests of muxers and recorders real encoded media as
// access units: loops of package clips, and the same sound as AAC.
package samples

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/testkit/clips"
	"tapedeck/internal/testkit/publish"
)

// Facts of the samples' two persons.
const (
	ToneH264 = 600  // Hz of the beeps that belong to the H.264 pictures
	ToneVP8  = 1000 // and to the VP8 pictures
	W, H     = 320, 180
)

// Set is one person's media, one loop of clips.Loop each, times from 0.
type Set struct {
	Video []media.Unit // 30 frames a second, a key frame every 10
	Opus  []media.Unit // 20 ms each; times are those of the decoded sound
	AAC   []media.Unit // 1024 samples each, mono, 48 kHz; the first primes the decoder
}

// Config is the AudioSpecificConfig of the AAC samples: LC, 48 kHz, mono.
func Config() []byte { return []byte{0x11, 0x88} }

// H264 returns the person with H.264 pictures.
func H264(t testing.TB) Set {
	return load(t, clips.Person{UID: 11, Color: "#2050b0", Tone: ToneH264, Video: []clips.Video{{Codec: media.H264, W: W, H: H, Kbps: 150}}})
}

// H264Large is H264 in 640×360, for changes of size.
func H264Large(t testing.TB) Set {
	return load(t, clips.Person{UID: 11, Color: "#2050b0", Tone: ToneH264, Video: []clips.Video{{Codec: media.H264, W: 2 * W, H: 2 * H, Kbps: 300}}})
}

// VP8 returns the person with VP8 pictures.
func VP8(t testing.TB) Set {
	return load(t, clips.Person{UID: 12, Color: "#b05010", Tone: ToneVP8, Video: []clips.Video{{Codec: media.VP8, W: W, H: H, Kbps: 150}}})
}

func load(t testing.TB, p clips.Person) Set {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	sets, err := clips.Make(ctx, clips.CacheDir(), []clips.Person{p})
	if err != nil {
		t.Fatal(err)
	}
	s := Set{Video: video(t, sets[0].Layers[0]), Opus: opus(t, *sets[0].Audio)}
	s.AAC = aac(t, ctx, sets[0].Audio.Path)
	return s
}

func video(t testing.TB, c clips.Clip) []media.Unit {
	t.Helper()
	read := publish.LoadIVF
	if c.Codec == media.H264 {
		read = func(path string) (*publish.Clip, error) { return publish.LoadH264(path, clips.FPS) }
	}
	clip, err := read(c.Path)
	if err != nil {
		t.Fatal(err)
	}
	var units []media.Unit
	for i, f := range clip.Frames {
		u := media.Unit{Codec: c.Codec, PTS: media.FromTicks90k(int64(i) * 3000), RTP: int64(i) * 3000, Key: f.Key, Data: f.Data}
		if f.Key {
			u.W, u.H = c.W, c.H
		}
		units = append(units, u)
	}
	return units
}

func opus(t testing.TB, c clips.Clip) []media.Unit {
	t.Helper()
	clip, err := publish.LoadOgg(c.Path)
	if err != nil {
		t.Fatal(err)
	}
	var units []media.Unit
	for i, f := range clip.Frames {
		n := int64(i)*clip.Ticks - clip.Lead
		units = append(units, media.Unit{Codec: media.Opus, PTS: media.FromSamples48k(n), RTP: n, Key: true, Data: f.Data})
	}
	return units
}

// aac encodes the sound with ffmpeg, once, and splits the ADTS stream.
func aac(t testing.TB, ctx context.Context, ogg string) []media.Unit {
	t.Helper()
	b := cached(t, ctx, filepath.Join(filepath.Dir(ogg), "audio.aac"),
		"-i", ogg, "-ac", "1", "-ar", "48000", "-c:a", "aac", "-b:a", "48k", "-f", "adts")
	var units []media.Unit
	for i := int64(-1); len(b) > 7; i++ {
		n := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
		if b[0] != 0xFF || n < 7 || n > len(b) {
			t.Fatal("the AAC sample is damaged")
		}
		units = append(units, media.Unit{Codec: media.AAC, PTS: media.FromSamples48k(i * 1024), RTP: i * 1024, Key: true, Data: bytes.Clone(b[7:n])})
		b = b[n:]
	}
	return units
}

// cached returns the file at path, which ffmpeg makes with args if it is not
// there. Tests that make it at the same time make the same.
func cached(t testing.TB, ctx context.Context, path string, args ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		return b
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "making-*")
	if err != nil {
		t.Fatal(err)
	}
	_ = tmp.Close()
	args = append([]string{"-hide_banner", "-nostdin", "-v", "error", "-y"}, append(args, tmp.Name())...)
	if out, err := exec.CommandContext(ctx, "ffmpeg", args...).CombinedOutput(); err != nil {
		_ = os.Remove(tmp.Name())
		t.Fatalf("ffmpeg (Debian: apt-get install ffmpeg): %v: %s", err, out)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		t.Fatal(err)
	}
	if b, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return b
}

// Pictures returns a second of pictures in a codec that no person has: VP9, AV1
// or H.265. Every tenth is a key frame.
func Pictures(t testing.TB, c media.Codec) []media.Unit {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := os.MkdirAll(clips.CacheDir(), 0o755); err != nil {
		t.Fatal(err)
	}
	how := map[media.Codec][]string{
		media.VP9:  {"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-lag-in-frames", "0", "-f", "ivf"},
		media.AV1:  {"-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-lag-in-frames", "0", "-f", "ivf"},
		media.H265: {"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "bframes=0:keyint=10:min-keyint=10:aud=1:repeat-headers=1:log-level=none", "-f", "hevc"},
	}[c]
	b := cached(t, ctx, filepath.Join(clips.CacheDir(), "sample-1."+c.String()), append([]string{
		"-f", "lavfi", "-i", "testsrc2=s=320x180:r=30:d=1", "-pix_fmt", "yuv420p", "-b:v", "200k", "-g", "10"}, how...)...)
	var frames [][]byte
	if c == media.H265 {
		for _, f := range bytes.Split(b, []byte{0, 0, 0, 1, 0x46, 1})[1:] {
			frames = append(frames, f[1:]) // without the rest of the delimiter
		}
	} else {
		clip, err := publish.IVF(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range clip.Frames {
			frames = append(frames, f.Data)
		}
	}
	var units []media.Unit
	for i, f := range frames {
		u := media.Unit{Codec: c, PTS: media.FromTicks90k(int64(i) * 3000), RTP: int64(i) * 3000, Key: i%10 == 0, Data: f}
		if u.Key {
			u.W, u.H = W, H
		}
		units = append(units, u)
	}
	return units
}

// Clip makes a clip for a publisher of units of 30 frames a second.
func Clip(units []media.Unit) *publish.Clip {
	c := &publish.Clip{Codec: units[0].Codec, Ticks: 3000, W: units[0].W, H: units[0].H}
	for _, u := range units {
		c.Frames = append(c.Frames, publish.Frame{Data: u.Data, Key: u.Key})
	}
	return c
}
