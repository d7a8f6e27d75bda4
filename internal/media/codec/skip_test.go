package codec

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"tapedeck/internal/media"
)

// closeTo returns the largest mean distance of luma over 16 rows between two
// canvases.
func closeTo(a, b *Canvas) float64 {
	pa, sa := a.Plane(0)
	pb, sb := b.Plane(0)
	w, h := a.Size()
	worst := 0.0
	for y := 0; y+16 <= h; y += 16 {
		sum := 0
		for j := range 16 {
			for x := range w {
				d := int(pa[(y+j)*sa+x]) - int(pb[(y+j)*sb+x])
				sum += max(d, -d)
			}
		}
		worst = max(worst, float64(sum)/float64(16*w))
	}
	return worst
}

// A stream that stands still and moves in turns, with key frames in between:
// every picture comes out once, in order, where it belongs, decodes here and in
// ffmpeg to the same samples, and looks like the canvas at its time.
func TestRepeat(t *testing.T) {
	for _, g := range []EncoderConfig{
		{W: 160, H: 96, FPS: 30, Kbps: 400}, {W: 162, H: 94, FPS: 15, Kbps: 300, Quality: "high"}, {W: 160, H: 96, FPS: 1, Kbps: 100},
		{W: 96, H: 64, FPS: 60, Kbps: 300},
	} {
		t.Run(fmt.Sprintf("%dx%d@%d", g.W, g.H, g.FPS), func(t *testing.T) { testRepeat(t, g) })
	}
}

func testRepeat(t *testing.T, g EncoderConfig) {
	e, err := NewH264Encoder(g)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if e.skip == nil {
		t.Fatal("this x264 makes streams to which nothing can be added")
	}
	rng := rand.New(rand.NewPCG(5, uint64(g.FPS)))
	c, seen, d := newCanvas(t, g.W, g.H), newCanvas(t, g.W, g.H), newDecoder(t, media.H264)
	var stream, decoded []byte
	var shown []int // which painting is on the canvas at picture n
	forced := map[int64]bool{}
	next, small := int64(0), 0
	paintings := map[int]*Canvas{}
	sink := func(out []Encoded) {
		for _, u := range out {
			if u.Frame != next {
				t.Fatalf("picture %d came out, want %d", u.Frame, next)
			}
			if forced[next] && !u.Key {
				t.Errorf("picture %d is no key frame", next)
			}
			if len(u.Data) < 40 {
				small++
			}
			if fresh, err := d.Decode(u.Data); !fresh || err != nil {
				t.Fatalf("picture %d (%d bytes, key %v): %v, %v", next, len(u.Data), u.Key, fresh, err)
			}
			if err := seen.Draw(d, 0, 0, g.W, g.H, false); err != nil {
				t.Fatal(err)
			}
			if off := closeTo(seen, paintings[shown[next]]); off > 14 {
				t.Errorf("picture %d is off by %.1f", next, off)
			}
			stream, decoded = append(stream, u.Data...), append(decoded, i420(seen)...)
			next++
		}
	}
	frame, painting := int64(0), 0
	step := func(move, key bool) {
		if move {
			painting++
			paint(t, c, painting)
			p := newCanvas(t, g.W, g.H)
			if err := p.CopyFrom(c); err != nil {
				t.Fatal(err)
			}
			paintings[painting] = p
		}
		shown = append(shown, painting)
		var out []Encoded
		var err error
		if move || key {
			forced[frame] = key
			out, err = e.Encode(c, frame, key)
		} else {
			out, err = e.Repeat(c, frame)
		}
		if err != nil {
			t.Fatal(err)
		}
		frame++
		sink(out)
	}
	step(true, true)
	for range 14 {
		for range rng.IntN(8) {
			step(true, rng.IntN(9) == 0)
		}
		for range rng.IntN(4 * g.FPS) {
			step(false, rng.IntN(2*g.FPS) == 0 && g.FPS > 1)
		}
	}
	for range 3 * g.FPS {
		step(false, false)
	}
	for range 400 { // beyond what frame_num can count
		step(false, false)
	}
	step(true, false)
	for range 20 {
		step(rng.IntN(2) == 0, false)
	}
	out, err := e.Flush()
	if err != nil {
		t.Fatal(err)
	}
	sink(out)
	if next != frame {
		t.Errorf("%d of %d pictures came out", next, frame)
	}
	if small < 350 {
		t.Errorf("only %d of %d pictures were repeated", small, frame)
	}
	raw := run(t, stream, "-xerror", "-err_detect", "explode", "-f", "h264", "-i", "pipe:0", "-fps_mode", "passthrough", "-f", "rawvideo", "pipe:1")
	if !bytes.Equal(raw, decoded) {
		t.Errorf("ffmpeg decodes %d bytes, this package %d, or they differ", len(raw), len(decoded))
	}
}

func TestEscape(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		b := make([]byte, 1+rng.IntN(40))
		for i := range b {
			b[i] = byte(rng.IntN(5))
		}
		e := escape(nil, b)
		for i := 2; i < len(e); i++ {
			if e[i-2]|e[i-1] == 0 && e[i] < 3 {
				t.Fatalf("% x has a start code", e)
			}
		}
		if got := unescape(nil, e); !bytes.Equal(got, b) {
			t.Fatalf("% x became % x", b, got)
		}
	}
}

// What is no stream of ours is left alone.
func FuzzSkipper(f *testing.F) {
	e, err := NewH264Encoder(EncoderConfig{W: 64, H: 64, FPS: 15, Kbps: 100})
	if err != nil {
		f.Fatal(err)
	}
	defer e.Close()
	sps, pps := e.ParameterSets()
	f.Add(sps, pps, []byte{0, 0, 0, 1, 0x41, 0x9a, 1, 2, 3})
	f.Fuzz(func(_ *testing.T, sps, pps, au []byte) {
		s, err := newSkipper(sps, pps)
		if err != nil {
			return
		}
		s.pass(au, true)
		s.add()
		s.pass(au, false)
		s.add()
	})
}
