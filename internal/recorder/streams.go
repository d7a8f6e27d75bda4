package recorder

import (
	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
)

// streams notes whose sound and pictures begin and stop arriving (events.md,
// 43 and 44): for each user, or in a mix for all of them together. A track
// counts from its first media on, until it is muted or ends.
type streams struct {
	plan   session.Plan
	note   func(uid uint32, track string, receiving bool, at media.Time)
	tracks map[*channel.Track]bool // muted; a track that is not here has not begun
	live   map[*channel.Track]bool
	count  map[stream]int
}

type stream struct {
	uid   uint32 // 0 in a mix
	track string
}

func newStreams(plan session.Plan, note func(uint32, string, bool, media.Time)) *streams {
	return &streams{
		plan: plan, note: note, tracks: map[*channel.Track]bool{}, live: map[*channel.Track]bool{}, count: map[stream]int{},
	}
}

// observe takes note of an event.
func (s *streams) observe(ev channel.Event) {
	switch e := ev.(type) {
	case channel.Started:
		s.tracks[e.Track] = false
	case channel.Muted:
		s.tracks[e.Track] = e.Muted
		if e.Muted {
			s.stop(e.Track, e.At)
		}
	case channel.Ended:
		delete(s.tracks, e.Track)
		s.stop(e.Track, e.At)
	case channel.Media:
		if s.live[e.Track] {
			return
		}
		if muted, ok := s.tracks[e.Track]; ok && !muted {
			s.begin(e.Track, e.Unit.PTS)
		}
	}
}

// close: nothing is received any more.
func (s *streams) close(at media.Time) {
	for t := range s.live {
		s.stop(t, at)
	}
	clear(s.tracks)
}

func (s *streams) begin(t *channel.Track, at media.Time) {
	s.live[t] = true
	k := s.of(t)
	if s.count[k]++; s.count[k] == 1 {
		s.tell(k, true, at)
	}
}

func (s *streams) stop(t *channel.Track, at media.Time) {
	if !s.live[t] {
		return
	}
	delete(s.live, t)
	k := s.of(t)
	if s.count[k]--; s.count[k] == 0 {
		delete(s.count, k)
		s.tell(k, false, at)
	}
}

// tell leaves pictures to the snapshots where they are all there is: those know
// whether a user's picture can be seen.
func (s *streams) tell(k stream, receiving bool, at media.Time) {
	if k.track == session.TrackVideo && s.plan.NoFiles {
		return
	}
	s.note(k.uid, k.track, receiving, at)
}

func (s *streams) of(t *channel.Track) stream {
	k := stream{uid: t.User.UID, track: session.TrackAudio}
	if s.plan.Mode == session.Mix {
		k.uid = 0
	}
	if t.Codec.Video() {
		k.track = session.TrackVideo
	}
	return k
}
