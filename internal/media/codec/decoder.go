package codec

/*
#cgo noescape mx_dec_push
#cgo nocallback mx_dec_push
#cgo noescape mx_dec_size
#cgo nocallback mx_dec_size
#include "mx.h"
*/
import "C"

import (
	"fmt"
	"runtime"

	"tapedeck/internal/media"
)

// VideoDecoder decodes one video track and keeps its newest picture.
type VideoDecoder struct {
	p       *C.mx_dec
	codec   media.Codec
	cleanup runtime.Cleanup
}

// NewVideoDecoder opens a decoder for H.264, H.265, VP8, VP9 or AV1.
func NewVideoDecoder(c media.Codec) (*VideoDecoder, error) {
	var id C.int
	switch c {
	case media.H264:
		id = C.MX_H264
	case media.H265:
		id = C.MX_H265
	case media.VP8:
		id = C.MX_VP8
	case media.VP9:
		id = C.MX_VP9
	case media.AV1:
		id = C.MX_AV1
	default:
		return nil, fmt.Errorf("codec: no video decoder for %v", c)
	}
	d := &VideoDecoder{codec: c}
	if err := check("open "+c.String()+" decoder", C.mx_dec_open(&d.p, id)); err != nil {
		return nil, err
	}
	d.cleanup = runtime.AddCleanup(d, func(p *C.mx_dec) { C.mx_dec_free(p) }, d.p)
	return d, nil
}

// Decode takes one access unit as media.Unit.Data holds it and reports whether
// there is a new picture. After an error the last good picture stays and the
// decoder may go on with the next unit; ask the sender for a key frame.
func (d *VideoDecoder) Decode(data []byte) (fresh bool, err error) {
	if d.p == nil {
		return false, ErrClosed
	}
	if len(data) == 0 || len(data) > 1<<30 {
		return false, fmt.Errorf("codec: %v unit of %d bytes", d.codec, len(data))
	}
	r := C.mx_dec_push(d.p, bytePtr(data), C.int(len(data)))
	runtime.KeepAlive(d)
	if r < 0 {
		return false, check("decode "+d.codec.String(), r)
	}
	return r > 0, nil
}

// Size returns the size of the newest picture in pixels, 0, 0 before the first.
func (d *VideoDecoder) Size() (w, h int) {
	if d.p == nil {
		return 0, 0
	}
	var cw, ch C.int
	C.mx_dec_size(d.p, &cw, &ch)
	runtime.KeepAlive(d)
	return int(cw), int(ch)
}

// Close frees the decoder and its picture.
func (d *VideoDecoder) Close() {
	if d.p != nil {
		d.cleanup.Stop()
		C.mx_dec_free(d.p)
		d.p = nil
	}
}
