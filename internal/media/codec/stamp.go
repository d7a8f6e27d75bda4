package codec

/*
#cgo noescape mx_canvas_rows
#cgo nocallback mx_canvas_rows
#cgo noescape mx_canvas_stamp
#cgo nocallback mx_canvas_stamp
#cgo nocallback mx_canvas_blit
#include "mx.h"
*/
import "C"

import (
	"fmt"
	"math"
	"runtime"
)

// SetRows converts 8-bit R, G, B, A samples, stride bytes a row, to the rows
// from y on. y is even, and so is rows unless they are the last ones. Alpha is
// ignored.
func (c *Canvas) SetRows(y int, pix []byte, stride, rows int) error {
	if c.p == nil {
		return ErrClosed
	}
	if len(pix) == 0 || len(pix) > math.MaxInt32 || stride > math.MaxInt32 || stride < 0 {
		return fmt.Errorf("codec: picture of %d bytes with rows of %d", len(pix), stride)
	}
	r := C.mx_canvas_rows(c.p, C.int(y), bytePtr(pix), C.int(len(pix)), C.int(stride), C.int(rows))
	runtime.KeepAlive(c)
	return check("convert picture", r)
}

// Blit copies a rectangle from a canvas of the same size.
func (c *Canvas) Blit(src *Canvas, x, y, w, h int) error {
	if c.p == nil || src.p == nil {
		return ErrClosed
	}
	r := C.mx_canvas_blit(c.p, src.p, C.int(x), C.int(y), C.int(w), C.int(h))
	runtime.KeepAlive(c)
	runtime.KeepAlive(src)
	return check("copy", r)
}

// Stamp is a picture with an opacity of its own for each pixel.
type Stamp struct {
	canvas *Canvas
	mask   []byte
}

// NewStamp makes a stamp of w x h pixels, both even, from 8-bit R, G, B, A
// samples that are not premultiplied, 4*w bytes a row.
func NewStamp(pix []byte, w, h int) (*Stamp, error) {
	if w%2 != 0 || h%2 != 0 || w < 2 || h < 2 || w > 8192 || h > 8192 || len(pix) < 4*w*h {
		return nil, fmt.Errorf("codec: stamp of %dx%d from %d bytes", w, h, len(pix))
	}
	c, err := NewCanvasRGBA(pix, w, h, 4*w)
	if err != nil {
		return nil, err
	}
	s := &Stamp{canvas: c, mask: make([]byte, w*h)}
	for i := range s.mask {
		s.mask[i] = pix[4*i+3]
	}
	return s, nil
}

// Size returns the stamp's size in pixels.
func (s *Stamp) Size() (w, h int) { return s.canvas.Size() }

// Stamp draws s with its top left corner at x, y, both even.
func (c *Canvas) Stamp(s *Stamp, x, y int) error {
	if c.p == nil || s.canvas.p == nil {
		return ErrClosed
	}
	r := C.mx_canvas_stamp(c.p, s.canvas.p, bytePtr(s.mask), C.int(len(s.mask)), C.int(x), C.int(y))
	runtime.KeepAlive(c)
	runtime.KeepAlive(s)
	return check("stamp", r)
}

// Close frees the stamp.
func (s *Stamp) Close() { s.canvas.Close() }
