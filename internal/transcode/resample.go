package transcode

import "math"

// decimator turns 48 kHz into 48, 32 or 16 kHz. Samples are interleaved.
type decimator struct {
	channels int
	step     float64 // input samples an output sample
	taps     [2][]float32
	hist     []float32 // input not used up yet; begins reach samples before pos
	pos      float64   // of the next output, samples into hist
}

// reach is how many input samples on each side of an output sample count.
const reach = 48

func newDecimator(rate, channels int) *decimator {
	d := &decimator{channels: channels, step: 48000 / float64(rate), pos: reach}
	d.hist = make([]float32, reach*channels)
	cut := 0.92 / d.step // of the input's Nyquist frequency
	for phase := range d.taps {
		frac, sum := float64(phase)/2, 0.0
		row := make([]float64, 2*reach)
		for i := range row {
			x := float64(i-reach+1) - frac
			w := 0.5 + 0.5*math.Cos(math.Pi*x/reach) // Hann
			if row[i] = cut * w; x != 0 {
				row[i] = math.Sin(math.Pi*cut*x) / (math.Pi * x) * w
			}
			sum += row[i]
		}
		for _, t := range row {
			d.taps[phase] = append(d.taps[phase], float32(t/sum))
		}
	}
	return d
}

// push takes input and returns what comes out, which is the caller's.
func (d *decimator) push(pcm []float32) []float32 {
	if d.step == 1 {
		return append([]float32(nil), pcm...)
	}
	d.hist = append(d.hist, pcm...)
	n := len(d.hist) / d.channels
	var out []float32
	for ; int(d.pos)+reach < n; d.pos += d.step {
		base := int(d.pos) - reach + 1
		taps := d.taps[int(math.Round((d.pos-math.Floor(d.pos))*2))&1]
		for c := range d.channels {
			var sum float32
			for i, t := range taps {
				sum += t * d.hist[(base+i)*d.channels+c]
			}
			out = append(out, sum)
		}
	}
	if drop := int(d.pos) - reach; drop > 0 {
		d.hist = d.hist[:copy(d.hist, d.hist[drop*d.channels:])]
		d.pos -= float64(drop)
	}
	return out
}

// flush returns the end of the sound.
func (d *decimator) flush() []float32 {
	if d.step == 1 {
		return nil
	}
	return d.push(make([]float32, reach*d.channels))
}
