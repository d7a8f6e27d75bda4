package recorder

import (
	"log/slog"

	"tapedeck/internal/media/codec"
	"tapedeck/internal/media/compose"
	"tapedeck/internal/media/label"
	"tapedeck/internal/media/layout"
	"tapedeck/internal/session"
)

// mixScene knows what is on the canvas beside the users' video: the background,
// the pictures of users without video, names and the watermark.
type mixScene struct {
	w, h    int
	gallery *gallery
	log     *slog.Logger
	mark    *session.Watermark // nil without
	labels  *label.Maker       // nil without
	layout  session.Layout
}

func newMixScene(g session.Mixing, w, h int, pictures *gallery, log *slog.Logger) (*mixScene, error) {
	s := &mixScene{w: w, h: h, gallery: pictures, log: log, mark: g.Watermark}
	if g.Labels {
		var err error
		if s.labels, err = label.NewMaker(); err != nil {
			return nil, err
		}
	}
	s.use(g.Layout)
	return s, nil
}

// use takes the pictures of a layout.
func (s *mixScene) use(l session.Layout) {
	s.layout = l
	var orders []stillOrder
	if l.BackgroundImage != "" {
		orders = append(orders, s.backdropOrder())
	}
	if l.UserBackgroundImage != "" {
		orders = append(orders, s.userOrder(l.UserBackgroundImage))
	}
	for _, u := range l.UserImages {
		orders = append(orders, s.userOrder(u.Image))
	}
	if o, _, _, ok := s.markOrder(); ok {
		orders = append(orders, o)
	}
	s.gallery.want(orders)
}

func (s *mixScene) backdropOrder() stillOrder {
	return stillOrder{url: s.layout.BackgroundImage, use: stillBackdrop, w: s.w, h: s.h}
}

func (s *mixScene) userOrder(url string) stillOrder {
	return stillOrder{url: url, use: stillUser, w: s.w, h: s.h}
}

// markOrder returns the watermark's order and its place on the canvas.
func (s *mixScene) markOrder() (o stillOrder, x, y int, ok bool) {
	if s.mark == nil {
		return o, 0, 0, false
	}
	m := s.mark
	// One custom region has the rounding and the limits of every other.
	r := layout.Place(session.Layout{Kind: layout.Custom, Regions: []session.CustomRegion{{X: m.X, Y: m.Y, W: m.W, H: m.H, Alpha: m.Alpha}}}, []uint32{1}, s.w, s.h)
	if len(r) == 0 {
		return o, 0, 0, false
	}
	return stillOrder{url: m.Image, use: stillMark, w: r[0].W, h: r[0].H, alpha: r[0].Alpha}, r[0].X, r[0].Y, true
}

// backdrop returns the picture behind everything, nil if there is none.
func (s *mixScene) backdrop() *codec.Canvas {
	if s.layout.BackgroundImage == "" {
		return nil
	}
	c, _ := s.gallery.picture(s.backdropOrder())
	return c
}

// user returns the picture that a user without video shows: their own, else the
// one for everybody.
func (s *mixScene) user(uid uint32) (pic *codec.Canvas, fit, ok bool) {
	for _, u := range s.layout.UserImages {
		if u.UID == uid {
			if pic, ok = s.gallery.picture(s.userOrder(u.Image)); ok {
				return pic, u.Fit, true
			}
		}
	}
	if s.layout.UserBackgroundImage != "" {
		pic, ok = s.gallery.picture(s.userOrder(s.layout.UserBackgroundImage))
	}
	return pic, false, ok
}

// scene puts everything together for the given regions.
func (s *mixScene) scene(regions []layout.Region, names map[uint32]string) compose.Scene {
	out := compose.Scene{Regions: regions, Colour: compose.Colour(s.layout.Background), Backdrop: s.backdrop()}
	if s.labels != nil {
		for _, r := range regions {
			if o, ok := s.name(r, names[r.UID]); ok {
				out.Overlays = append(out.Overlays, o)
			}
		}
	}
	if o, x, y, ok := s.markOrder(); ok {
		if m, ok := s.gallery.mark(o); ok {
			out.Overlays = append(out.Overlays, compose.Overlay{X: x, Y: y, Stamp: m})
		}
	}
	return out
}

// name returns a user's name for the lower left corner of their region.
func (s *mixScene) name(r layout.Region, text string) (compose.Overlay, bool) {
	if text == "" {
		text = uidText(r.UID)
	}
	gap := max(2, r.H/40) &^ 1
	stamp, err := s.labels.Make(text, min(max(r.H/12, 10), 28), r.W-2*gap)
	if err != nil {
		s.log.Warn("a name could not be drawn", "uid", r.UID, "err", err)
		return compose.Overlay{}, false
	}
	if stamp == nil {
		return compose.Overlay{}, false
	}
	w, h := stamp.Size()
	if w+2*gap > r.W || h+2*gap > r.H {
		return compose.Overlay{}, false
	}
	return compose.Overlay{X: r.X + gap, Y: r.Y + r.H - gap - h, Stamp: stamp}, true
}

func (s *mixScene) close() {
	if s.labels != nil {
		s.labels.Close()
	}
}
