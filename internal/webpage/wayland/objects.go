package wayland

import (
	"fmt"
	"time"
)

// globals are what the browser may bind, with the highest version we speak.
func globals() []struct {
	kind    string
	version uint32
} {
	return []struct {
		kind    string
		version uint32
	}{
		{"wl_compositor", 5}, {"wl_subcompositor", 1}, {"wl_shm", 1}, {"xdg_wm_base", 3}, {"wl_output", 4},
		{"wp_viewporter", 1}, {"wp_presentation", 1}, {"wl_seat", 5}, {"wl_data_device_manager", 3},
	}
}

// object is what an ID of a client stands for. Only the members of its kind
// are set.
type object struct {
	kind    string
	surface *surface // wl_surface, wl_subsurface, xdg_*, wp_viewport
	buffer  *buffer
	pool    *pool
	place   *positioner
}

func (c *client) add(id uint32, kind string) (*object, error) {
	if len(c.objects) >= maxObjects || id == 0 || c.objects[id] != nil {
		return nil, fmt.Errorf("%w: object %d cannot be made", errWire, id)
	}
	o := &object{kind: kind}
	c.objects[id] = o
	return o, nil
}

// remove forgets an object and tells the client that its ID is free.
func (c *client) remove(id uint32) {
	if o := c.objects[id]; o != nil {
		c.drop(id, o)
		c.event(1, 1, id) // wl_display.delete_id
	}
}

// drop forgets an object and what only it held.
func (c *client) drop(id uint32, o *object) {
	delete(c.objects, id)
	delete(c.outputs, id)
	switch o.kind {
	case "wl_surface":
		c.s.unmap(o.surface)
		o.surface.take(nil)
		o.surface.dead = true
	case "wl_subsurface", "xdg_popup", "xdg_toplevel":
		c.s.unmap(o.surface)
	case "wl_buffer":
		o.buffer.gone = true
		o.buffer.pool.release()
	case "wl_shm_pool":
		o.pool.release()
	case "wp_viewport":
		o.surface.view = viewport{}
	}
}

// surfaceOf returns the surface behind an object's ID.
func (c *client) surfaceOf(id uint32) (*surface, error) {
	if o := c.objects[id]; o != nil && o.surface != nil {
		return o.surface, nil
	}
	return nil, fmt.Errorf("%w: %d is no surface", errWire, id)
}

// request does what one request says. Kinds that have no effect here are
// passed over, but for their destructors, which free the ID.
func (c *client) request(id uint32, o *object, op int, a *args) error {
	switch o.kind {
	case "wl_display":
		return c.display(op, a)
	case "wl_registry":
		return c.bind(a)
	case "wl_compositor":
		return c.compositor(op, a)
	case "wl_shm", "wl_shm_pool", "wl_buffer":
		return c.shm(id, o, op, a)
	case "wl_surface":
		return c.surface(id, o.surface, op, a)
	case "wl_subcompositor", "wl_subsurface":
		return c.sub(id, o, op, a)
	case "wp_viewporter", "wp_viewport":
		return c.viewport(id, o, op, a)
	case "wp_presentation":
		return c.presentation(id, op, a)
	case "xdg_wm_base", "xdg_positioner", "xdg_surface", "xdg_toplevel", "xdg_popup":
		return c.shell(id, o, op, a)
	case "wl_seat": // without capabilities nobody has reason to ask for devices
		if op < 3 {
			_, err := c.add(a.uint(), "ignored")
			return err
		}
		c.remove(id)
	case "wl_data_device_manager":
		_, err := c.add(a.uint(), "ignored")
		return err
	case "wl_region", "wl_output":
		if op == 0 {
			c.remove(id)
		}
	}
	return nil
}

func (c *client) display(op int, a *args) error {
	n := a.uint()
	if op == 0 { // sync
		c.event(n, 0, c.serial)
		c.event(1, 1, n)
		return nil
	}
	if _, err := c.add(n, "wl_registry"); err != nil {
		return err
	}
	for i, g := range globals() {
		c.event(n, 0, uint32(i+1), g.kind, g.version)
	}
	return nil
}

func (c *client) bind(a *args) error {
	name, kind, version, n := a.uint(), a.text(), a.uint(), a.uint()
	list := globals()
	if name == 0 || int(name) > len(list) || list[name-1].kind != kind || version > list[name-1].version {
		return fmt.Errorf("%w: bound %q version %d", errWire, kind, version)
	}
	if _, err := c.add(n, kind); err != nil {
		return err
	}
	switch kind {
	case "wl_shm":
		c.event(n, 0, uint32(formatARGB))
		c.event(n, 0, uint32(formatXRGB))
	case "wl_output":
		c.describeOutput(n, version)
	case "wl_seat":
		c.event(n, 0, uint32(0))
		if version >= 2 {
			c.event(n, 1, "seat0")
		}
	case "wp_presentation":
		c.event(n, 0, uint32(1)) // CLOCK_MONOTONIC
	}
	return nil
}

