package wayland

import "slices"

// rect is an area: x0 <= x < x1.
type rect struct{ x0, y0, x1, y1 int }

func (r rect) empty() bool { return r.x0 >= r.x1 || r.y0 >= r.y1 }

func (r rect) and(o rect) rect {
	return rect{max(r.x0, o.x0), max(r.y0, o.y0), min(r.x1, o.x1), min(r.y1, o.y1)}
}

// or is the smallest area that holds both.
func (r rect) or(o rect) rect {
	switch {
	case r.empty():
		return o
	case o.empty():
		return r
	}
	return rect{min(r.x0, o.x0), min(r.y0, o.y0), max(r.x1, o.x1), max(r.y1, o.y1)}
}

// viewport is what wp_viewport sets; no destination is 0.
type viewport struct{ w, h int }

// surface is one layer of the browser's windows.
type surface struct {
	c     *client
	id    uint32
	dead  bool
	scale int
	view  viewport

	pending struct {
		set       bool
		buffer    *buffer
		damage    rect // window units
		pixels    rect // buffer units
		callbacks []uint32
		feedback  []uint32
	}
	shown     *buffer // nil: nothing
	callbacks []uint32
	feedback  []uint32
	early     int // callbacks that may still be answered before the next tick

	// Where it is.
	parent     *surface
	x, y       int // window units, from the parent's origin
	geomX      int // xdg_surface.set_window_geometry
	geomY      int
	stack      []*surface // itself and its children, the lowest first
	mapped     bool       // a toplevel that counts, or a child of its parent
	top, popup uint32     // ID of the xdg role object
	xdg        uint32
	configured bool
}

// take makes b the surface's content; nil is none. The browser gets back the
// buffer that was there, and draws into that one meanwhile.
func (s *surface) take(b *buffer) {
	old := s.shown
	if b != nil {
		b.pool.refs++
	}
	s.shown = b
	if old == nil {
		return
	}
	if old != b && !old.gone {
		old.c.event(old.id, 0) // wl_buffer.release
	}
	old.pool.release()
}

// size returns how many pixels of the output the surface takes.
func (s *surface) size() (w, h int) {
	out := s.c.s.cfg.Scale
	switch {
	case s.shown == nil:
		return 0, 0
	case s.view.w > 0:
		return s.view.w * out, s.view.h * out
	}
	return s.shown.w * out / s.scale, s.shown.h * out / s.scale
}

// origin returns where the surface's top left corner is on the output, and
// whether it is part of a window that is shown.
func (s *surface) origin() (x, y int, shown bool) {
	for p := s; ; p = p.parent {
		if !p.mapped {
			return 0, 0, false
		}
		x, y = x+p.x, y+p.y
		if p.parent == nil {
			out := s.c.s.cfg.Scale
			return x * out, y * out, p.top != 0
		}
	}
}

// area is what the surface covers of the output.
func (s *surface) area() rect {
	x, y, shown := s.origin()
	w, h := s.size()
	if !shown {
		return rect{}
	}
	return rect{x, y, x + w, y + h}
}

func (c *client) surface(id uint32, s *surface, op int, a *args) error {
	p := &s.pending
	switch op {
	case 0:
		c.remove(id)
	case 1: // attach
		p.set, p.buffer = true, nil
		if o := c.objects[a.uint()]; o != nil {
			p.buffer = o.buffer
		}
	case 2:
		p.damage = p.damage.or(readRect(a))
	case 9:
		p.pixels = p.pixels.or(readRect(a))
	case 3:
		n := a.uint()
		if _, err := c.add(n, "wl_callback"); err != nil {
			return err
		}
		p.callbacks = append(p.callbacks, n)
	case 6:
		c.commit(s)
	case 8:
		s.scale = min(max(1, a.int()), 8)
	}
	return nil
}

func readRect(a *args) rect {
	x, y, w, h := a.int(), a.int(), a.int(), a.int()
	const far = 1 << 20
	x, y = min(max(x, -far), far), min(max(y, -far), far)
	return rect{x, y, x + min(max(w, 0), far), y + min(max(h, 0), far)}
}

