package wayland

// Painter takes a block of the composed picture: B, G, R, X bytes, stride bytes
// a row. x, y, w and h are even, in pixels of the output. The memory is valid
// until it returns.
type Painter func(pix []byte, stride, x, y, w, h int)

// dirty notes that an area of the output is to be painted again.
func (s *Server) dirty(r rect) {
	s.damage = s.damage.or(r.and(rect{0, 0, s.cfg.W, s.cfg.H}))
}

// Draw paints what has changed since the last call and reports whether
// anything has.
func (s *Server) Draw(paint Painter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.damage
	if r.empty() {
		return false
	}
	s.damage = rect{}
	r = rect{r.x0 &^ 1, r.y0 &^ 1, min((r.x1+1)&^1, s.cfg.W&^1), min((r.y1+1)&^1, s.cfg.H&^1)}
	if r.empty() {
		return false
	}
	layers := s.layers(r)
	if one := sole(layers, r); one != nil {
		a := one.area()
		paint(one.shown.row(r.x0-a.x0, r.y0-a.y0), one.shown.stride, r.x0, r.y0, r.x1-r.x0, r.y1-r.y0)
	} else {
		s.compose(layers, r, paint)
	}
	return true
}

// Redraw lets the next Draw paint everything.
func (s *Server) Redraw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dirty(rect{0, 0, s.cfg.W, s.cfg.H})
}

// layers returns the surfaces that show something of r, the lowest first.
func (s *Server) layers(r rect) []*surface {
	var out []*surface
	var visit func(x *surface)
	visit = func(x *surface) {
		for _, y := range x.stack {
			switch {
			case y != x:
				visit(y)
			case x.shown != nil && !x.area().and(r).empty():
				out = append(out, x)
			}
		}
	}
	for _, t := range s.tops {
		visit(t)
	}
	return out
}

// sole returns the one surface that covers all of r pixel by pixel with
// nothing above it, or nil. What the browser's window shows is opaque: its
// format says otherwise only because it has round corners elsewhere.
func sole(layers []*surface, r rect) *surface {
	if len(layers) == 0 {
		return nil
	}
	top := layers[len(layers)-1]
	w, h := top.size()
	opaque := top.shown.opaque() || len(layers) == 1
	if !opaque || top.area().and(r) != r || w != top.shown.w || h != top.shown.h {
		return nil
	}
	return top
}

// compose blends the layers in memory of our own.
func (s *Server) compose(layers []*surface, r rect, paint Painter) {
	w, h := r.x1-r.x0, r.y1-r.y0
	if need := w * h * 4; cap(s.scratch) < need {
		s.scratch = make([]byte, need)
	}
	pix := s.scratch[:w*h*4]
	clear(pix)
	for i, l := range layers {
		l.blend(pix, r, i == 0 || l.shown.opaque())
	}
	paint(pix, w*4, r.x0, r.y0, w, h)
}

// blend draws a surface over pix, which is the area r. A buffer that is not as
// large as its surface is scaled to the nearest pixel.
func (s *surface) blend(pix []byte, r rect, opaque bool) {
	a := s.area()
	part := a.and(r)
	w, h := s.size()
	same := w == s.shown.w && h == s.shown.h
	for y := part.y0; y < part.y1; y++ {
		dst := pix[((y-r.y0)*(r.x1-r.x0)+part.x0-r.x0)*4:]
		row := s.shown.row(0, (y-a.y0)*s.shown.h/h)
		if opaque && same {
			copy(dst[:(part.x1-part.x0)*4], row[(part.x0-a.x0)*4:])
			continue
		}
		for x := part.x0; x < part.x1; x++ {
			src := row[(x-a.x0)*s.shown.w/w*4:][:4]
			over(dst[(x-part.x0)*4:][:4], src, opaque)
		}
	}
}

// over puts a pixel of premultiplied alpha over another.
func over(dst, src []byte, opaque bool) {
	if opaque || src[3] == 255 {
		copy(dst, src)
		return
	}
	rest := 255 - uint(src[3])
	for i := range 3 {
		dst[i] = byte(min(255, uint(src[i])+(uint(dst[i])*rest+127)/255))
	}
}
