package codec

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"tapedeck/internal/media"
)

// nals returns the types of the NAL units of an access unit.
func nals(b []byte) (types []byte) {
	for {
		i := bytes.Index(b, []byte{0, 0, 1})
		if i < 0 || i+3 >= len(b) {
			return types
		}
		types = append(types, b[i+3]&31)
		b = b[i+3:]
	}
}

// paint draws picture n: a ramp with a box that moves.
func paint(t testing.TB, c *Canvas, n int) {
	w, h := c.Size()
	for i := range 3 {
		p, stride := c.Plane(i)
		for y := range h >> min(i, 1) {
			row := p[y*stride:]
			for x := range w >> min(i, 1) {
				row[x] = byte(64 + (x+y*2+n*3+40*i)%128)
			}
		}
	}
	if err := c.Fill(n*8%(w-32)&^1, h/2&^1, 32, 16, white); err != nil {
		t.Fatal(err)
	}
}

func TestH264(t *testing.T) {
	const w, h, fps, n = 320, 192, 30, 200
	e, err := NewH264Encoder(EncoderConfig{W: w, H: h, FPS: fps, Kbps: 800})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	sps, pps := e.ParameterSets()
	if len(sps) < 4 || sps[0]&31 != 7 || len(pps) < 2 || pps[0]&31 != 8 {
		t.Fatalf("parameter sets % x, % x", sps, pps)
	}
	forced := map[int64]bool{37: true, 38: true, 110: true}
	c, seen := newCanvas(t, w, h), newCanvas(t, w, h)
	d := newDecoder(t, media.H264)
	var stream []byte
	next, lag := int64(0), 0
	sink := func(out []Encoded) {
		for _, u := range out {
			if u.Frame != next {
				t.Fatalf("frame %d came out, want %d", u.Frame, next)
			}
			// Unforced key frames would come keySeconds after the last: at 260.
			if wantKey := next == 0 || forced[next]; u.Key != wantKey {
				t.Errorf("frame %d: key %v", next, u.Key)
			}
			ty := nals(u.Data)
			if next == 0 { // x264 tells its settings once
				ty = bytes.ReplaceAll(ty, []byte{6}, nil)
			}
			if u.Key && !bytes.HasPrefix(ty, []byte{7, 8, 5}) || !u.Key && !bytes.Equal(ty, []byte{1}) || !bytes.HasPrefix(u.Data, []byte{0, 0, 0, 1}) {
				t.Errorf("frame %d (key %v): NAL types %v", next, u.Key, ty)
			}
			if u.Key {
				d = newDecoder(t, media.H264) // every group decodes alone
			}
			if ok, err := d.Decode(u.Data); !ok || err != nil {
				t.Fatalf("frame %d does not decode: %v", next, err)
			}
			if err := seen.Draw(d, 0, 0, w, h, false); err != nil {
				t.Fatal(err)
			}
			paint(t, c, int(next))
			if q := psnr(c, seen); q < 30 {
				t.Errorf("frame %d: PSNR %.1f dB", next, q)
			}
			stream = append(stream, u.Data...)
			next++
		}
	}
	for i := range int64(n) {
		paint(t, c, int(i))
		out, err := e.Encode(c, i, forced[i])
		if err != nil {
			t.Fatal(err)
		}
		sink(out)
		lag = max(lag, int(i+1-next))
	}
	out, err := e.Flush()
	if err != nil {
		t.Fatal(err)
	}
	sink(out)
	if next != n || lag > 12 {
		t.Errorf("%d frames came out, at most %d late", next, lag)
	}
	if kbps := float64(len(stream)) * 8 / 1000 / (float64(n) / fps); kbps > 900 {
		t.Errorf("%.0f kbit/s", kbps)
	}
	if raw := run(t, stream, "-f", "h264", "-i", "pipe:0", "-f", "rawvideo", "pipe:1"); len(raw) != n*w*h*3/2 {
		t.Errorf("ffmpeg decodes %d bytes", len(raw))
	}
}

func psnr(a, b *Canvas) float64 {
	x, y, sum := i420(a), i420(b), 0.0
	for i := range x {
		d := float64(x[i]) - float64(y[i])
		sum += d * d
	}
	return 10 * math.Log10(255*255*float64(len(x))/(sum+1e-9))
}

