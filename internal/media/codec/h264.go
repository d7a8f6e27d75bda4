package codec

/*
#cgo nocallback mx_h264_push
#cgo noescape mx_enc_pull
#cgo nocallback mx_enc_pull
#include <stdlib.h>
#include "mx.h"
*/
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"
)

// EncoderConfig describes an H.264 stream.
type EncoderConfig struct {
	W, H    int    // pixels, even
	FPS     int    // 1..240
	Kbps    int    // target and peak over two seconds
	Quality string // "" or "s1": cheap; "high": about 1.5 times the cost, 0.4 dB better
	// Prompt returns every picture at once: for pictures that come seldom, or
	// that somebody waits for. It costs 0.3 dB.
	Prompt bool
}

// Encoded is one access unit.
type Encoded struct {
	Frame int64  // the number given to Encode
	Key   bool   // an IDR picture with SPS and PPS before it
	Data  []byte // Annex B without delimiters, valid until the encoder's next call
}

// keySeconds is the distance of key frames nobody asked for, which only serve
// seeking inside a slice.
const keySeconds = 5

// lookaheadPictures is how far macroblock-tree rate control looks ahead (ADR 0019).
const lookaheadPictures = 5

// H264Encoder encodes canvases with x264: no B-frames (so decoding order is
// presentation order), closed groups, one thread.
type H264Encoder struct {
	p        *C.mx_enc
	w, h     int
	sps, pps []byte // without start codes
	out      []Encoded
	data     []byte // backs out[i].Data
	cleanup  runtime.Cleanup

	fps    int
	skip   *skipper // nil: repeated pictures are encoded like all others
	pushed int64    // pictures given to x264
	ticks  []int64  // numbers of the pictures that have not come out
	calm   int      // how many of those given last are the same as the one before, and no key frames
}

// NewH264Encoder opens an encoder.
func NewH264Encoder(g EncoderConfig) (*H264Encoder, error) {
	preset := "superfast"
	switch g.Quality {
	case "", "s1":
	case "high":
		preset = "veryfast"
	default:
		return nil, fmt.Errorf("codec: unknown encoder quality %q", g.Quality)
	}
	lookahead := min(lookaheadPictures, max(1, g.FPS*2/3))
	if g.Prompt {
		lookahead = 0
	}
	cs := C.CString(preset)
	defer C.mx_free(unsafe.Pointer(cs))
	// At low frame rates the whole lookahead would hold back pictures for seconds.
	cfg := C.mx_h264_config{
		w: C.int(g.W), h: C.int(g.H), fps: C.int(g.FPS), kbps: C.int(g.Kbps),
		gop: C.int(keySeconds * g.FPS), lookahead: C.int(lookahead), preset: cs,
	}
	e := &H264Encoder{w: g.W, h: g.H, fps: g.FPS}
	op := fmt.Sprintf("open H.264 encoder %dx%d at %d fps, %d kbit/s", g.W, g.H, g.FPS, g.Kbps)
	err := check(op, C.mx_h264_open(&e.p, &cfg))
	if err != nil {
		return nil, err
	}
	e.cleanup = runtime.AddCleanup(e, func(p *C.mx_enc) { C.mx_enc_free(p) }, e.p)
	var x *C.uint8_t
	n := C.mx_enc_extradata(e.p, &x)
	e.sps, e.pps = parameterSets(append([]byte(nil), view(x, n)...))
	if e.sps == nil || e.pps == nil {
		e.Close()
		return nil, fmt.Errorf("codec: %s: no parameter sets", op)
	}
	if e.skip, err = newSkipper(e.sps, e.pps); err != nil {
		e.skip = nil // a build of x264 that does things its own way: dearer, not worse
	}
	return e, nil
}

// ParameterSets returns the stream's SPS and PPS without start codes. They do
// not change.
func (e *H264Encoder) ParameterSets() (sps, pps []byte) { return e.sps, e.pps }

// Encode takes the canvas as picture number frame, which must be larger than
// the last, and returns the access units that are finished: up to half a
// dozen pictures late. The canvas may be drawn on again afterwards. forceKey makes
// this picture an IDR picture.
func (e *H264Encoder) Encode(c *Canvas, frame int64, forceKey bool) ([]Encoded, error) {
	e.calm = 0
	return e.push(c, frame, forceKey)
}

// Repeat is Encode for a canvas that is the same as at the last call, without a
// forced key frame. Once everything that is still inside is the same as well,
// and has had a second to become sharp, it costs next to nothing: the picture is
// not encoded, a repetition is written in its place.
func (e *H264Encoder) Repeat(c *Canvas, frame int64) ([]Encoded, error) {
	if e.skip == nil || !e.skip.ready() || e.calm < len(e.ticks)+e.fps {
		e.calm++
		return e.push(c, frame, false)
	}
	if e.p == nil {
		return nil, ErrClosed
	}
	// All pictures inside are equal: any of them may come out later, and this
	// one now.
	e.ticks = append(e.ticks, frame)
	e.out = append(e.out[:0], Encoded{Frame: e.tick(), Data: e.skip.add()})
	return e.out, nil
}

// tick takes the number of the picture that comes out next.
func (e *H264Encoder) tick() int64 {
	t := e.ticks[0]
	e.ticks = e.ticks[:copy(e.ticks, e.ticks[1:])]
	return t
}

func (e *H264Encoder) push(c *Canvas, frame int64, forceKey bool) ([]Encoded, error) {
	if e.p == nil || c.p == nil {
		return nil, ErrClosed
	}
	r := C.mx_h264_push(e.p, c.p, C.int64_t(e.pushed), cbool(forceKey))
	runtime.KeepAlive(c)
	if err := check("encode H.264", r); err != nil {
		return nil, err
	}
	e.pushed++
	e.ticks = append(e.ticks, frame)
	return e.pull()
}

// Flush returns the pictures still inside. Nothing can be encoded afterwards.
func (e *H264Encoder) Flush() ([]Encoded, error) {
	if e.p == nil {
		return nil, ErrClosed
	}
	if err := check("flush H.264", C.mx_enc_flush(e.p)); err != nil {
		return nil, err
	}
	return e.pull()
}

func (e *H264Encoder) pull() ([]Encoded, error) {
	e.out, e.data = e.out[:0], e.data[:0]
	for {
		var p *C.uint8_t
		var n, key C.int
		var pts C.int64_t
		r := C.mx_enc_pull(e.p, &p, &n, &pts, &key)
		runtime.KeepAlive(e)
		if err := check("encode H.264", r); err != nil {
			return nil, err
		}
		if r == 0 {
			return e.out, nil
		}
		if len(e.ticks) == 0 {
			return nil, fmt.Errorf("codec: encode H.264: picture %d came out twice", int64(pts))
		}
		from := len(e.data)
		if key != 0 {
			e.data = append(append(e.data, 0, 0, 0, 1), e.sps...)
			e.data = append(append(e.data, 0, 0, 0, 1), e.pps...)
		}
		data := view(p, n)
		if e.skip != nil {
			data = e.skip.pass(data, key != 0)
		}
		e.data = append(e.data, data...)
		// Growing e.data later leaves this slice on the old array, unharmed.
		e.out = append(e.out, Encoded{Frame: e.tick(), Key: key != 0, Data: e.data[from:len(e.data):len(e.data)]})
	}
}

// Close frees the encoder.
func (e *H264Encoder) Close() {
	if e.p != nil {
		e.cleanup.Stop()
		C.mx_enc_free(e.p)
		e.p = nil
	}
}
