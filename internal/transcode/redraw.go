package transcode

import (
	"iter"

	"tapedeck/internal/media"
	"tapedeck/internal/media/codec"
)

// Limits of pictures that are made here.
const (
	maxSide   = 1920
	fullRate  = 60 // pictures a second, for sources with more than 40
	usualRate = 30
	keyEvery  = 2 // seconds
)

// size decodes the key frames of a user to find the largest upright size.
func (r *Recording) size(u *User) (w, h int, err error) {
	var p player
	defer p.close()
	for x, err := range r.units(u.Video, true, func(int64) {}) {
		if err != nil {
			return 0, 0, err
		}
		if !x.key || !p.take(x) {
			continue
		}
		pw, ph := p.dec.Size()
		if x.rotate%180 != 0 {
			pw, ph = ph, pw
		}
		if pw*ph > w*h {
			w, h = pw, ph
		}
	}
	for w > maxSide || h > maxSide {
		w, h = w/2, h/2
	}
	return w &^ 1, h &^ 1, nil
}

// makeVideo decodes a user's pictures, whatever they are, and encodes them
// upright on one canvas.
func (r *Recording) makeVideo(u *User, s survey, done func(int64)) (*pictureTrack, error) {
	w, h, err := r.size(u)
	if err != nil || w == 0 || h == 0 {
		return nil, err
	}
	fps := usualRate
	if s.step > 0 && s.step < 24_000 {
		fps = fullRate
	}
	cfg := codec.EncoderConfig{W: w, H: h, FPS: fps, Kbps: max(w*h*fps/12_000, 150)}
	probe, err := codec.NewH264Encoder(cfg)
	if err != nil {
		return nil, err
	}
	sps, pps := probe.ParameterSets()
	probe.Close()
	return &pictureTrack{w: w, h: h, sps: sps, pps: pps, frames: r.redraw(u, cfg, done)}, nil
}

// redraw yields a user's pictures drawn onto one canvas and encoded.
func (r *Recording) redraw(u *User, cfg codec.EncoderConfig, done func(int64)) iter.Seq2[picture, error] {
	return func(yield func(picture, error) bool) {
		if err := r.redrawInto(u, cfg, done, func(p picture) bool { return yield(p, nil) }); err != nil {
			yield(picture{}, err)
		}
	}
}

func (r *Recording) redrawInto(u *User, cfg codec.EncoderConfig, done func(int64), yield func(picture) bool) error {
	canvas, err := codec.NewCanvas(cfg.W, cfg.H)
	if err != nil {
		return err
	}
	defer canvas.Close()
	enc, err := codec.NewH264Encoder(cfg)
	if err != nil {
		return err
	}
	defer enc.Close()
	var p player
	defer p.close()
	put := func(out []codec.Encoded) bool {
		for _, e := range out {
			if !yield(picture{e.Frame * 90000 / int64(cfg.FPS), e.Key, e.Data}) {
				return false
			}
		}
		return true
	}
	last, key := int64(-1), int64(-1<<40)
	for x, err := range r.units(u.Video, true, done) {
		if err != nil {
			return err
		}
		frame := (int64(x.at-r.start)*int64(cfg.FPS) + 500_000) / 1_000_000
		if !p.take(x) || frame <= last {
			continue
		}
		if err := p.draw(canvas, x.rotate); err != nil {
			return err
		}
		force := frame-key >= int64(keyEvery*cfg.FPS)
		if force {
			key = frame
		}
		out, err := enc.Encode(canvas, frame, force)
		if err != nil {
			return err
		}
		if !put(out) {
			return nil
		}
		last = frame
	}
	out, err := enc.Flush()
	if err == nil {
		put(out)
	}
	return err
}

// player decodes one user's pictures whatever codec they change to.
type player struct {
	codec  media.Codec
	dec    *codec.VideoDecoder
	old    []*codec.VideoDecoder
	plain  *codec.Canvas // the picture as it came
	turned *codec.Canvas // and upright
}

// take decodes one unit and reports whether there is a new picture. What cannot
// be decoded leaves the last one.
func (p *player) take(x unit) bool {
	if p.dec == nil || p.codec != x.codec {
		if p.dec != nil {
			p.old = append(p.old, p.dec) // somebody may still draw from it
		}
		p.dec, p.codec = nil, x.codec
		d, err := codec.NewVideoDecoder(x.codec)
		if err != nil {
			return false
		}
		p.dec = d
	}
	fresh, err := p.dec.Decode(x.data)
	return err == nil && fresh
}

// draw puts the newest picture upright onto a canvas, all of it.
func (p *player) draw(on *codec.Canvas, rotate int) error {
	w, h := on.Size()
	if err := on.Fill(0, 0, w, h, codec.RGB(0, 0, 0)); err != nil {
		return err
	}
	if rotate%360 == 0 {
		return on.Draw(p.dec, 0, 0, w, h, true)
	}
	pw, ph := p.dec.Size()
	if err := fitCanvas(&p.plain, pw&^1, ph&^1); err != nil {
		return err
	}
	tw, th := pw&^1, ph&^1
	if rotate%180 != 0 {
		tw, th = th, tw
	}
	if err := fitCanvas(&p.turned, tw, th); err != nil {
		return err
	}
	if err := p.plain.Draw(p.dec, 0, 0, pw&^1, ph&^1, true); err != nil {
		return err
	}
	for i := range 3 {
		turnPlane(p.turned, p.plain, i, rotate)
	}
	return on.DrawCanvas(p.turned, 0, 0, w, h, true, 1)
}

func fitCanvas(c **codec.Canvas, w, h int) error {
	if *c != nil {
		if cw, ch := (*c).Size(); cw == w && ch == h {
			return nil
		}
		(*c).Close()
		*c = nil
	}
	n, err := codec.NewCanvas(w, h)
	*c = n
	return err
}

// turnPlane copies a plane turned anticlockwise.
func turnPlane(to, from *codec.Canvas, i, rotate int) {
	src, ss := from.Plane(i)
	dst, ds := to.Plane(i)
	w, h := to.Size()
	if i > 0 {
		w, h = w/2, h/2
	}
	for y := range h {
		for x := range w {
			switch rotate {
			case 90:
				dst[y*ds+x] = src[x*ss+h-1-y]
			case 180:
				dst[y*ds+x] = src[(h-1-y)*ss+w-1-x]
			case 270:
				dst[y*ds+x] = src[(w-1-x)*ss+y]
			}
		}
	}
}

func (p *player) close() {
	for _, d := range p.old {
		d.Close()
	}
	if p.dec != nil {
		p.dec.Close()
	}
	if p.plain != nil {
		p.plain.Close()
	}
	if p.turned != nil {
		p.turned.Close()
	}
}
