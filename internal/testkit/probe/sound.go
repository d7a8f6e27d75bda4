package probe

import (
	"math"
	"slices"
	"time"
)

// window is the length over which a tone is correlated: 10 ms. Tones that are
// a multiple of 100 Hz apart do not disturb each other in it.
const window = rate / 100

// Beep is a stretch of a tone.
type Beep struct {
	Start, Length time.Duration
	Level         float64 // amplitude, 1 = full scale
}

// Beeps finds the beeps of a tone of hz in all that was heard. A beep lasts 50
// to 500 ms and reaches an amplitude of 0.02. Its start is where the correlation
// over 10 ms passes half of the beep's own level, which for a tone that is
// switched on at once is the very sample.
func (w *Watched) Beeps(hz int) []Beep {
	var out []Beep
	for _, r := range w.Sound {
		out = append(out, r.beeps(hz)...)
	}
	return out
}

func (r Run) beeps(hz int) []Beep {
	env := envelope(r.Samples, hz)
	const floor = 0.02
	var out []Beep
	for i := 1; i < len(env); i++ {
		if env[i] < floor || env[i-1] >= floor {
			continue
		}
		end := i
		for end < len(env) && env[end] >= floor {
			end++
		}
		level := median(env[i:end])
		first, last, ok := above(env, i, end, level/2)
		if n := last - first; ok && n >= rate/20 && n <= rate/2 {
			at := float64(first) + window/2
			if first > 0 {
				at -= (env[first] - level/2) / (env[first] - env[first-1])
			}
			out = append(out, Beep{Start: r.Start + samples(at), Length: samples(float64(n)), Level: level})
		}
		i = end
	}
	return out
}

// above returns the first and the last index in [i, end) with a level of at
// least half.
func above(env []float64, i, end int, half float64) (first, last int, ok bool) {
	first, last = i, end-1
	for first < end && env[first] < half {
		first++
	}
	for last > first && env[last] < half {
		last--
	}
	return first, last, last > first
}

// envelope returns the amplitude of hz in the window that begins at each
// sample.
func envelope(x []float32, hz int) []float64 {
	if len(x) < window {
		return nil
	}
	// Sums from the start, so that each window is one difference.
	re, im := make([]float64, len(x)+1), make([]float64, len(x)+1)
	for i, v := range x {
		// The phase is taken modulo a second to keep its precision.
		s, c := math.Sincos(2 * math.Pi * float64(hz*(i%rate)%rate) / rate)
		re[i+1], im[i+1] = re[i]+float64(v)*c, im[i]+float64(v)*s
	}
	env := make([]float64, len(x)-window+1)
	for i := range env {
		env[i] = 2 * math.Hypot(re[i+window]-re[i], im[i+window]-im[i]) / window
	}
	return env
}

func samples(n float64) time.Duration { return time.Duration(n * 1e9 / rate) }

func median(v []float64) float64 {
	s := slices.Clone(v)
	slices.Sort(s)
	return s[len(s)/2]
}
