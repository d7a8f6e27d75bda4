package codec

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func sine(hz float64, rate, channels, from, n int) []float32 {
	out := make([]float32, 0, n*channels)
	for i := range n {
		v := float32(0.5 * math.Sin(2*math.Pi*hz*float64(from+i)/float64(rate)))
		for range channels {
			out = append(out, v)
		}
	}
	return out
}

// correlate returns how much of pcm is a sine of hz, 0..1 of its amplitude.
func correlate(pcm []float32, hz float64, rate int) float64 {
	var re, im float64
	for i, v := range pcm {
		s, c := math.Sincos(2 * math.Pi * hz * float64(i) / float64(rate))
		re, im = re+float64(v)*c, im+float64(v)*s
	}
	return 2 * math.Hypot(re, im) / float64(len(pcm))
}

// What was encoded is decoded, after the priming.
func TestAACRoundTrip(t *testing.T) {
	for _, channels := range []int{1, 2} {
		enc, err := NewAACEncoder(48000, channels, 96000)
		if err != nil {
			t.Fatal(err)
		}
		dec, err := NewAACDecoder(enc.Config())
		if err != nil {
			t.Fatal(err)
		}
		var got []float32
		for i := range 60 {
			frames, err := enc.Encode(sine(1000, 48000, channels, i*AACFrame, AACFrame))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range frames {
				s, err := dec.Decode(f)
				if err != nil || s.Channels != channels || s.Rate != 48000 {
					t.Fatalf("%d channels at %d Hz, %v", s.Channels, s.Rate, err)
				}
				for i := 0; i < len(s.PCM); i += channels {
					got = append(got, s.PCM[i])
				}
			}
		}
		if l := correlate(got[4800:], 1000, 48000); math.Abs(l-0.5) > 0.02 {
			t.Errorf("%d channels: level %.3f over %d samples", channels, l, len(got))
		}
		enc.Close()
		dec.Close()
		if _, err := dec.Decode([]byte{1}); err == nil {
			t.Error("a closed decoder decodes")
		}
	}
}

func TestAACDecoderRefusesGarbage(t *testing.T) {
	if _, err := NewAACDecoder(nil); err == nil {
		t.Error("no configuration is accepted")
	}
	d, err := NewAACDecoder([]byte{0x11, 0x88})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 200 {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i*n + 7)
		}
		_, _ = d.Decode(b) // an error or noise, never a crash
	}
}

// A file of nothing but the encoder's frames is an MP3 that decodes to the sound.
func TestMP3(t *testing.T) {
	for _, rate := range []int{48000, 32000, 16000} {
		enc, err := NewMP3Encoder(rate, 2, 48000)
		if err != nil {
			t.Fatal(err)
		}
		var file []byte
		add := func(frames [][]byte, err error) {
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range frames {
				file = append(file, f...)
			}
		}
		n := 2 * rate / enc.FrameSize()
		for i := range n {
			add(enc.Encode(sine(700, rate, 2, i*enc.FrameSize(), enc.FrameSize())))
		}
		add(enc.Flush())
		enc.Close()
		path := filepath.Join(t.TempDir(), "t.mp3")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		raw, err := exec.Command("ffmpeg", "-v", "error", "-i", path, "-af", "pan=mono|c0=c0", "-f", "f32le", "-").Output()
		if err != nil {
			t.Fatal(err)
		}
		pcm := make([]float32, len(raw)/4)
		for i := range pcm {
			pcm[i] = math.Float32frombits(uint32(raw[4*i]) | uint32(raw[4*i+1])<<8 | uint32(raw[4*i+2])<<16 | uint32(raw[4*i+3])<<24)
		}
		if len(pcm) < n*enc.FrameSize() || len(pcm) > (n+4)*enc.FrameSize() {
			t.Errorf("%d Hz: %d samples of %d", rate, len(pcm), n*enc.FrameSize())
		}
		if l := correlate(pcm[rate/4:rate], 700, rate); math.Abs(l-0.5) > 0.03 {
			t.Errorf("%d Hz: level %.3f", rate, l)
		}
	}
}