// commit makes what is pending count. Subsurfaces are not synchronised with
// their parents: they show up to one picture early.
func (c *client) commit(s *surface) {
	if s.top != 0 && !s.configured {
		s.configured = true
		c.configure(s)
	}
	p := &s.pending
	s.callbacks = append(s.callbacks, p.callbacks...)
	s.feedback = append(s.feedback, p.feedback...)
	p.callbacks, p.feedback = p.callbacks[:0], p.feedback[:0]
	before := s.area()
	if p.set {
		if p.buffer != nil && p.buffer.gone {
			p.buffer = nil
		}
		s.take(p.buffer)
		if p.buffer != nil {
			c.s.commits++
		}
	}
	now := s.area()
	if now != before {
		c.s.dirty(before.or(now))
	} else if !now.empty() {
		c.s.dirty(s.onOutput(p.damage, s.unit()).or(s.onOutput(p.pixels, 0)))
	}
	p.set, p.buffer, p.damage, p.pixels = false, nil, rect{}, rect{}
	if len(s.callbacks) > 0 && s.early > 0 {
		s.early--
		c.answer(s, c.s.now)
	}
}

// unit is how many pixels of the output a unit of the surface takes.
func (s *surface) unit() int { return s.c.s.cfg.Scale }

// onOutput moves an area of the surface to where it is on the output; unit 0
// stands for pixels of the buffer.
func (s *surface) onOutput(r rect, unit int) rect {
	if r.empty() {
		return rect{}
	}
	a := s.area()
	w, h := s.size()
	switch {
	case unit > 0:
		r = rect{r.x0 * unit, r.y0 * unit, r.x1 * unit, r.y1 * unit}
	case w != s.shown.w || h != s.shown.h:
		r = rect{0, 0, w, h}
	}
	return rect{r.x0 + a.x0, r.y0 + a.y0, r.x1 + a.x0, r.y1 + a.y0}.and(a)
}

func (c *client) sub(id uint32, o *object, op int, a *args) error {
	if o.kind == "wl_subcompositor" {
		if op == 0 {
			c.remove(id)
			return nil
		}
		n := a.uint()
		s, err := c.surfaceOf(a.uint())
		if err != nil {
			return err
		}
		parent, err := c.surfaceOf(a.uint())
		if err != nil {
			return err
		}
		x, err := c.add(n, "wl_subsurface")
		if err != nil {
			return err
		}
		x.surface = s
		return c.s.attach(s, parent)
	}
	s := o.surface
	switch op {
	case 0:
		c.remove(id)
	case 1:
		before := s.area()
		s.x, s.y = readPoint(a)
		c.s.dirty(before.or(s.area()))
	case 2, 3:
		sibling, err := c.surfaceOf(a.uint())
		if err != nil {
			return err
		}
		s.restack(sibling, op == 2)
		c.s.dirty(s.area())
	}
	return nil
}

func readPoint(a *args) (x, y int) {
	const far = 1 << 20
	return min(max(a.int(), -far), far), min(max(a.int(), -far), far)
}

// attach makes s a child of parent, on top of its other children.
func (s *Server) attach(child, parent *surface) error {
	for p := parent; p != nil; p = p.parent {
		if p == child {
			return errWire
		}
	}
	s.unmap(child)
	child.parent, child.mapped = parent, true
	parent.stack = append(parent.stack, child)
	s.dirty(child.area())
	return nil
}

// unmap takes a surface out of the picture.
func (s *Server) unmap(x *surface) {
	s.dirty(x.area())
	if x.parent != nil {
		x.parent.stack = slices.DeleteFunc(x.parent.stack, func(o *surface) bool { return o == x })
	}
	s.tops = slices.DeleteFunc(s.tops, func(o *surface) bool { return o == x })
	x.parent, x.mapped = nil, false
	x.x, x.y = 0, 0
}

// restack puts s above or below a sibling, or its parent.
func (s *surface) restack(sibling *surface, above bool) {
	if s.parent == nil {
		return
	}
	list := slices.DeleteFunc(slices.Clone(s.parent.stack), func(o *surface) bool { return o == s })
	at := slices.Index(list, sibling)
	if at < 0 {
		return
	}
	if above {
		at++
	}
	s.parent.stack = slices.Insert(list, at, s)
}

func (c *client) viewport(id uint32, o *object, op int, a *args) error {
	switch {
	case op == 0:
		c.remove(id)
	case o.kind == "wp_viewporter":
		n := a.uint()
		s, err := c.surfaceOf(a.uint())
		if err != nil {
			return err
		}
		x, err := c.add(n, "wp_viewport")
		if err != nil {
			return err
		}
		x.surface = s
	case op == 2:
		before := o.surface.area()
		o.surface.view = viewport{min(max(0, a.int()), 16384), min(max(0, a.int()), 16384)}
		c.s.dirty(before.or(o.surface.area()))
	}
	return nil
}
