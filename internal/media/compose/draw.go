package compose

import (
	"fmt"
	"strconv"

	"tapedeck/internal/media/codec"
)

// Draw brings the canvas up to date and reports whether it changed since the last
// Draw. A picture
// that cannot be drawn leaves its tile as it was; the error names its user.
func (c *Composer) Draw() (changed bool, err error) {
	if c.repaint {
		w, h := c.canvas.Size()
		if err := c.clear(0, 0, w, h); err != nil {
			return false, err
		}
		for i := range c.tiles {
			c.tiles[i].dirty = true
		}
	} else if c.layered {
		if err := c.spread(); err != nil {
			return false, err
		}
	}
	changed = c.repaint || c.painted
	c.repaint, c.painted = false, false
	for i := range c.tiles {
		t := &c.tiles[i]
		if !t.dirty {
			continue
		}
		drawn, e := c.paint(t)
		t.dirty, t.fresh = false, false
		changed = changed || drawn
		if e != nil {
			err = fmt.Errorf("compose: user %s: %w", strconv.FormatUint(uint64(t.UID), 10), e)
		}
	}
	return changed, err
}

// clear shows the background in a rectangle.
func (c *Composer) clear(x, y, w, h int) error {
	if c.scene.Backdrop != nil {
		return c.canvas.Blit(c.scene.Backdrop, x, y, w, h)
	}
	return c.canvas.Fill(x, y, w, h, c.scene.Colour)
}

// paint draws a tile; drawn is false if there is nothing to draw: the
// background, or what lies below, shows.
func (c *Composer) paint(t *tile) (drawn bool, err error) {
	if t.stamp != nil {
		return true, c.canvas.Stamp(t.stamp, t.X, t.Y)
	}
	p, ok := c.pictures[t.UID]
	switch {
	case !ok:
		t.close()
		return false, nil
	case !t.above:
		return true, p.draw(c.canvas, t.X, t.Y, t.W, t.H, t.Fit, t.Alpha)
	}
	if t.scaled == nil {
		if t.scaled, err = codec.NewCanvas(t.W, t.H); err != nil {
			return true, err
		}
		t.fresh = true
	}
	if t.fresh {
		if err := p.draw(t.scaled, 0, 0, t.W, t.H, t.Fit, 1); err != nil {
			return true, err
		}
	}
	return true, c.canvas.DrawCanvas(t.scaled, t.X, t.Y, t.W, t.H, false, t.Alpha)
}

func (p picture) draw(to *codec.Canvas, x, y, w, h int, fit bool, alpha float64) error {
	if p.still != nil {
		return to.DrawCanvas(p.still, x, y, w, h, p.fit, alpha)
	}
	return to.Blend(p.decoder, x, y, w, h, fit, alpha)
}

// spread marks what has to be drawn again because of its neighbours: what lies
// above a dirty tile, and under what lets something shine through everything
// down to the first tile that hides the rest, or to the background.
func (c *Composer) spread() error {
	for again := true; again; {
		again = false
		for i := range c.tiles {
			if c.tiles[i].dirty && c.touch(i) {
				again = true
			}
		}
	}
	for i := range c.tiles {
		t := &c.tiles[i]
		if t.dirty && !c.opaque(t) && c.floor(i) < 0 {
			if err := c.clear(t.X, t.Y, t.W, t.H); err != nil {
				return err
			}
		}
	}
	return nil
}

// touch marks the neighbours of tile i and reports whether one was not yet.
func (c *Composer) touch(i int) (more bool) {
	a := &c.tiles[i]
	from := i + 1
	if !c.opaque(a) {
		from = max(c.floor(i), 0)
	}
	for j := from; j < len(c.tiles); j++ {
		if b := &c.tiles[j]; j != i && !b.dirty && a.Overlaps(b.Region) {
			b.dirty, more = true, true
		}
	}
	return more
}

// floor returns the highest tile below tile i that hides all that is under i,
// or -1.
func (c *Composer) floor(i int) int {
	a := &c.tiles[i]
	for j := i - 1; j >= 0; j-- {
		b := &c.tiles[j]
		if c.opaque(b) && b.X <= a.X && b.Y <= a.Y && b.X+b.W >= a.X+a.W && b.Y+b.H >= a.Y+a.H {
			return j
		}
	}
	return -1
}

// opaque reports whether nothing shines through a tile.
func (c *Composer) opaque(t *tile) bool {
	if t.stamp != nil || t.Alpha < 1 {
		return false
	}
	_, ok := c.pictures[t.UID]
	return ok
}
