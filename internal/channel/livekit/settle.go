package livekit

import "time"

const (
	settleLeast = 80 * time.Millisecond  // from the first packet to the first unit,
	settleMost  = 400 * time.Millisecond // and at most, while the track's place still moves
	settleStep  = 3 * time.Millisecond   // by more than this at a time
)

// settling lets the first packets of a track wait a moment: on a busy machine they
// are read late, and the place of a track comes from the fastest. As long as one is
// faster than those before it, reading is catching up, and they wait on. Besides,
// the first packet that came may not be the first that was sent.
type settling struct {
	first time.Time // packet
	until time.Time
}

// packet takes note of a packet that moved the track's place forward.
func (s *settling) packet(now time.Time, moved time.Duration) {
	switch {
	case s.first.IsZero():
		s.first, s.until = now, now.Add(settleLeast)
	case now.Before(s.until) && moved > settleStep:
		s.until = earliest(now.Add(settleLeast), s.first.Add(settleMost))
	}
}

// over reports whether units may go on.
func (s *settling) over(now time.Time) bool { return !now.Before(s.until) }
