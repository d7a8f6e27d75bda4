// Package layout turns a layout of the API into pixel regions of a canvas. It
// is pure geometry: no pictures, no time, no I/O. The rules and their test
// vectors are those of the layout page of the specification (spec/layouts.md).
package layout

import (
	"math"
	"slices"

	"tapedeck/internal/session"
)

// MaxRegions is the largest number of users a canvas shows.
const MaxRegions = 17

// Values of mixedVideoLayout.
const (
	Floating = 0
	BestFit  = 1
	Vertical = 2
	Custom   = 3
	Speaker  = 100 // ours: who speaks is large, the others stand beside them as in Vertical
)

// Region is where one user is drawn: pixels from the canvas's top left corner,
// with even edges so that 4:2:0 chroma is never split and neighbours have no
// seam.
type Region struct {
	UID        uint32
	X, Y, W, H int
	Fit        bool    // the whole picture with black bars, else crop to fill
	Alpha      float64 // 0..1, 1 is opaque
	Z          int     // drawn in ascending order; equal Z do not overlap
}

// Overlaps reports whether the two regions share a pixel.
func (r Region) Overlaps(o Region) bool {
	return r.X < o.X+o.W && o.X < r.X+r.W && r.Y < o.Y+o.H && o.Y < r.Y+r.H
}

// box is a rectangle in fractions of the canvas.
type box struct{ x, y, w, h float64 }

// Place lays out users, given in the order in which they joined, on a canvas
// of w x h pixels. An odd w or h is taken as the even number below it. Users
// without a region are not in the result, nor are regions without a user or of
// no area. The result is sorted by Z.
func Place(l session.Layout, users []uint32, w, h int) []Region {
	c := canvas{w &^ 1, h &^ 1}
	if c.w <= 0 || c.h <= 0 || len(users) == 0 {
		return nil
	}
	switch l.Kind {
	case BestFit:
		return c.bestFit(users)
	case Vertical:
		return c.vertical(users, l.MaxUID, true)
	case Speaker:
		return c.vertical(users, l.MaxUID, false)
	case Custom:
		return c.custom(users, l.Regions)
	default:
		return c.floating(users)
	}
}

type canvas struct{ w, h int }

// put appends the region of b unless rounding leaves nothing of it. Edges are
// rounded, not sizes: cells that share an edge stay adjacent.
func (c canvas) put(to []Region, b box, r Region) []Region {
	left, right := even(b.x, c.w), even(b.x+b.w, c.w)
	top, bottom := even(b.y, c.h), even(b.y+b.h, c.h)
	if right <= left || bottom <= top {
		return to
	}
	r.X, r.Y, r.W, r.H = left, top, right-left, bottom-top
	return append(to, r)
}

// even scales a fraction to the nearest even pixel of 0..size.
func even(fraction float64, size int) int {
	if !(fraction > 0) { // also catches NaN
		return 0
	}
	if fraction >= 1 {
		return size
	}
	// A twelfth digit is far below a pixel; it keeps 0.25*4 style sums from
	// falling on the wrong side of a half.
	half := math.Round(fraction*float64(size)/2*1e9) / 1e9
	return min(int(math.Round(half))*2, size)
}

const (
	floatSize = 0.235 // width and height of a small window
	floatGap  = 0.012 // margin and gap: 4 sizes and 5 gaps fill the width
)

func (c canvas) floating(users []uint32) []Region {
	users = users[:min(len(users), MaxRegions)]
	out := c.put(nil, box{0, 0, 1, 1}, Region{UID: users[0], Alpha: 1})
	for i, uid := range users[1:] {
		b := box{
			x: floatGap + float64(i%4)*(floatSize+floatGap),
			y: 1 - float64(i/4+1)*(floatSize+floatGap), // rows stack upwards
			w: floatSize, h: floatSize,
		}
		out = c.put(out, b, Region{UID: uid, Alpha: 1, Z: 1})
	}
	return out
}

func (c canvas) bestFit(users []uint32) []Region {
	n := min(len(users), MaxRegions)
	cols, rows, left := 4, 4, 0.0
	cell := box{w: 0.25, h: 0.25}
	switch {
	case n == 1:
		cols, rows = 1, 1
	case n == 2:
		cols, rows = 2, 1
	case n <= 4:
		cols, rows = 2, 2
	case n <= 9:
		cols, rows = 3, 3
	case n == MaxRegions:
		// Four rows of four between two side bands, the last one below them.
		cols, rows, left = 4, 5, 0.1
	}
	cell.w, cell.h = 1/float64(cols), 1/float64(rows)
	if n == MaxRegions {
		cell.w = 0.2
	}
	var out []Region
	for i, uid := range users[:n] {
		cell.x, cell.y = left+float64(i%cols)*cell.w, float64(i/cols)*cell.h
		if i == MaxRegions-1 {
			cell.x = 0.4
		}
		out = c.put(out, cell, Region{UID: uid, Alpha: 1})
	}
	return out
}

// tier is one row of the table of the vertical layout.
type tier struct {
	small  int     // up to this many small windows
	w, h   float64 // of a small window
	large  float64 // width of the large one
	column int     // small windows a column
}

func tiers(small int) tier {
	for _, t := range [...]tier{
		{4, 1. / 5, 1. / 4, 4. / 5, 4},
		{6, 1. / 7, 1. / 6, 6. / 7, 6},
		{8, 1. / 9, 1. / 8, 8. / 9, 8},
	} {
		if small <= t.small {
			return t
		}
	}
	return tier{16, 1. / 10, 1. / 8, 4. / 5, 8}
}

// vertical shows all of the large picture if fit, else it is cropped.
func (c canvas) vertical(users []uint32, large uint32, fit bool) []Region {
	if len(users) == 1 && (large == 0 || !fit) {
		return c.put(nil, box{0, 0, 1, 1}, Region{UID: users[0], Alpha: 1, Fit: fit})
	}
	var out []Region
	small := slices.DeleteFunc(slices.Clone(users), func(u uint32) bool { return u == large })
	small = small[:min(len(small), MaxRegions-1)]
	t := tiers(len(small))
	if large != 0 && slices.Contains(users, large) {
		out = c.put(out, box{0, 0, t.large, 1}, Region{UID: large, Alpha: 1, Fit: fit})
	}
	for i, uid := range small {
		// The first column of small windows is the right-most one.
		b := box{x: 1 - float64(i/t.column+1)*t.w, y: float64(i%t.column) * t.h, w: t.w, h: t.h}
		out = c.put(out, b, Region{UID: uid, Alpha: 1})
	}
	return out
}

// custom gives named boxes to their users and the others, in order, to users
// who have no named box. Later boxes lie above earlier ones.
func (c canvas) custom(users []uint32, boxes []session.CustomRegion) []Region {
	boxes = boxes[:min(len(boxes), MaxRegions)]
	named := make(map[uint32]bool, len(boxes))
	for _, b := range boxes {
		named[b.UID] = true
	}
	next := slices.DeleteFunc(slices.Clone(users), func(u uint32) bool { return named[u] })
	var out []Region
	for i, b := range boxes {
		uid := b.UID
		if uid == 0 {
			if len(next) == 0 {
				continue
			}
			uid, next = next[0], next[1:]
		} else if !slices.Contains(users, uid) {
			continue
		}
		if !(b.Alpha > 0) {
			continue // invisible, but its user keeps the place
		}
		out = c.put(out, box{b.X, b.Y, b.W, b.H}, Region{UID: uid, Fit: b.Fit, Alpha: min(b.Alpha, 1), Z: i})
	}
	return out
}
