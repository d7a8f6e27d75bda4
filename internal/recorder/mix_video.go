package recorder

import (
	"log/slog"
	"slices"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/media/codec"
	"tapedeck/internal/media/compose"
	"tapedeck/internal/media/layout"
	"tapedeck/internal/session"
)

// unseen is the size asked for tracks that are not drawn: the lowest layer.
const unseen = 16

// mixVideo makes the pictures of the mix, one every 1/fps from the start.
// Picture n shows of every user the newest frame up to half a frame after n/fps,
// so that rounding to the grid delays pictures by nothing on average.
type mixVideo struct {
	room    *mixRoom
	src     channel.Source
	log     *slog.Logger
	mixing  session.Mixing
	quality string
	w, h    int
	fps     int64

	composer *compose.Composer
	scene    *mixScene
	encoder  *codec.H264Encoder
	users    map[uint32]*mixUser
	regions  []layout.Region
	start    media.Time
	frame    int64 // number of the next picture
}

// mixUser is what one user shows.
type mixUser struct {
	tracks []*mixTrack // in order of start
	shown  *mixTrack   // whose picture is in the region; it may have ended
	sub    substitute  // what is shown without video
}

func newMixVideo(g session.Mixing, quality string, room *mixRoom, src channel.Source, pictures *gallery, log *slog.Logger) (*mixVideo, error) {
	v := &mixVideo{
		room: room, src: src, log: log, mixing: g, quality: quality,
		// H.264 with 4:2:0 has no odd sizes.
		w: g.Width + g.Width%2, h: g.Height + g.Height%2, fps: int64(g.FPS),
		users: map[uint32]*mixUser{},
	}
	var err error
	if v.composer, err = compose.New(v.w, v.h); err != nil {
		return nil, err
	}
	if v.scene, err = newMixScene(g, v.w, v.h, pictures, log); err != nil {
		v.composer.Close()
		return nil, err
	}
	if err = v.renew(); err != nil {
		v.scene.close()
		v.composer.Close()
		return nil, err
	}
	return v, nil
}

// renew opens an encoder in place of the one so far.
func (v *mixVideo) renew() error {
	if v.encoder != nil {
		v.encoder.Close()
	}
	var err error
	v.frame = 0
	v.encoder, err = codec.NewH264Encoder(codec.EncoderConfig{W: v.w, H: v.h, FPS: int(v.fps), Kbps: v.mixing.Bitrate, Quality: v.quality})
	return err
}

// position is the time of the next picture.
func (v *mixVideo) position() media.Time { return v.start + media.Time(v.frame*1e6/v.fps) }

// ticks is the time of picture n after the start, in 90 kHz ticks.
func (v *mixVideo) ticks(n int64) int64 { return (n*90000 + v.fps/2) / v.fps }

// observe takes note of an event of the room. Tracks are kept from their
// arrival on, because their first frames come before the mix reaches them.
func (v *mixVideo) observe(ev channel.Event, now media.Time) {
	v.room.expect(ev, now)
	switch e := ev.(type) {
	case channel.Started:
		if e.Track.Codec.Video() {
			u := v.user(e.Track.User.UID)
			u.tracks = append(u.tracks, &mixTrack{track: e.Track, src: v.src, log: v.log})
		}
	case channel.Ended:
		if e.Track.Codec.Video() {
			v.user(e.Track.User.UID).end(e.Track, e.At)
		}
	case channel.Muted:
		v.user(e.Track.User.UID).mute(e)
	}
}

func (v *mixVideo) user(uid uint32) *mixUser {
	u := v.users[uid]
	if u == nil {
		u = &mixUser{}
		v.users[uid] = u
	}
	return u
}

// end marks a track as ended. Whoever takes its place needs a key frame soon.
func (u *mixUser) end(track *channel.Track, at media.Time) {
	for _, t := range u.tracks {
		switch {
		case t.track == track:
			t.ended, t.endedAt = true, at
		case !t.ended:
			t.requestKey()
		}
	}
}

// mute notes that a track's video is off, or on again.
func (u *mixUser) mute(e channel.Muted) {
	for _, t := range u.tracks {
		if t.track == e.Track {
			t.muted, t.mutedAt = e.Muted, e.At
		}
	}
}

func (v *mixVideo) push(track *channel.Track, unit media.Unit) {
	for _, t := range v.user(track.User.UID).tracks {
		if t.track == track && !t.ended {
			t.push(unit)
			return
		}
	}
}

// render makes the next picture. Without draw the canvas stays as it is, to
// catch up; what was left out is drawn later.
func (v *mixVideo) render(draw bool, files *mixFiles) error {
	now := v.position()
	v.arrange(now)
	v.play(now, now+media.Time(500_000/v.fps), draw)
	changed := false
	if draw {
		var err error
		if changed, err = v.composer.Draw(); err != nil {
			v.log.Warn("a picture could not be drawn", "err", err)
		}
	}
	out, err := v.encode(changed, files.cutBefore(v.frame, now))
	if err != nil {
		return err
	}
	v.frame++
	v.hand(out, files)
	return nil
}

