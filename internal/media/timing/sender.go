package timing

import (
	"math"
	"sync"
	"time"

	"tapedeck/internal/media"
)

const (
	offsetSlew = 500e-6 // of time: what no ear notices in sound
	audioSlew  = 500e-6
	videoSlew  = 20e-3 // pictures may follow the sound faster
)

// Sender maps the RTP time of one participant's tracks to the timeline.
//
// A track that has had no sender report is placed by arrival: its RTP clock,
// shifted by the shortest delay seen. With reports, RTP time goes to the
// sender's wall clock by a line through the latest of them, and that wall clock
// to the timeline by one offset for all tracks of the participant, the shortest
// delay of the last minute. So sound and picture stay together whatever the
// offset does.
//
// Nothing jumps when a better estimate comes: the offset moves by at most
// 500 ppm, and what a single track was placed wrongly is taken back at 500 ppm
// (sound) or 2 % (pictures), at once only in a gap of the track. The first
// sound track that is reported keeps its place and the others move to it. An
// error of more than one second is corrected in one step, because slewing would
// take longer than the damage of a step; a step back plays at double speed.
//
// Methods of a Sender and of its tracks may be called by several goroutines.
type Sender struct {
	mu     sync.Mutex
	clock  *Clock
	tracks []*Track

	epoch  uint64  // NTP time that counts as sender time 0
	shift  float64 // s by which the sender's wall clock has been stepped since
	offset offset  // from sender time to the timeline
	sound  bool    // it was set by a sound track
	delay  lowest  // arrival − sending time
	now    float64 // latest arrival
}

// NewSender makes the clock of a participant who joined.
func NewSender(c *Clock) *Sender { return &Sender{clock: c} }

// Track adds a track of the participant.
func (s *Sender) Track(codec media.Codec) *Track {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &Track{s: s, rate: float64(codec.ClockRate()), video: codec.Video(), slew: audioSlew}
	if t.video {
		t.slew = videoSlew
	}
	s.tracks = append(s.tracks, t)
	return t
}

// Remove forgets a track that has ended.
func (s *Sender) Remove(t *Track) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.tracks {
		if s.tracks[i] == t {
			s.tracks = append(s.tracks[:i], s.tracks[i+1:]...)
			return
		}
	}
}

// seconds of a moment on the timeline.
func (s *Sender) seconds(at time.Time) float64 { return float64(s.clock.At(at)) / 1e6 }

// move lets the offset go on to a sender time.
func (s *Sender) move(to float64) {
	goal, ok := s.delay.min(s.now)
	s.offset.move(to, goal, ok)
}

// ntp converts an NTP timestamp to sender time. The difference is taken in
// integers: in floating point, seconds since 1900 have no microseconds left.
func (s *Sender) ntp(n uint64) float64 {
	return float64(int64(n-s.epoch)) / (1 << 32) //nolint:gosec // difference modulo 2^64
}

func clamp(v, most float64) float64 { return math.Max(-most, math.Min(most, v)) }