// All sizes and rates that a mix can have open, and what cannot is refused
// with an error that names it.
func TestH264Sizes(t *testing.T) {
	for _, g := range []EncoderConfig{
		{W: 2, H: 2, FPS: 1, Kbps: 1}, {W: 16, H: 1080, FPS: 60, Kbps: 6500}, {W: 1080, H: 1920, FPS: 7, Kbps: 100}, {W: 360, H: 640, FPS: 15, Kbps: 500, Quality: "high"},
	} {
		e, err := NewH264Encoder(g)
		if err != nil {
			t.Errorf("%+v: %v", g, err)
			continue
		}
		c := newCanvas(t, g.W, g.H)
		got := 0
		for i := range int64(3) {
			out, err := e.Encode(c, i, false)
			if err != nil {
				t.Errorf("%+v: %v", g, err)
			}
			got += len(out)
		}
		out, err := e.Flush()
		if got += len(out); err != nil || got != 3 {
			t.Errorf("%+v: %d of 3 pictures, %v", g, got, err)
		}
		if _, err := e.Encode(newCanvas(t, g.W+2, g.H), 9, false); err == nil {
			t.Errorf("%+v: encoded a canvas of another size", g)
		}
		e.Close()
		if _, err := e.Encode(c, 10, false); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
	for _, g := range []EncoderConfig{
		{W: 3, H: 2, FPS: 1, Kbps: 1}, {W: 0, H: 2, FPS: 1, Kbps: 1}, {W: 16, H: 16, FPS: 0, Kbps: 1}, {W: 16, H: 16, FPS: 15, Kbps: 0},
		{W: 1 << 33, H: 2, FPS: 15, Kbps: 1}, {W: 16, H: 16, FPS: 15, Kbps: 500, Quality: "best"},
	} {
		if e, err := NewH264Encoder(g); err == nil {
			e.Close()
			t.Errorf("%+v opened", g)
		}
	}
}

// adts puts an ADTS header before each raw frame (ISO/IEC 13818-7, 6.2).
func adts(frames [][]byte, channels int) (out []byte) {
	for _, f := range frames {
		n := len(f) + 7
		out = append(out, 0xff, 0xf1, 1<<6|3<<2, byte(channels<<6|n>>11), byte(n>>3), byte(n<<5|0x1f), 0xfc)
		out = append(out, f...)
	}
	return out
}

// Frame k begins at sample k*1024 - Priming: noise comes back where it was.
func TestAACIsInStep(t *testing.T) {
	for _, channels := range []int{1, 2} {
		e, err := NewAACEncoder(48000, channels, 192000)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		if want := []byte{0x11, byte(0x80 | channels<<3)}; !bytes.HasPrefix(e.Config(), want) {
			t.Errorf("AudioSpecificConfig % x, want % x", e.Config(), want)
		}
		if e.Priming() != 1024 {
			t.Errorf("priming of %d samples", e.Priming())
		}
		const n = 20
		rng := rand.New(rand.NewPCG(5, 6))
		pcm := make([]float32, n*AACFrame*channels)
		for i := range n * AACFrame {
			v := float32(rng.Float64()-0.5) * 0.5 * float32(math.Abs(math.Sin(float64(i)/700)))
			for c := range channels {
				pcm[i*channels+c] = v * float32(1-2*c) // right is left upside down
			}
		}
		var frames [][]byte
		for i := range n {
			out, err := e.Encode(pcm[i*AACFrame*channels:][:AACFrame*channels])
			if err != nil {
				t.Fatal(err)
			}
			frames = append(frames, out...)
		}
		out, err := e.Flush()
		if err != nil {
			t.Fatal(err)
		}
		if frames = append(frames, out...); len(frames) < n+1 {
			t.Fatalf("%d frames from %d", len(frames), n)
		}
		raw := run(t, adts(frames, channels), "-f", "aac", "-i", "pipe:0", "-f", "f32le", "pipe:1")
		got := make([]float32, len(raw)/4)
		for i := range got {
			got[i] = math.Float32frombits(uint32(raw[4*i]) | uint32(raw[4*i+1])<<8 | uint32(raw[4*i+2])<<16 | uint32(raw[4*i+3])<<24)
		}
		best, lag := 0.0, -1
		for l := range 2200 {
			s := 0.0
			for i := 4000; i < 12000; i++ {
				s += float64(pcm[i*channels]) * float64(got[(i+l)*channels])
			}
			if s > best {
				best, lag = s, l
			}
		}
		if lag != e.Priming() {
			t.Errorf("%d channels: the sound comes back %d samples late, want %d", channels, lag, e.Priming())
		}
	}
}

func TestAACLimits(t *testing.T) {
	for _, c := range [][3]int{{48000, 0, 48000}, {48000, 3, 48000}, {1000, 1, 48000}, {1 << 40, 1, 48000}, {48000, 1, 1}} {
		if e, err := NewAACEncoder(c[0], c[1], c[2]); err == nil {
			e.Close()
			t.Errorf("%v opened", c)
		}
	}
	e, err := NewAACEncoder(48000, 2, 96000)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Encode(make([]float32, 1024)); err == nil {
		t.Error("half a frame was taken")
	}
	nan := make([]float32, 2048)
	for i := range nan {
		nan[i] = float32(math.NaN())
	}
	_, _ = e.Encode(nan) // may fail, must not crash
	e.Close()
	if _, err := e.Encode(make([]float32, 2048)); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := e.Flush(); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