func (c *client) describeOutput(n, version uint32) {
	g := c.s.cfg
	c.outputs[n] = true
	c.event(n, 0, 0, 0, g.W/4, g.H/4, 0, "tapedeck", "recording", 0)
	c.event(n, 1, uint32(3), g.W, g.H, g.FPS*1000)
	if version >= 2 {
		c.event(n, 3, g.Scale)
	}
	if version >= 4 {
		c.event(n, 4, "REC-1")
		c.event(n, 5, "recording")
	}
	if version >= 2 {
		c.event(n, 2)
	}
}

func (c *client) compositor(op int, a *args) error {
	n := a.uint()
	if op != 0 {
		_, err := c.add(n, "wl_region")
		return err
	}
	o, err := c.add(n, "wl_surface")
	if err == nil {
		o.surface = &surface{c: c, id: n, scale: 1}
		o.surface.stack = []*surface{o.surface}
	}
	return err
}

func (c *client) presentation(id uint32, op int, a *args) error {
	if op == 0 {
		c.remove(id)
		return nil
	}
	s, err := c.surfaceOf(a.uint())
	n := a.uint()
	if err != nil {
		return err
	}
	if _, err = c.add(n, "wp_presentation_feedback"); err == nil {
		s.pending.feedback = append(s.pending.feedback, n)
	}
	return err
}

// tick answers the frame callbacks and the presentation feedback of everything
// that was committed.
func (c *client) tick(at time.Duration, seq uint32) {
	for _, o := range c.objects {
		if o.kind == "wl_surface" {
			c.present(o.surface, at, seq)
		}
	}
}

// present answers a surface. The browser begins its pictures at the time it is
// told, plus any number of intervals.
func (c *client) present(s *surface, at time.Duration, seq uint32) {
	s.early = earlyAnswers
	c.answer(s, at)
	iv := c.s.interval()
	at -= iv - iv/Phase
	sec := uint64(at / time.Second)
	for _, fb := range s.feedback {
		for out := range c.outputs {
			c.event(fb, 0, out)
		}
		c.event(fb, 1, uint32(sec>>32), uint32(sec), uint32(at%time.Second), uint32(iv), uint32(0), seq, uint32(1))
		c.remove(fb)
	}
	s.feedback = s.feedback[:0]
}

// earlyAnswers is how many frame callbacks of a surface are answered between
// two ticks as soon as they come. The browser is paced by the interval it is
// told; a callback that it waits for leaves a picture lying in its queue, and
// with it every later one. The limit paces a browser that does not keep to the
// interval, and one that is on hold.
const earlyAnswers = 2

// answer tells a surface that it may draw again.
func (c *client) answer(s *surface, at time.Duration) {
	for _, cb := range s.callbacks {
		c.event(cb, 0, uint32(at/time.Millisecond))
		c.remove(cb)
	}
	s.callbacks = s.callbacks[:0]
}

// shm makes and frees shared memory.
func (c *client) shm(id uint32, o *object, op int, a *args) error {
	switch {
	case o.kind == "wl_shm":
		n, size := a.uint(), a.int()
		if len(c.fds) == 0 {
			return fmt.Errorf("%w: a pool without memory", errWire)
		}
		fd := c.fds[0]
		c.fds = c.fds[1:]
		p, err := openPool(fd, size)
		if err != nil {
			return err
		}
		x, err := c.add(n, "wl_shm_pool")
		if err != nil {
			p.release()
			return err
		}
		x.pool = p
	case o.kind == "wl_shm_pool" && op == 0:
		n := a.uint()
		b := &buffer{c: c, id: n, pool: o.pool, off: a.int(), w: a.int(), h: a.int(), stride: a.int(), format: a.uint()}
		if err := b.check(); err != nil {
			return err
		}
		x, err := c.add(n, "wl_buffer")
		if err != nil {
			return err
		}
		x.buffer = b
		o.pool.refs++
	case o.kind == "wl_shm_pool" && op == 1, o.kind == "wl_buffer":
		c.remove(id)
	case o.kind == "wl_shm_pool" && op == 2:
		return o.pool.resize(a.int())
	}
	return nil
}
