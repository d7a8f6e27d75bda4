// Package compose draws the newest pictures of many users into the regions of
// one canvas. A tile is scaled only when its user has a new picture or the
// layout changed; everything else on the canvas stays as it is.
package compose

import (
	"fmt"
	"slices"
	"strconv"

	"tapedeck/internal/media/codec"
	"tapedeck/internal/media/layout"
)

// Composer owns a canvas. It is not safe for concurrent use.
type Composer struct {
	canvas     *codec.Canvas
	background codec.YUV
	tiles      []tile // by Z
	overlaps   bool   // whether any two tiles do
	pictures   map[uint32]*codec.VideoDecoder
	repaint    bool // everything is to be drawn again
}

type tile struct {
	layout.Region
	dirty bool
}

// New makes a composer with a canvas of w x h pixels, both even.
func New(w, h int) (*Composer, error) {
	if w%2 != 0 || h%2 != 0 {
		return nil, fmt.Errorf("compose: canvas of %dx%d has an odd side", w, h)
	}
	c, err := codec.NewCanvas(w, h)
	if err != nil {
		return nil, err
	}
	return &Composer{canvas: c, background: codec.RGB(0, 0, 0), pictures: map[uint32]*codec.VideoDecoder{}, repaint: true}, nil
}

// Canvas returns the canvas; it changes only in Draw.
func (c *Composer) Canvas() *codec.Canvas { return c.canvas }

// Arrange replaces the regions and the background colour. What has no region
// any more vanishes with the next Draw.
func (c *Composer) Arrange(regions []layout.Region, background codec.YUV) {
	same := background == c.background && len(regions) == len(c.tiles)
	for i := range c.tiles {
		same = same && c.tiles[i].Region == regions[i]
	}
	if same {
		return
	}
	c.background, c.repaint, c.overlaps = background, true, false
	c.tiles = c.tiles[:0]
	for _, r := range regions {
		c.tiles = append(c.tiles, tile{Region: r})
	}
	slices.SortStableFunc(c.tiles, func(a, b tile) int { return a.Z - b.Z })
	for i, a := range c.tiles {
		for _, b := range c.tiles[:i] {
			c.overlaps = c.overlaps || a.Overlaps(b.Region)
		}
	}
}

// Show gives a user's region the pictures of d, which must have one already,
// and says that its newest picture has not been drawn yet. It is called again
// for every new picture. d must stay open until Hide or the next Show of the
// user.
func (c *Composer) Show(uid uint32, d *codec.VideoDecoder) {
	c.pictures[uid] = d
	for i := range c.tiles {
		if c.tiles[i].UID == uid {
			c.tiles[i].dirty = true
		}
	}
}

// Hide leaves a user's region without a picture.
func (c *Composer) Hide(uid uint32) {
	if _, ok := c.pictures[uid]; !ok {
		return
	}
	delete(c.pictures, uid)
	for _, t := range c.tiles {
		c.repaint = c.repaint || t.UID == uid
	}
}

// Draw brings the canvas up to date and reports whether it changed. A picture
// that cannot be drawn leaves its tile as it was; the error names its user.
func (c *Composer) Draw() (changed bool, err error) {
	if c.repaint {
		w, h := c.canvas.Size()
		if err := c.canvas.Fill(0, 0, w, h, c.background); err != nil {
			return false, err
		}
		for i := range c.tiles {
			c.tiles[i].dirty = true
		}
	} else if c.overlaps {
		if err := c.spread(); err != nil {
			return false, err
		}
	}
	changed, c.repaint = c.repaint, false
	for i := range c.tiles {
		t := &c.tiles[i]
		if !t.dirty {
			continue
		}
		t.dirty = false
		d, ok := c.pictures[t.UID]
		if !ok {
			continue // the background, or what lies below, shows
		}
		changed = true
		if e := c.canvas.Blend(d, t.X, t.Y, t.W, t.H, t.Fit, t.Alpha); e != nil {
			err = fmt.Errorf("compose: user %s: %w", strconv.FormatUint(uint64(t.UID), 10), e)
		}
	}
	return changed, err
}

// spread marks what has to be drawn again because of its neighbours: what lies
// above a dirty tile, and under a translucent one everything down to the
// background, which it paints.
func (c *Composer) spread() error {
	for again := true; again; {
		again = false
		for i, a := range c.tiles {
			if !a.dirty {
				continue
			}
			for j := range c.tiles {
				b := &c.tiles[j]
				if !b.dirty && (j > i || a.Alpha < 1) && a.Overlaps(b.Region) {
					b.dirty, again = true, true
				}
			}
		}
	}
	for _, t := range c.tiles {
		if t.dirty && t.Alpha < 1 {
			if err := c.canvas.Fill(t.X, t.Y, t.W, t.H, c.background); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close frees the canvas.
func (c *Composer) Close() { c.canvas.Close() }

// Colour converts "#RRGGBB"; what is no colour is black.
func Colour(s string) codec.YUV {
	if len(s) == 7 && s[0] == '#' {
		if v, err := strconv.ParseUint(s[1:], 16, 24); err == nil {
			return codec.RGB(uint8(v>>16), uint8(v>>8), uint8(v))
		}
	}
	return codec.RGB(0, 0, 0)
}
