package codec

/*
#cgo noescape mx_canvas_bgrx
#cgo nocallback mx_canvas_bgrx
#include "mx.h"
*/
import "C"

import (
	"fmt"
	"math"
	"runtime"
)

// DrawBGRX converts a block of B, G, R, X bytes, stride bytes a row, into the
// rectangle x, y, w, h, whose edges are even. pix may be memory of another
// process.
func (c *Canvas) DrawBGRX(pix []byte, stride, x, y, w, h int) error {
	if c.p == nil {
		return ErrClosed
	}
	if stride < 0 || stride > math.MaxInt32 || max(x, y, w, h) > math.MaxInt16 || min(x, y, w, h) < 0 || len(pix) == 0 {
		return fmt.Errorf("codec: block of %d bytes with rows of %d", len(pix), stride)
	}
	r := C.mx_canvas_bgrx(c.p, bytePtr(pix), C.int64_t(len(pix)), C.int(stride), C.int(x), C.int(y), C.int(w), C.int(h))
	runtime.KeepAlive(c)
	return check("draw page", r)
}
