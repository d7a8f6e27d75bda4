package codec

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"tapedeck/internal/media"
)

// Every codec: each unit gives its picture at once, the same as ffmpeg's own
// decode of the whole file.
func TestDecode(t *testing.T) {
	const w, h, n = 320, 180, 15
	for _, r := range recipes {
		t.Run(r.name, func(t *testing.T) {
			raw, frames := r.encoded(t, fmt.Sprintf("testsrc2=s=%dx%d:r=15:d=1", w, h), "-pix_fmt", "yuv420p")
			if len(frames) != n {
				t.Fatalf("%d access units, want %d", len(frames), n)
			}
			want := run(t, raw, "-i", "pipe:0", "-pix_fmt", "yuv420p", "-f", "rawvideo", "pipe:1")
			d, c := newDecoder(t, r.codec), newCanvas(t, w, h)
			if err := c.Draw(d, 0, 0, w, h, false); err == nil {
				t.Error("drew a picture before the first")
			}
			for i, f := range frames {
				fresh, err := d.Decode(f)
				if err != nil || !fresh {
					t.Fatalf("unit %d: fresh %v, %v", i, fresh, err)
				}
				if dw, dh := d.Size(); dw != w || dh != h {
					t.Fatalf("unit %d: %dx%d", i, dw, dh)
				}
				if err := c.Draw(d, 0, 0, w, h, false); err != nil {
					t.Fatal(err)
				}
				size := w * h * 3 / 2
				if !bytes.Equal(i420(c), want[i*size:(i+1)*size]) {
					t.Fatalf("picture %d differs from ffmpeg's", i)
				}
			}
		})
	}
}

// Other sample formats, ranges and matrices end up as the same colours in
// limited-range BT.601.
func TestDecodeOtherFormats(t *testing.T) {
	h264, hevc, vp9, av1 := recipes[0], recipes[1], recipes[3], recipes[4]
	h264.args = slices.Replace(slices.Clone(h264.args), 6, 8) // no profile
	for _, c := range []struct {
		name string
		r    recipe
		args []string
	}{
		{"h264 4:2:2", h264, []string{"-pix_fmt", "yuv422p"}},
		{"h264 4:4:4", h264, []string{"-pix_fmt", "yuv444p"}},
		{"h264 full range", h264, []string{"-pix_fmt", "yuvj420p"}},
		{"h264 BT.709", h264, []string{"-vf", "scale=out_color_matrix=bt709", "-colorspace", "bt709", "-pix_fmt", "yuv420p"}},
		{"h264 BT.709 full range", h264, []string{"-vf", "scale=out_color_matrix=bt709:out_range=full", "-colorspace", "bt709", "-color_range", "pc", "-pix_fmt", "yuvj420p"}},
		{"hevc 10 bit", hevc, []string{"-pix_fmt", "yuv420p10le"}},
		{"hevc grey", hevc, []string{"-pix_fmt", "gray"}},
		{"vp9 4:4:4", vp9, []string{"-pix_fmt", "yuv444p"}},
		{"vp9 4:2:2 10 bit", vp9, []string{"-pix_fmt", "yuv422p10le"}},
		{"vp9 4:4:4 10 bit", vp9, []string{"-pix_fmt", "yuv444p10le"}},
		{"av1 10 bit", av1, []string{"-pix_fmt", "yuv420p10le"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, frames := c.r.encoded(t, "color=c=0xC04020:s=160x96:r=5:d=1,format=rgb24", c.args...)
			d, canvas := newDecoder(t, c.r.codec), newCanvas(t, 320, 192)
			for i, f := range frames {
				if fresh, err := d.Decode(f); err != nil || !fresh {
					t.Fatalf("unit %d: fresh %v, %v", i, fresh, err)
				}
			}
			if err := canvas.Draw(d, 0, 0, 320, 192, false); err != nil {
				t.Fatal(err)
			}
			want := RGB(0xC0, 0x40, 0x20)
			if strings.Contains(c.name, "grey") {
				want[1], want[2] = 128, 128
			}
			if got := at(canvas, 160, 96); !near(got, want, 3) {
				t.Errorf("colour %v, want %v", got, want)
			}
		})
	}
}

