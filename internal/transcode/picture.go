package transcode

import (
	"bytes"
	"iter"

	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/h264"
)

// picture is one access unit of an output. at counts 90 kHz ticks from the
// output's start.
type picture struct {
	at   int64
	key  bool
	data []byte // Annex B
}

// pictureTrack is the video of one output.
type pictureTrack struct {
	w, h     int
	sps, pps []byte
	rotate   int // degrees anticlockwise, for the player to do
	frames   iter.Seq2[picture, error]
	kept     bool
}

// survey is what a user's pictures are like.
type survey struct {
	n        int
	codec    media.Codec
	sps, pps []byte
	rotate   int // of all, if same
	same     bool
	first    media.Time
	step     media.Time // shortest usual distance of two pictures
}

// ticks converts a time on the timeline to ticks of the output.
func (r *Recording) ticks(t media.Time) int64 { return (t - r.start).Ticks90k() }

// video prepares one user's pictures: kept as they are when all of them are
// H.264 in one format and one orientation, encoded anew otherwise. Without
// pictures it is nil.
func (r *Recording) video(u *User, done func(int64)) (*pictureTrack, error) {
	s, err := r.look(u)
	if err != nil || s.n == 0 {
		return nil, err
	}
	if !s.same || s.codec != media.H264 || s.sps == nil || s.pps == nil {
		return r.makeVideo(u, s, done)
	}
	w, h, err := h264.Size(s.sps)
	if err != nil {
		return r.makeVideo(u, s, done)
	}
	t := &pictureTrack{w: w, h: h, sps: s.sps, pps: s.pps, rotate: s.rotate, kept: true}
	t.frames = r.keepVideo(u, done)
	return t, nil
}

// look surveys all pictures without decoding them.
func (r *Recording) look(u *User) (survey, error) {
	s := survey{same: true}
	var last media.Time
	for x, err := range r.units(u.Video, true, func(int64) {}) {
		if err != nil {
			return s, err
		}
		if s.n == 0 {
			s.codec, s.rotate, s.first = x.codec, x.rotate, x.at
		} else if d := x.at - last; d > 5000 && (s.step == 0 || d < s.step) {
			s.step = d
		}
		s.n, last = s.n+1, x.at
		s.same = s.same && x.codec == s.codec && x.rotate == s.rotate
		if x.codec == media.H264 && x.key {
			s.sets(x.data)
		}
	}
	return s, nil
}

// sets compares the parameter sets of a key frame with those before.
func (s *survey) sets(annexB []byte) {
	sps, pps := h264.ParameterSets(annexB)
	if sps == nil || pps == nil {
		return
	}
	if s.sps == nil {
		s.sps, s.pps = bytes.Clone(sps), bytes.Clone(pps)
	}
	s.same = s.same && bytes.Equal(sps, s.sps) && bytes.Equal(pps, s.pps)
}

// keepVideo yields the pictures as they are, from the first key frame on.
func (r *Recording) keepVideo(u *User, done func(int64)) iter.Seq2[picture, error] {
	return func(yield func(picture, error) bool) {
		last, begun := int64(-1), false
		for x, err := range r.units(u.Video, true, done) {
			if err != nil {
				yield(picture{}, err)
				return
			}
			at := r.ticks(x.at)
			begun = begun || x.key
			if !begun || at <= last {
				continue
			}
			if !yield(picture{at, x.key, x.data}, nil) {
				return
			}
			last = at
		}
	}
}
