package transcode

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strconv"

	"tapedeck/internal/media"
	"tapedeck/internal/media/codec"
	"tapedeck/internal/media/compose"
	"tapedeck/internal/media/layout"
	"tapedeck/internal/session"
)

// actor is one user's pictures on their way into a composite.
type actor struct {
	uid    uint32
	player player
	next   func() (unit, error, bool)
	stop   func()
	u      unit
	ok     bool
	from   media.Time // first and last media of any kind
	to     media.Time
	shown  bool
}

// Composite makes one MP4 with everybody in one picture and all sound mixed:
// what a mix recording would have been. A user has a window from their first
// media to their last; without a picture it shows the background.
func (r *Recording) Composite(ctx context.Context, m session.Mixing, name string, sink Sink, done Progress) (out *Output, err error) {
	enc, err := codec.NewH264Encoder(codec.EncoderConfig{W: m.Width, H: m.Height, FPS: m.FPS, Kbps: m.Bitrate})
	if err != nil {
		return nil, err
	}
	sps, pps := enc.ParameterSets()
	enc.Close()
	_, config, err := silentFrame(2)
	if err != nil {
		return nil, err
	}
	video := &pictureTrack{w: m.Width, h: m.Height, sps: sps, pps: pps, frames: r.composed(m, done)}
	sound := &soundTrack{channels: 2, config: config, frames: r.encodeSound(r.Users, 2, done)}
	tmp, err := sink.Create(name + ".work")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sink.Discard(tmp)) }()
	if err := r.writeMP4(ctx, tmp, sound, video); err != nil {
		return nil, err
	}
	return r.publish(sink, name, tmp, Output{Kind: "mp4", Track: session.TrackBoth, UID: "0"}, 0)
}

// composed yields the encoded canvas, tick by tick.
func (r *Recording) composed(m session.Mixing, done Progress) iter.Seq2[picture, error] {
	return func(yield func(picture, error) bool) {
		if err := r.composeInto(m, done, func(p picture) bool { return yield(p, nil) }); err != nil {
			yield(picture{}, err)
		}
	}
}

func (r *Recording) composeInto(m session.Mixing, done Progress, yield func(picture) bool) error {
	enc, err := codec.NewH264Encoder(codec.EncoderConfig{W: m.Width, H: m.Height, FPS: m.FPS, Kbps: m.Bitrate})
	if err != nil {
		return err
	}
	defer enc.Close()
	c, err := compose.New(m.Width, m.Height)
	if err != nil {
		return err
	}
	defer c.Close()
	cast := r.cast(done)
	defer func() {
		for _, a := range cast {
			a.stop()
			a.player.close()
		}
	}()
	put := func(out []codec.Encoded) bool {
		for _, e := range out {
			if !yield(picture{e.Frame * 90000 / int64(m.FPS), e.Key, e.Data}) {
				return false
			}
		}
		return true
	}
	frames := int64(r.Length()) * int64(m.FPS) / 1_000_000
	for n := range max(frames, 1) {
		t := r.start + media.Time(n*1_000_000/int64(m.FPS))
		if err := r.tick(c, cast, m, t); err != nil {
			return err
		}
		out, err := enc.Encode(c.Canvas(), n, n%int64(keyEvery*m.FPS) == 0)
		if err != nil {
			return err
		}
		if !put(out) {
			return nil
		}
	}
	out, err := enc.Flush()
	if err == nil {
		put(out)
	}
	return err
}

// cast prepares all users in the order of their first media.
func (r *Recording) cast(done Progress) []*actor {
	var out []*actor
	for _, u := range r.Users {
		id, err := strconv.ParseUint(u.UID, 10, 32)
		if err != nil || u.Extra != "" {
			continue
		}
		a := &actor{uid: uint32(id), from: r.end, to: r.start}
		for _, s := range slices.Concat(u.Sound, u.Video) {
			a.from, a.to = min(a.from, s.at), max(a.to, s.at+s.Dur)
		}
		a.next, a.stop = iter.Pull2(r.units(u.Video, true, done))
		out = append(out, a)
	}
	slices.SortStableFunc(out, func(a, b *actor) int { return int(a.from - b.from) })
	return out
}

// tick brings the canvas to time t.
func (r *Recording) tick(c *compose.Composer, cast []*actor, m session.Mixing, t media.Time) error {
	var present []uint32
	for _, a := range cast {
		if t < a.from || t > a.to {
			if a.shown {
				c.Hide(a.uid)
				a.shown = false
			}
			continue
		}
		present = append(present, a.uid)
		fresh, err := a.advance(t)
		if err != nil {
			return err
		}
		if fresh {
			c.Show(a.uid, a.player.dec)
			a.shown = true
		}
	}
	c.Arrange(compose.Scene{
		Regions: layout.Place(m.Layout, present, m.Width, m.Height),
		Colour:  compose.Colour(m.Layout.Background),
	})
	_, err := c.Draw()
	return err
}

// advance decodes everything up to t and reports whether there is a new picture.
func (a *actor) advance(t media.Time) (fresh bool, err error) {
	for {
		if !a.ok {
			u, err, more := a.next()
			if err != nil {
				return fresh, err
			}
			if !more {
				return fresh, nil
			}
			a.u, a.ok = u, true
		}
		if a.u.at > t {
			return fresh, nil
		}
		if a.player.take(a.u) {
			fresh = true
		}
		a.ok = false
	}
}
