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
	canvas   *codec.Canvas
	scene    Scene
	tiles    []tile // by Z, then the overlays
	layered  bool   // whether any tile lies on another or lets something shine through
	pictures map[uint32]picture
	repaint  bool // everything is to be drawn again
	painted  bool // Paint changed the canvas since the last Draw
}

// Scene is what a canvas shows beside the users' pictures.
type Scene struct {
	Regions  []layout.Region
	Colour   codec.YUV
	Backdrop *codec.Canvas // of the canvas's size, in place of the colour; may be nil
	Overlays []Overlay     // above everything, in this order
}

// Overlay is a stamp at an even place, wholly on the canvas.
type Overlay struct {
	X, Y  int
	Stamp *codec.Stamp
}

// picture is what a user shows: a decoder's newest picture or a still one.
type picture struct {
	decoder *codec.VideoDecoder
	still   *codec.Canvas
	fit     bool // of the still one
}

// tile is one thing on the canvas.
type tile struct {
	layout.Region
	stamp *codec.Stamp // an overlay; nil: the picture of a user
	// scaled keeps the picture as it is drawn, for a tile that has to be drawn
	// again when something below it moves.
	scaled *codec.Canvas
	above  bool // there is a tile below
	fresh  bool // the picture is new
	dirty  bool // the tile has to be drawn
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
	return &Composer{
		canvas: c, scene: Scene{Colour: codec.RGB(0, 0, 0)}, pictures: map[uint32]picture{}, repaint: true,
	}, nil
}

// Canvas returns the canvas; it changes only in Paint and Draw.
func (c *Composer) Canvas() *codec.Canvas { return c.canvas }

// Arrange replaces the scene. What has no region any more vanishes with the
// next Draw. The backdrop and the stamps must stay open until the next Arrange.
func (c *Composer) Arrange(s Scene) {
	if s.Colour == c.scene.Colour && s.Backdrop == c.scene.Backdrop && slices.Equal(s.Regions, c.scene.Regions) && slices.Equal(s.Overlays, c.scene.Overlays) {
		return
	}
	c.scene, c.repaint, c.layered = s, true, false
	for i := range c.tiles {
		c.tiles[i].close()
	}
	clear(c.tiles)
	c.tiles = c.tiles[:0]
	for _, r := range s.Regions {
		c.tiles = append(c.tiles, tile{Region: r})
	}
	slices.SortStableFunc(c.tiles, func(a, b tile) int { return a.Z - b.Z })
	for _, o := range s.Overlays {
		w, h := o.Stamp.Size()
		c.tiles = append(c.tiles, tile{Region: layout.Region{X: o.X, Y: o.Y, W: w, H: h}, stamp: o.Stamp})
	}
	for i := range c.tiles {
		a := &c.tiles[i]
		for _, b := range c.tiles[:i] {
			a.above = a.above || a.Overlaps(b.Region)
		}
		c.layered = c.layered || a.above || a.stamp != nil || a.Alpha < 1
	}
}

// Show gives a user's region the pictures of d, which must have one already,
// and says that its newest picture has not been drawn yet. It is called again
// for every new picture. d must stay open until Hide or the next Show or Still
// of the user.
func (c *Composer) Show(uid uint32, d *codec.VideoDecoder) { c.show(uid, picture{decoder: d}) }

// Still gives a user's region a picture that stands still: cropped, or whole
// with black bars if fit.
func (c *Composer) Still(uid uint32, pic *codec.Canvas, fit bool) {
	c.show(uid, picture{still: pic, fit: fit})
}

func (c *Composer) show(uid uint32, p picture) {
	c.pictures[uid] = p
	for i := range c.tiles {
		if t := &c.tiles[i]; t.UID == uid && t.stamp == nil {
			t.dirty, t.fresh = true, true
		}
	}
}

// Paint draws the picture of a user that was shown last at once, while the
// processor's cache still holds it: Draw would fetch it from memory. It leaves to
// Draw what needs more: everything after Arrange or Hide, tiles that lie on each
// other, and pictures that cannot be drawn.
func (c *Composer) Paint(uid uint32) {
	if c.repaint || c.layered {
		return
	}
	for i := range c.tiles {
		t := &c.tiles[i]
		if t.UID != uid || !t.dirty {
			continue
		}
		if drawn, err := c.paint(t); err == nil {
			t.dirty, t.fresh = false, false
			c.painted = c.painted || drawn
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
		c.repaint = c.repaint || t.stamp == nil && t.UID == uid
	}
}

// Close frees the canvas.
func (c *Composer) Close() {
	for i := range c.tiles {
		c.tiles[i].close()
	}
	c.canvas.Close()
}

func (t *tile) close() {
	if t.scaled != nil {
		t.scaled.Close()
		t.scaled = nil
	}
}

// Colour converts "#RRGGBB"; what is no colour is black.
func Colour(s string) codec.YUV {
	if len(s) == 7 && s[0] == '#' {
		if v, err := strconv.ParseUint(s[1:], 16, 24); err == nil {
			return codec.RGB(uint8(v>>16), uint8(v>>8), uint8(v))
		}
	}
	return codec.RGB(0, 0, 0)
}
