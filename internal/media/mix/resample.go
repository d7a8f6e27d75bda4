package mix

import "math"

// The resampler is a windowed sinc: half taps on each side of the output
// sample, phases positions between two input samples, linear in between. At a
// whole position it is the identity.
const (
	half   = 8
	width  = 2 * half
	phases = 256
	slip   = 500e-6 // of a sample, at each
)

type taps [phases + 1][width]float32

func newTaps() *taps {
	t := new(taps)
	for p := range t {
		frac, sum := float64(p)/phases, 0.0
		var row [width]float64
		for i := range row {
			// Input half-1 is the one at or before the output position.
			x := float64(i-(half-1)) - frac
			row[i] = sinc(x) * kaiser(x/half)
			sum += row[i]
		}
		for i := range row {
			t[p][i] = float32(row[i] / sum) // no ripple of level between phases
		}
	}
	return t
}

func sinc(x float64) float64 {
	if math.Abs(x) < 1e-12 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// kaiser is the Kaiser window with beta 6: side lobes below -60 dB.
func kaiser(x float64) float64 {
	const beta = 6
	if x <= -1 || x >= 1 {
		return 0
	}
	return bessel0(beta*math.Sqrt(1-x*x)) / bessel0(beta)
}

func bessel0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; k < 40; k++ {
		term *= x / (2 * k) * x / (2 * k)
		sum += term
	}
	return sum
}

// resampler changes the rate of a stream by a few hundred ppm. Its delay does
// not show in positions: pending tells where the next input will come out.
type resampler struct {
	taps     *taps
	channels int
	step     float64   // input samples per output sample
	rest     bool      // nothing is to be resampled from the next whole position on
	in       []float32 // history and input, interleaved
	at       float64   // position in `in` of the next output sample
	out      []float32
}

func newResampler(t *taps, channels int) *resampler {
	r := &resampler{taps: t, channels: channels, step: 1}
	r.reset()
	return r
}

// reset forgets all input: the next output sample is the next input sample.
func (r *resampler) reset() {
	r.in = append(r.in[:0], make([]float32, (half-1)*r.channels)...)
	r.at = half - 1
}

// rate sets how many output samples come from an input sample. At 1 the output
// moves onto the input's samples first, within slip, and is a copy from there on.
func (r *resampler) rate(ratio float64) {
	r.step, r.rest = 1/ratio, ratio == 1
	if frac := r.at - math.Floor(r.at); r.rest && frac != 0 {
		r.step = 1 + math.Copysign(slip, frac-0.5)
	}
}

// pending returns how many output samples lie before the next input sample.
func (r *resampler) pending() float64 {
	return (float64(len(r.in)/r.channels) - r.at) / r.step
}

// write feeds pcm and emits what can be computed.
func (r *resampler) write(pcm []float32, emit func([]float32)) {
	r.in = append(r.in, pcm...)
	frames := len(r.in) / r.channels
	r.out = r.out[:0]
	for {
		i := int(r.at)
		if i+half >= frames {
			break
		}
		if r.step == 1 && r.at == float64(i) {
			r.out = append(r.out, r.in[i*r.channels:(frames-half)*r.channels]...)
			r.at = float64(frames - half)
			break
		}
		r.sample(i, r.at-float64(i))
		r.advance()
	}
	if drop := int(r.at) - (half - 1); drop > 0 {
		drop = min(drop, frames)
		r.in = r.in[:copy(r.in, r.in[drop*r.channels:])]
		r.at -= float64(drop)
	}
	if len(r.out) > 0 {
		emit(r.out)
	}
}

// advance steps to the next output sample. Where nothing is to be resampled any
// more, the first whole position that is passed is taken exactly: that is off by
// less than slip samples.
func (r *resampler) advance() {
	before := r.at
	r.at += r.step
	if !r.rest || r.step == 1 {
		return
	}
	moved := r.at - 1 // where before would be at a step of 1 is before+1
	whole := math.Round(moved)
	if (before-whole)*(moved-whole) <= 0 {
		r.at, r.step = whole+1, 1
	}
}

// sample appends the output at input position i + frac.
func (r *resampler) sample(i int, frac float64) {
	if frac == 0 {
		r.out = append(r.out, r.in[i*r.channels:(i+1)*r.channels]...)
		return
	}
	p := frac * phases
	n := int(p)
	w := float32(p - float64(n))
	a, b := &r.taps[n], &r.taps[n+1]
	first := (i - (half - 1)) * r.channels
	for c := range r.channels {
		var sum float32
		if r.channels == 1 {
			in := (*[width]float32)(r.in[first:])
			for k := range in {
				sum += in[k] * (a[k] + w*(b[k]-a[k]))
			}
		} else {
			in := r.in[first+c:][:width*2-1]
			for k := range width {
				sum += in[k*2] * (a[k] + w*(b[k]-a[k]))
			}
		}
		r.out = append(r.out, sum)
	}
}

// silence feeds n samples of nothing.
func (r *resampler) silence(n int64, emit func([]float32)) {
	var zero [2 * 480]float32
	for n > 0 {
		k := min(n, 480)
		r.write(zero[:int(k)*r.channels], emit)
		n -= k
	}
}

// flush emits what depends on input so far, and starts anew.
func (r *resampler) flush(emit func([]float32)) {
	left := int64(math.Ceil(r.pending()))
	if left <= 0 {
		r.reset()
		return
	}
	var got int64
	r.silence(half, func(pcm []float32) {
		n := min(int64(len(pcm)/r.channels), left-got)
		got += n
		emit(pcm[:int(n)*r.channels])
	})
	r.reset()
}
