package recorder

import "sync"

const (
	soundRate = 48000
	// soundSpan is how much of the page's sound waits at most, in samples.
	soundSpan = 8 * soundRate
)

// webSound is the page's sound by its place on the timeline: what several
// streams play at the same time is added up, and what nobody plays is silence.
type webSound struct {
	mu   sync.Mutex
	pos  int64     // of the next sample to be read
	end  int64     // behind the last sample that was played
	ring []float32 // stereo; sample n is at n % soundSpan
	late int64     // samples that came after they had been read
}

func newWebSound() *webSound { return &webSound{ring: make([]float32, 2*soundSpan)} }

// play takes stereo sound whose first sample is at position at.
func (s *webSound) play(at int64, pcm []float32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 0; i+1 < len(pcm); i += 2 {
		n := at + int64(i/2)
		if n < s.pos {
			s.late++
			continue
		}
		if n >= s.pos+soundSpan {
			return
		}
		k := 2 * (n % soundSpan)
		s.ring[k] += pcm[i]
		s.ring[k+1] += pcm[i+1]
		s.end = max(s.end, n+1)
	}
}

// seek moves the reader to position pos and forgets what is before it.
func (s *webSound) seek(pos int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if pos < s.pos || pos-s.pos >= soundSpan {
		clear(s.ring)
		s.pos, s.end = pos, pos
		return
	}
	s.forget(pos)
}

// forget clears what is read. The lock is held.
func (s *webSound) forget(pos int64) {
	for ; s.pos < min(pos, s.end); s.pos++ {
		k := 2 * (s.pos % soundSpan)
		s.ring[k], s.ring[k+1] = 0, 0
	}
	s.pos = pos
}

// read fills out with the next len(out)/channels samples, in one or two
// channels, and reports whether any of them is not zero.
func (s *webSound) read(out []float32, channels int) (heard bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := int64(len(out) / channels)
	if s.end <= s.pos {
		clear(out)
		s.pos += n
		return false
	}
	for i := range n {
		k := 2 * ((s.pos + i) % soundSpan)
		l, r := s.ring[k], s.ring[k+1]
		heard = heard || l != 0 || r != 0
		if channels == 1 {
			out[i] = limit((l + r) / 2)
		} else {
			out[2*i], out[2*i+1] = limit(l), limit(r)
		}
	}
	s.forget(s.pos + n)
	return heard
}

// limit keeps a sum of streams in range. What is no number becomes silence.
func limit(v float32) float32 {
	if v != v {
		return 0
	}
	return max(-1, min(1, v))
}
