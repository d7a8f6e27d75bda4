package recorder

import (
	"tapedeck/internal/media"
	"tapedeck/internal/media/codec"
)

// stillAfter is how long the last picture of a user stays whose video stopped,
// if there is a picture to take its place (layouts.md 7).
const stillAfter media.Time = 3_500_000

// substitute is what a user shows who has no video.
type substitute struct {
	dark bool       // no video is to be expected
	from media.Time // since when it is so, or otherwise since when video is expected and not there
	seen bool       // from is set

	on    bool          // the region shows the substitute
	still *codec.Canvas // nil: nothing, so that the canvas's picture shows
	fit   bool
}

// sends reports whether a user sends video at now, as far as is known: a track
// that is there and not muted.
func (u *mixUser) sends(now media.Time) bool {
	for _, t := range u.tracks {
		if off := t.ended && now >= t.endedAt || t.muted && now >= t.mutedAt; !off {
			return true
		}
	}
	return false
}

// due reports whether it is time for the substitute: at once for somebody who
// never sent video, after a while for somebody whose video stopped or is
// announced and does not come.
func (u *mixUser) due(now media.Time, wanted bool) bool {
	s, dark := &u.sub, !wanted || !u.sends(now)
	if !s.seen || s.dark != dark {
		s.dark, s.from, s.seen = dark, now, true
	}
	// Video that goes on takes the region back with its next picture, not before.
	if s.on || u.shown == nil && dark {
		return true
	}
	return now-s.from > stillAfter && (dark || u.shown == nil)
}

// stand gives the region of a user without video what it has to show.
func (v *mixVideo) stand(uid uint32, u *mixUser, now media.Time) {
	s := &u.sub
	if !u.due(now, v.room.draws(uid)) {
		return
	}
	pic, fit, ok := v.scene.user(uid)
	on := ok || u.shown != nil && v.scene.backdrop() != nil
	if on == s.on && pic == s.still && fit == s.fit {
		return
	}
	s.on, s.still, s.fit = on, pic, fit
	switch {
	case ok:
		v.composer.Still(uid, pic, fit)
	case !on && u.shown != nil:
		v.composer.Show(uid, u.shown.dec) // the last picture stays
	default:
		v.composer.Hide(uid)
	}
}

// moves takes note that the region shows video again.
func (u *mixUser) moves() { u.sub.on, u.sub.still, u.sub.fit = false, nil, false }
