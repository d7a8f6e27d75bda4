// Package mix adds up the sound of many users on one timeline. Every source is
// pushed with timestamps and read at the mixer's own pace: gaps become silence,
// a sender's clock that runs fast or slow is followed by resampling within 500
// ppm, and what does not fit at all is cut or filled at once.
//
// Sound is float32 at 48 kHz, -1..1, channels interleaved. A sample's position
// is its number on the timeline: 0 is media.Time 0.
package mix

import (
	"slices"

	"tapedeck/internal/media"
)

// Rate is the sample rate, Hz.
const Rate = 48000

// Limits of the alignment of a source.
const (
	maxPPM    = 500e-6       // resampling beyond this would be heard
	maxOffset = Rate / 10    // 100 ms: larger errors are cut or filled at once
	maxStep   = Rate / 100   // 10 ms: a jump between two pushes is a gap, not drift
	maxAhead  = 30 * Rate    // sound farther ahead of the reader is refused
	loose     = Rate / 1000  // 1 ms: an error that begins to matter
	tight     = Rate / 10000 // 0.1 ms: one that is gone
	settle    = 8 * Rate     // an error is worked off over about 8 s
	smoothing = 1.0 / 25     // of the measured error, a push of 20 ms
	knee      = float32(0.8) // where the soft clipper begins
	room      = float32(1) - knee
)

// Stats counts what happened to a source's sound, in samples a channel.
type Stats struct {
	Late     int64 // dropped: their time had been read already
	Early    int64 // dropped: more than 30 s ahead
	Cut      int64 // dropped: their time was taken by the sound before
	Inserted int64 // silence for gaps
}

// Mixer adds up sources. It is not safe for concurrent use.
type Mixer struct {
	channels int
	pos      int64 // next position to read
	taps     *taps
	sources  []*Source
}

// New makes a mixer whose first Read begins at position start.
func New(channels int, start int64) *Mixer {
	return &Mixer{channels: channels, pos: start, taps: newTaps()}
}

// Pos returns the position of the next sample to be read.
func (m *Mixer) Pos() int64 { return m.pos }

// End returns the position behind the last sample that has been pushed, or Pos
// if there is none ahead.
func (m *Mixer) End() int64 {
	end := m.pos
	for _, s := range m.sources {
		end = max(end, s.q.to)
	}
	return end
}

// Add makes a source that plays until it is closed.
func (m *Mixer) Add() *Source {
	s := &Source{m: m, rs: newResampler(m.taps, m.channels), q: queue{channels: m.channels, from: m.pos, to: m.pos}}
	m.sources = append(m.sources, s)
	return s
}

// Read fills out with the next len(out)/channels samples of the mix.
func (m *Mixer) Read(out []float32) {
	clear(out)
	n := int64(len(out) / m.channels)
	for _, s := range m.sources {
		s.q.addTo(out, m.pos, m.pos+n)
	}
	m.pos += n
	m.sources = slices.DeleteFunc(m.sources, func(s *Source) bool { return s.closed && s.q.to <= m.pos })
	for i, v := range out {
		out[i] = clip(v)
	}
}

// clip leaves small values alone and bends larger ones towards 1 without a
// corner. What is no number becomes silence.
func clip(v float32) float32 {
	switch {
	case v >= -knee && v <= knee:
		return v
	case v > knee:
		return bend(v)
	case v < -knee:
		return -bend(-v)
	}
	return 0
}

func bend(v float32) float32 {
	z := (v - knee) / room
	if z > 1e6 {
		return 1
	}
	return knee + room*z/(1+z)
}

// position converts a time to a position with its fraction.
func position(t media.Time) float64 { return float64(t) * Rate / 1e6 }
