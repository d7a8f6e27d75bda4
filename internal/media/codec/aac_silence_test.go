package codec

import (
	"bytes"
	"math"
	"testing"
)

// Silence is encoded once; the sound around it is where it was and as good as
// without.
func TestAACSilence(t *testing.T) {
	const from, to = 40, 90 // frames of silence
	for _, level := range []float32{0, 1.0 / 100_000} {
		pcm := tones(150 * AACFrame)
		for i := from * AACFrame; i < to*AACFrame; i++ {
			pcm[i] = level * float32(1-2*(i&1))
		}
		back, _ := throughAAC(t, pcm)
		if got, want := len(back), len(pcm)-2*1024; got != want {
			t.Errorf("%v: %d samples came back, want %d", level, got, want)
		}
		loudest := 0.0
		for _, v := range back[(from+1)*AACFrame : (to-1)*AACFrame] {
			loudest = max(loudest, math.Abs(float64(v)))
		}
		if loudest > 2*quiet {
			t.Errorf("%v: silence is %.7f loud", level, loudest)
		}
		for _, part := range [][2]int{{10, from}, {to, 145}} {
			a, b := part[0]*AACFrame, part[1]*AACFrame
			if snr := segmental(pcm[a:b], back[a:b]); snr < 35 {
				t.Errorf("%v: frames %d to %d: %.1f dB, want 35", level, part[0], part[1], snr)
			}
		}
	}
}

// The encoder rests in silence, is asked again with the first frame in which something
// is to be heard, and gives out as many frames as it took.
func TestAACSilenceRepeats(t *testing.T) {
	enc, err := NewAACEncoder(48000, 2, 96000)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	var out [][]byte
	push := func(v float32, encoded int) {
		pcm := make([]float32, 2*AACFrame)
		pcm[7] = v
		frames, err := enc.Encode(pcm)
		if err != nil {
			t.Fatal(err)
		}
		if enc.still != encoded {
			t.Errorf("frame %d: %d silent frames were encoded, want %d", len(out), enc.still, encoded)
		}
		out = append(out, frames...)
	}
	for i, v := range []float32{0.5, 0, 0, 0, 0, 0, 0, 0, 0.5, 0, 0, 0, 0, 0, 0} {
		push(v, []int{0, 1, 2, 3, 4, 4, 4, 4, 0, 1, 2, 3, 4, 4, 4}[i])
	}
	silence := bytes.Clone(out[len(out)-1])
	out[len(out)-1][0] ^= 0xff // the caller's
	push(0, 4)
	if last := out[len(out)-1]; !bytes.Equal(last, silence) || bytes.Equal(last, out[0]) || bytes.Equal(last, out[8]) {
		t.Error("what is repeated is not the silence")
	}
	tail, err := enc.Flush()
	if err != nil {
		t.Fatal(err)
	}
	if out = append(out, tail...); len(out) != 17 {
		t.Fatalf("%d frames of 16, want one more", len(out))
	}
	if _, err := enc.Encode(make([]float32, 2*AACFrame)); err == nil {
		t.Error("silence is encoded behind the end")
	}
}
