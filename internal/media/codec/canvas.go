package codec

/*
#cgo noescape mx_canvas_rgba
#cgo nocallback mx_canvas_rgba
#cgo nocallback mx_draw_dec
#cgo nocallback mx_draw_canvas
#cgo nocallback mx_canvas_fill
#include "mx.h"
*/
import "C"

import (
	"fmt"
	"math"
	"runtime"
	"unsafe"
)

// YUV is a colour of limited-range BT.601.
type YUV [3]byte

// RGB converts an 8-bit colour (ITU-R BT.601, limited range).
func RGB(r, g, b uint8) YUV {
	fr, fg, fb := float64(r)/255, float64(g)/255, float64(b)/255
	y := 0.299*fr + 0.587*fg + 0.114*fb
	return YUV{
		byte(math.Round(16 + 219*y)),
		byte(math.Round(128 + 224*(fb-y)/1.772)),
		byte(math.Round(128 + 224*(fr-y)/1.402)),
	}
}

// Canvas is a picture to draw on: I420, limited-range BT.601.
type Canvas struct {
	p       *C.mx_canvas
	w, h    int
	cleanup runtime.Cleanup
}

// NewCanvas makes a black canvas of w x h pixels, each 1..8192.
func NewCanvas(w, h int) (*Canvas, error) {
	c := &Canvas{w: w, h: h}
	if w < 1 || h < 1 || w > 8192 || h > 8192 {
		return nil, fmt.Errorf("codec: canvas of %dx%d", w, h)
	}
	if err := check("make canvas", C.mx_canvas_new(&c.p, C.int(w), C.int(h))); err != nil {
		return nil, err
	}
	c.cleanup = runtime.AddCleanup(c, func(p *C.mx_canvas) { C.mx_canvas_free(p) }, c.p)
	return c, nil
}

// NewCanvasRGBA makes a canvas from 8-bit R, G, B, A samples, stride bytes a
// row. Alpha is ignored.
func NewCanvasRGBA(pix []byte, w, h, stride int) (*Canvas, error) {
	c, err := NewCanvas(w, h)
	if err != nil {
		return nil, err
	}
	if len(pix) > math.MaxInt32 || stride > math.MaxInt32 || stride < 0 || len(pix) == 0 {
		c.Close()
		return nil, fmt.Errorf("codec: picture of %d bytes with rows of %d", len(pix), stride)
	}
	r := C.mx_canvas_rgba(c.p, bytePtr(pix), C.int(len(pix)), C.int(stride))
	if err := check("convert picture", r); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Size returns the canvas's size in pixels.
func (c *Canvas) Size() (w, h int) { return c.w, c.h }

// Fill paints a rectangle. Its edges must be even and inside the canvas, as
// for all drawing here.
func (c *Canvas) Fill(x, y, w, h int, colour YUV) error {
	if c.p == nil {
		return ErrClosed
	}
	r := C.mx_canvas_fill(c.p, C.int(x), C.int(y), C.int(w), C.int(h), C.int(colour[0]), C.int(colour[1]), C.int(colour[2]))
	runtime.KeepAlive(c)
	return check("fill", r)
}

// Draw scales the newest picture of d into a rectangle: cropped to fill it, or
// whole with black bars if fit. It fails if d has no picture yet.
func (c *Canvas) Draw(d *VideoDecoder, x, y, w, h int, fit bool) error {
	return c.Blend(d, x, y, w, h, fit, 1)
}

// Blend is Draw with an opacity of 0..1.
func (c *Canvas) Blend(d *VideoDecoder, x, y, w, h int, fit bool, alpha float64) error {
	if c.p == nil || d.p == nil {
		return ErrClosed
	}
	r := C.mx_draw_dec(c.p, d.p, C.int(x), C.int(y), C.int(w), C.int(h), cbool(fit), opacity(alpha))
	runtime.KeepAlive(c)
	runtime.KeepAlive(d)
	return check("draw", r)
}

// DrawCanvas is Blend with another canvas as the picture.
func (c *Canvas) DrawCanvas(src *Canvas, x, y, w, h int, fit bool, alpha float64) error {
	if c.p == nil || src.p == nil {
		return ErrClosed
	}
	r := C.mx_draw_canvas(c.p, src.p, C.int(x), C.int(y), C.int(w), C.int(h), cbool(fit), opacity(alpha))
	runtime.KeepAlive(c)
	runtime.KeepAlive(src)
	return check("draw", r)
}

// CopyFrom copies a canvas of the same size.
func (c *Canvas) CopyFrom(src *Canvas) error {
	if c.p == nil || src.p == nil {
		return ErrClosed
	}
	r := C.mx_canvas_copy(c.p, src.p)
	runtime.KeepAlive(c)
	runtime.KeepAlive(src)
	return check("copy canvas", r)
}

// Plane returns plane 0 (Y), 1 (Cb) or 2 (Cr) and its stride in bytes. The
// slice is the canvas's own memory: it dies with Close.
func (c *Canvas) Plane(i int) ([]byte, int) {
	if c.p == nil {
		return nil, 0
	}
	var stride, rows C.int
	p := C.mx_canvas_plane(c.p, C.int(i), &stride, &rows)
	if p == nil {
		return nil, 0
	}
	return view(p, stride*rows), int(stride)
}

// Close frees the canvas.
func (c *Canvas) Close() {
	if c.p != nil {
		c.cleanup.Stop()
		C.mx_canvas_free(c.p)
		c.p = nil
	}
}

// JPEG encodes the canvas as a full-range JPEG. quality is the quantiser scale,
// 2 (best in practice) to 31.
func JPEG(c *Canvas, quality int) ([]byte, error) {
	if c.p == nil {
		return nil, ErrClosed
	}
	var p *C.uint8_t
	var n C.int
	r := C.mx_jpeg(c.p, C.int(quality), &p, &n)
	runtime.KeepAlive(c)
	if err := check("encode JPEG", r); err != nil {
		return nil, err
	}
	defer C.mx_free(unsafe.Pointer(p))
	return append([]byte(nil), view(p, n)...), nil
}

func cbool(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

// opacity maps 0..1 to 0..256.
func opacity(a float64) C.int {
	if !(a > 0) {
		return 0
	}
	return C.int(math.Round(min(a, 1) * 256))
}