// damage returns a unit with what a bad network or a hostile sender does to it.
func damage(rng *rand.Rand, frames [][]byte, i int) []byte {
	k := i
	switch x := rng.IntN(100); {
	case x < 4:
		return nil
	case x < 8:
		k = rng.IntN(len(frames))
	}
	b := slices.Clone(frames[k])
	switch x := rng.IntN(100); {
	case x < 30:
		for range 1 + rng.IntN(20) {
			b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
		}
	case x < 38:
		b = b[:1+rng.IntN(len(b))]
	case x < 40:
		for j := range b {
			b[j] = byte(rng.Uint32())
		}
	}
	return b
}

// Damaged packets never crash, leave a picture that can be drawn, and do not
// make the process grow.
func TestDamagedPackets(t *testing.T) {
	for _, r := range recipes {
		t.Run(r.name, func(t *testing.T) {
			_, frames := r.encoded(t, "testsrc2=s=320x180:r=15:d=4", "-pix_fmt", "yuv420p")
			rng := rand.New(rand.NewPCG(1, uint64(r.codec)))
			canvas := newCanvas(t, 64, 64)
			fresh, failed, before := 0, 0, 0
			for round := range 8 {
				d := newDecoder(t, r.codec)
				for i := range frames {
					b := damage(rng, frames, i)
					if b == nil {
						continue
					}
					ok, err := d.Decode(b)
					if err != nil {
						failed++
					}
					if ok {
						fresh++
						if err := canvas.Draw(d, 0, 0, 64, 64, round%2 == 0); err != nil {
							t.Fatalf("a picture that is there cannot be drawn: %v", err)
						}
					}
				}
				d.Close()
				if round == 3 {
					before = residentKB(t)
				}
			}
			if fresh == 0 || failed == 0 {
				t.Errorf("%d pictures, %d errors: the damage did not do what it should", fresh, failed)
			}
			if grown := residentKB(t) - before; grown > 16<<10 {
				t.Errorf("the process grew by %d KB over four more rounds", grown)
			}
		})
	}
}

func residentKB(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("no /proc")
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	kb := 0
	_, _ = fmt.Sscan(rest, &kb)
	return kb
}

func FuzzDecode(f *testing.F) {
	for _, r := range recipes {
		f.Add(uint8(r.codec), []byte{0, 0, 0, 1, 0x67, 0x42, 0, 10, 0xf8, 0x41, 0xa2})
		f.Add(uint8(r.codec), []byte{0x10, 2, 0, 0x9d, 1, 0x2a, 0x40, 1, 0xb4, 0})
	}
	canvas, err := NewCanvas(64, 64)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		d, err := NewVideoDecoder(media.Codec(which))
		if err != nil {
			return
		}
		defer d.Close()
		for range 2 {
			if ok, _ := d.Decode(data); ok {
				if err := canvas.Draw(d, 0, 0, 64, 64, false); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func TestDecoderLimits(t *testing.T) {
	for _, c := range []media.Codec{media.Unknown, media.Opus, media.AAC, 200} {
		if _, err := NewVideoDecoder(c); err == nil {
			t.Errorf("a video decoder for %v", c)
		}
	}
	d := newDecoder(t, media.VP8)
	if _, err := d.Decode(nil); err == nil {
		t.Error("an empty unit was decoded")
	}
	var e *Error
	if _, err := d.Decode([]byte{1, 2, 3}); !errors.As(err, &e) || e.Code >= 0 {
		t.Errorf("garbage gave %v", err)
	}
	// 16383 x 16383 pixels would be 400 MB a picture.
	if ok, err := d.Decode([]byte{0x10, 2, 0, 0x9d, 1, 0x2a, 0xff, 0x3f, 0xff, 0x3f, 0, 0, 0, 0, 0, 0}); ok || err == nil {
		t.Errorf("a giant picture: %v, %v", ok, err)
	}
	d.Close()
	d.Close()
	if _, err := d.Decode([]byte{1}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if w, h := d.Size(); w != 0 || h != 0 {
		t.Errorf("after Close: %dx%d", w, h)
	}
}
