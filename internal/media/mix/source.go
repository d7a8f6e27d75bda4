package mix

import (
	"math"

	"tapedeck/internal/media"
)

// Source is one track of one user.
type Source struct {
	m       *Mixer
	rs      *resampler
	q       queue
	started bool
	closed  bool
	steered bool    // the offset is being worked off
	offset  float64 // smoothed: where pushed sound belongs minus where it would land, samples
	stats   Stats
}

// Stats returns the counters.
func (s *Source) Stats() Stats { return s.stats }

// Offset returns the present distance in samples between where the sound
// belongs and where it lands. It is worked off slowly.
func (s *Source) Offset() float64 { return s.offset }

// Push hands over decoded sound whose first sample belongs to time pts. Times
// of successive pushes ascend. pcm is not kept.
func (s *Source) Push(pts media.Time, pcm []float32) {
	if s.closed || len(pcm) < s.m.channels {
		return
	}
	target := position(pts)
	if target-float64(s.m.pos) > maxAhead {
		s.stats.Early += int64(len(pcm) / s.m.channels)
		return
	}
	if !s.started {
		s.started = true
		s.realign(target)
	}
	pcm = s.align(target, pcm)
	s.steer()
	s.rs.write(pcm, s.emit)
}

// steer sets the rate that works the offset off, within what nobody hears. Below
// what matters sound is left as it is: it costs nothing then.
func (s *Source) steer() {
	switch off := math.Abs(s.offset); {
	case off > loose:
		s.steered = true
	case off < tight:
		s.steered = false
	}
	ratio := 1.0
	if s.steered {
		ratio += max(-maxPPM, min(maxPPM, s.offset/settle))
	}
	s.rs.rate(ratio)
}

// align compares where the sound belongs with where it would land, and fills or
// cuts what is no drift. It returns what is left of pcm.
func (s *Source) align(target float64, pcm []float32) []float32 {
	off := target - s.next()
	step := off - s.offset
	switch {
	case math.Abs(off) > maxOffset:
		s.realign(target)
		return pcm
	case step > maxStep:
		n := int64(math.Round(step))
		s.rs.silence(n, s.emit)
		s.stats.Inserted += n
		off -= float64(n)
	case step < -maxStep:
		n := min(int64(math.Round(-step)), int64(len(pcm)/s.m.channels))
		s.stats.Cut += n
		off += float64(n)
		pcm = pcm[int(n)*s.m.channels:]
	}
	s.offset += smoothing * (off - s.offset)
	return pcm
}

// next returns the position where the next pushed sample would land.
func (s *Source) next() float64 { return float64(s.q.to) + s.rs.pending() }

// realign lets the next pushed sample land at target, with silence before it,
// or over what is there already.
func (s *Source) realign(target float64) {
	s.rs.flush(s.emit)
	s.offset = 0
	to := int64(math.Round(target))
	if to < s.q.to {
		s.stats.Cut += max(0, s.q.to-max(to, s.m.pos))
	} else if s.q.to > s.m.pos {
		s.stats.Inserted += to - s.q.to
	}
	s.q.seek(to, s.m.pos)
}

// emit queues resampled sound; what is due before the reader is too late.
func (s *Source) emit(pcm []float32) {
	s.stats.Late += s.q.write(pcm, s.m.pos)
}

// Close ends the source. What was pushed is still played.
func (s *Source) Close() {
	if !s.closed {
		s.rs.flush(s.emit)
		s.closed = true
	}
}

// queue holds the samples [from, to) that are not read yet.
type queue struct {
	channels int
	from, to int64
	buf      []float32
	head     int // of buf, in values
}

// seek lets the next write land at to. pos is the reader.
func (q *queue) seek(to, pos int64) {
	if q.from < pos {
		q.drop(pos)
	}
	switch {
	case to <= q.from: // everything there is overwritten
		q.buf, q.head, q.from, q.to = q.buf[:0], 0, to, to
	case to < q.to:
		q.buf = q.buf[:len(q.buf)-int(q.to-to)*q.channels]
		q.to = to
	case q.to <= pos:
		q.buf, q.head, q.from, q.to = q.buf[:0], 0, to, to
	default:
		q.buf = append(q.buf, make([]float32, int(to-q.to)*q.channels)...)
		q.to = to
	}
}

// write appends pcm and returns how many samples came too late for pos.
func (q *queue) write(pcm []float32, pos int64) (late int64) {
	n := int64(len(pcm) / q.channels)
	if q.to < pos {
		late = min(n, pos-q.to)
		q.to += late
		if q.from < q.to {
			q.buf, q.head, q.from = q.buf[:0], 0, q.to
		}
		pcm = pcm[int(late)*q.channels:]
	}
	if q.head > len(q.buf)/2 {
		q.buf = q.buf[:copy(q.buf, q.buf[q.head:])]
		q.head = 0
	}
	q.buf = append(q.buf, pcm...)
	q.to += n - late
	return late
}

// addTo adds what is there for [from, to) to out and forgets it.
func (q *queue) addTo(out []float32, from, to int64) {
	q.drop(from)
	a, b := max(from, q.from), min(to, q.to)
	if a >= b {
		return
	}
	src := q.buf[q.head+int(a-q.from)*q.channels:][:int(b-a)*q.channels]
	dst := out[int(a-from)*q.channels:]
	for i, v := range src {
		dst[i] += v
	}
	q.drop(b)
}

// drop forgets what lies before pos.
func (q *queue) drop(pos int64) {
	if n := min(pos, q.to) - q.from; n > 0 {
		q.head += int(n) * q.channels
		q.from += n
	}
}