// encode hands the canvas to the encoder. One that did not change is not encoded
// again unless a key frame is due.
func (v *mixVideo) encode(changed, key bool) ([]codec.Encoded, error) {
	if changed || key {
		return v.encoder.Encode(v.composer.Canvas(), v.frame, key)
	}
	return v.encoder.Repeat(v.composer.Canvas(), v.frame)
}

// arrange brings the scene to what is due at now.
func (v *mixVideo) arrange(now media.Time) {
	if v.room.advance(now, v.vanish) {
		v.scene.use(v.room.layout)
	}
	regions, changed := v.room.regions(v.w, v.h)
	if changed {
		v.regions = regions
	}
	if v.scene.gallery.news() || changed {
		v.composer.Arrange(v.scene.scene(v.regions, v.room.names))
	}
}

func (v *mixVideo) flush(files *mixFiles) error {
	out, err := v.encoder.Flush()
	if err != nil {
		return err
	}
	v.hand(out, files)
	return nil
}

func (v *mixVideo) hand(out []codec.Encoded, files *mixFiles) {
	for _, e := range out {
		files.video(e.Frame, v.ticks(e.Frame), e.Key, e.Data)
	}
}

// play decodes what is due of everybody who has a region, and draws what it can.
func (v *mixVideo) play(now, until media.Time, draw bool) {
	for _, r := range v.regions {
		v.user(r.UID) // who sends sound only may have a picture to stand for them
	}
	for uid, u := range v.users {
		at := slices.IndexFunc(v.regions, func(r layout.Region) bool { return r.UID == uid })
		if at < 0 || !v.room.draws(uid) {
			u.rest(until)
			if !v.room.draws(uid) && u.shown != nil {
				v.hide(uid, u)
			}
		} else {
			r := v.regions[at]
			if u.play(until, r.W, r.H, r.Fit) {
				v.composer.Show(uid, u.shown.dec)
				if draw {
					v.composer.Paint(uid)
				}
				u.shown.settle()
				u.moves()
			}
		}
		if at >= 0 {
			v.stand(uid, u, now)
		}
		u.tidy()
	}
}

// vanish forgets a user who does not take part any more. Tracks that have not
// ended belong to a user who is back already.
func (v *mixVideo) vanish(uid uint32) {
	u := v.users[uid]
	if u == nil {
		return
	}
	v.hide(uid, u)
	for _, t := range u.tracks {
		if t.ended {
			t.close()
		}
	}
	u.tracks = slices.DeleteFunc(u.tracks, func(t *mixTrack) bool { return t.ended })
	if len(u.tracks) == 0 {
		delete(v.users, uid)
	}
}

// hide takes a user's picture off the canvas.
func (v *mixVideo) hide(uid uint32, u *mixUser) {
	v.composer.Hide(uid)
	if u.shown != nil && u.shown.ended {
		u.shown.close()
	}
	u.shown, u.sub = nil, substitute{}
}

// choose returns the track that should be seen: the screen while it is shared,
// else the camera; of several the newest.
func (u *mixUser) choose() *mixTrack {
	var best *mixTrack
	for _, t := range u.tracks {
		if t.done() {
			continue
		}
		if best == nil || t.track.Kind == channel.Screen || best.track.Kind != channel.Screen {
			best = t
		}
	}
	return best
}

// play brings the user's picture up to date for a region of w x h and reports
// whether it is new. The picture seen so far goes on until the one that is to
// replace it is there.
func (u *mixUser) play(until media.Time, w, h int, fit bool) (fresh bool) {
	want := u.choose()
	for _, t := range u.tracks {
		switch t {
		case want:
			t.size(w, h, fit)
			if t.play(until) {
				u.shown, fresh = t, true
			}
		case u.shown:
			if t.play(until) && u.shown == t {
				fresh = true
			}
		default:
			t.size(unseen, unseen, true)
			t.skip(until)
		}
	}
	return fresh && u.shown.picture
}

// rest goes on without decoding: the user has no region.
func (u *mixUser) rest(until media.Time) {
	for _, t := range u.tracks {
		t.size(unseen, unseen, true)
		t.skip(until)
	}
}

// tidy lets go of tracks that are over and not seen any more. Their decoders go
// as well as those of tracks that are not drawn.
func (u *mixUser) tidy() {
	u.tracks = slices.DeleteFunc(u.tracks, func(t *mixTrack) bool {
		if t == u.shown || t.dec == nil && !t.done() {
			return false
		}
		if t.done() || !t.keyed {
			t.close()
		}
		return t.done()
	})
}

func (v *mixVideo) close() {
	for _, u := range v.users {
		for _, t := range u.tracks {
			t.close()
		}
		if u.shown != nil {
			u.shown.close()
		}
	}
	v.encoder.Close()
	v.composer.Close()
	v.scene.close()
}
