package codec

import (
	"math"
	"math/rand/v2"
	"testing"
)

// voice is like vowels that change four times a second: harmonics of a gliding
// pitch under three formants, with some breath.
func voice(n int) []float32 {
	formants := [][3]float64{{730, 1090, 2440}, {270, 2290, 3010}, {570, 840, 2410}, {440, 1020, 2240}}
	r := rand.New(rand.NewPCG(11, 12)) //nolint:gosec // repeatable
	out := make([]float32, n)
	phase := 0.0
	for i := range out {
		s := float64(i) / 48000
		pitch := 130 + 25*math.Sin(2*math.Pi*0.9*s)
		phase += 2 * math.Pi * pitch / 48000
		f := formants[int(s*4)%len(formants)]
		var v float64
		for h := 1.0; h*pitch < 4000; h++ {
			gain := 0.0
			for k, at := range f {
				gain += math.Exp(-math.Pow((h*pitch-at)/(90+40*float64(k)), 2)/2) / float64(k+1)
			}
			v += (gain + 0.01) * math.Sin(h*phase)
		}
		loud := 0.5 - 0.5*math.Cos(2*math.Pi*4*s)
		out[i] = float32(0.12*loud*v + 0.0005*r.NormFloat64())
	}
	return out
}

func tones(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		s := 2 * math.Pi * float64(i) / 48000
		out[i] = float32(0.1*math.Sin(440*s) + 0.1*math.Sin(1330*s) + 0.05*math.Sin(5010*s))
	}
	return out
}

// throughAAC encodes and decodes mono sound at 48 kbit/s and returns what came
// back, in place.
func throughAAC(t *testing.T, pcm []float32) (back []float32, bytes int) {
	t.Helper()
	enc, err := NewAACEncoder(48000, 1, 48000)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	dec, err := NewAACDecoder(enc.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	for ; len(pcm) >= AACFrame; pcm = pcm[AACFrame:] {
		frames, err := enc.Encode(pcm[:AACFrame])
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range frames {
			bytes += len(f)
			s, err := dec.Decode(f)
			if err != nil {
				t.Fatal(err)
			}
			back = append(back, s.PCM...)
		}
	}
	return back[enc.Priming():], bytes
}

// segmental is the mean of the signal-to-noise ratios of all pieces of 20 ms in
// which there is sound, in dB.
func segmental(want, got []float32) float64 {
	sum, n := 0.0, 0.0
	for i := 0; i+960 <= min(len(want), len(got)); i += 960 {
		var signal, noise float64
		for k := i; k < i+960; k++ {
			d := float64(want[k] - got[k])
			signal, noise = signal+float64(want[k])*float64(want[k]), noise+d*d
		}
		if signal > 960*1e-5 {
			sum, n = sum+max(-10, min(60, 10*math.Log10(signal/max(noise, 1e-12)))), n+1
		}
	}
	return sum / n
}

// What 48 kbit/s leave of a voice and of tones. The encoder's slower standard
// search leaves less of both.
func TestAACQuality(t *testing.T) {
	for _, c := range []struct {
		name  string
		pcm   []float32
		least float64 // dB
	}{
		{"voice", voice(5 * 48000), 18},
		{"tones", tones(5 * 48000), 45},
	} {
		back, bytes := throughAAC(t, c.pcm)
		snr, rate := segmental(c.pcm[9600:], back[9600:]), float64(bytes)*8/5
		t.Logf("%s: %.1f dB at %.0f bit/s", c.name, snr, rate)
		if snr < c.least || rate > 52000 {
			t.Errorf("%s: %.1f dB at %.0f bit/s, want %.0f dB and 48000 bit/s", c.name, snr, rate, c.least)
		}
	}
}
