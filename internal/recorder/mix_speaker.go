package recorder

import (
	"math"

	"tapedeck/internal/media"
)

// Rules of the active speaker (layout 100).
const (
	speechLevel = 0.01                  // root mean square of what counts as speech: -40 dB
	speechFade  = media.Time(500_000)   // loudness halves in this time
	speechHold  = media.Time(1_500_000) // who is large stays so for at least as long
	speechLead  = 1.5                   // how much louder another has to be
)

// speakers finds out who speaks. Somebody who is silent stays the speaker until
// somebody else speaks.
type speakers struct {
	loud  map[uint32]loudness
	uid   uint32 // 0: nobody yet
	since media.Time
}

// loudness is a fading level at a time.
type loudness struct {
	level float64
	at    media.Time
}

func (l loudness) now(t media.Time) float64 {
	return l.level * math.Exp2(-float64(t-l.at)/float64(speechFade))
}

// hear takes note of a user's sound at t and returns who is the speaker.
func (s *speakers) hear(uid uint32, t media.Time, pcm []float32) uint32 {
	var sum float64
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	level := math.Sqrt(sum / float64(max(len(pcm), 1)))
	if s.loud == nil {
		s.loud = map[uint32]loudness{}
	}
	l := s.loud[uid]
	t = max(t, l.at)
	l = loudness{max(level, l.now(t)*0.999), t}
	s.loud[uid] = l
	if uid != s.uid && level > speechLevel && l.level > speechLead*s.loud[s.uid].now(t) && (s.uid == 0 || t-s.since > speechHold) {
		s.uid, s.since = uid, t
	}
	return s.uid
}

// forget lets go of somebody who is gone.
func (s *speakers) forget(uid uint32) {
	delete(s.loud, uid)
	if s.uid == uid {
		s.uid = 0
	}
}
