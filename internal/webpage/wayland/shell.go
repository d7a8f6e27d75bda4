package wayland

import "encoding/binary"

// positioner says where a popup wants to be (xdg_positioner).
type positioner struct {
	w, h            int
	anchor          rect
	edge, gravity   uint32
	offsetX, offset int
}

// place returns the popup's place relative to its parent's window: the anchor
// point, gone from in the direction of the gravity.
func (p positioner) place() (x, y int) {
	return p.offsetX + along(p.anchor.x0, p.anchor.x1, p.w, side(p.edge, 3, 4), side(p.gravity, 3, 4)),
		p.offset + along(p.anchor.y0, p.anchor.y1, p.h, side(p.edge, 1, 2), side(p.gravity, 1, 2))
}

// side reads an edge or corner of xdg_positioner (1 top, 2 bottom, 3 left,
// 4 right, 5 top left, 6 bottom left, 7 top right, 8 bottom right) along one
// axis: -1, 0 or 1.
func side(v, low, high uint32) int {
	corners := [9][2]uint32{5: {1, 3}, 6: {2, 3}, 7: {1, 4}, 8: {2, 4}}
	has := func(e uint32) bool { return v == e || v < 9 && (corners[v][0] == e || corners[v][1] == e) }
	switch {
	case has(low):
		return -1
	case has(high):
		return 1
	}
	return 0
}

func along(from, to, size, edge, gravity int) int {
	at := (from + to) / 2
	switch edge {
	case -1:
		at = from
	case 1:
		at = to
	}
	switch gravity {
	case -1:
		return at - size
	case 1:
		return at
	}
	return at - size/2
}

func (c *client) shell(id uint32, o *object, op int, a *args) error {
	switch o.kind {
	case "xdg_wm_base":
		return c.wmBase(id, op, a)
	case "xdg_positioner":
		c.positioner(id, o.place, op, a)
	case "xdg_surface":
		return c.xdgSurface(id, o.surface, op, a)
	case "xdg_toplevel":
		switch op {
		case 0:
			o.surface.top, o.surface.configured = 0, false
			c.remove(id)
		case 9, 10, 11, 12: // whatever it wishes to be, it fills the output
			c.configure(o.surface)
		}
	case "xdg_popup":
		switch op {
		case 0:
			c.remove(id)
		case 2:
			if p := c.objects[a.uint()]; p != nil && p.place != nil {
				token := a.uint()
				c.event(id, 2, token) // repositioned
				c.place(o.surface, *p.place)
			}
		}
	}
	return nil
}

func (c *client) wmBase(id uint32, op int, a *args) error {
	switch op {
	case 0:
		c.remove(id)
	case 1:
		x, err := c.add(a.uint(), "xdg_positioner")
		if err != nil {
			return err
		}
		x.place = &positioner{}
	case 2:
		n := a.uint()
		s, err := c.surfaceOf(a.uint())
		if err != nil {
			return err
		}
		x, err := c.add(n, "xdg_surface")
		if err != nil {
			return err
		}
		x.surface, s.xdg = s, n
	}
	return nil
}

func (c *client) positioner(id uint32, p *positioner, op int, a *args) {
	switch op {
	case 0:
		c.remove(id)
	case 1:
		p.w, p.h = readPoint(a)
	case 2:
		p.anchor = readRect(a)
	case 3:
		p.edge = a.uint()
	case 4:
		p.gravity = a.uint()
	case 6:
		p.offsetX, p.offset = readPoint(a)
	}
}

func (c *client) xdgSurface(id uint32, s *surface, op int, a *args) error {
	switch op {
	case 0:
		c.remove(id)
	case 1:
		n := a.uint()
		x, err := c.add(n, "xdg_toplevel")
		if err != nil {
			return err
		}
		c.s.unmap(s)
		x.surface, s.top, s.mapped = s, n, true
		c.s.tops = append(c.s.tops, s)
	case 2:
		return c.popup(s, a)
	case 3:
		s.geomX, s.geomY = readPoint(a)
	}
	return nil
}

// popup makes s a menu or bubble above its parent.
func (c *client) popup(s *surface, a *args) error {
	n, parent, place := a.uint(), a.uint(), a.uint()
	x, err := c.add(n, "xdg_popup")
	if err != nil {
		return err
	}
	x.surface, s.popup = s, n
	p := c.objects[place]
	if p == nil || p.place == nil {
		return errWire
	}
	if above := c.objects[parent]; above != nil && above.surface != nil {
		if err := c.s.attach(s, above.surface); err != nil {
			return err
		}
	}
	c.place(s, *p.place)
	return nil
}

// place puts a popup where it wants to be, moved so that it is on the output.
func (c *client) place(s *surface, p positioner) {
	before := s.area()
	x, y := p.place()
	s.x, s.y = x, y
	if ox, oy, shown := s.origin(); shown {
		unit := c.s.cfg.Scale
		x -= max(0, min(ox/unit, ox/unit+p.w-c.s.cfg.W/unit))
		y -= max(0, min(oy/unit, oy/unit+p.h-c.s.cfg.H/unit))
	}
	s.x, s.y = x-s.geomX, y-s.geomY
	c.s.dirty(before.or(s.area()))
	c.event(s.popup, 0, x, y, p.w, p.h)
	c.serial++
	c.event(s.xdg, 0, c.serial)
}

// configure tells a window that it fills the output and is active.
func (c *client) configure(s *surface) {
	if s.top == 0 {
		return
	}
	states := binary.LittleEndian.AppendUint32(nil, 2)   // fullscreen
	states = binary.LittleEndian.AppendUint32(states, 4) // activated
	g := c.s.cfg
	c.event(s.top, 0, g.W/g.Scale, g.H/g.Scale, states)
	c.serial++
	c.event(s.xdg, 0, c.serial)
	for out := range c.outputs {
		c.event(s.id, 0, out) // wl_surface.enter
	}
}
