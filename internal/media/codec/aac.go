package codec

/*
#cgo noescape mx_aac_push
#cgo nocallback mx_aac_push
#include "mx.h"
*/
import "C"

import (
	"bytes"
	"fmt"
	"runtime"
	"unsafe"
)

// AACFrame is the number of samples a channel in one AAC frame.
const AACFrame = 1024

// Behind stillFrames frames in which no sample reaches quiet, half a step of 16
// bits, all that an encoder remembers is silence: what it returned last goes on until
// something is to be heard again.
const (
	stillFrames = 4
	quiet       = 1.0 / 65536
)

// AACEncoder encodes interleaved float samples to raw AAC-LC frames.
type AACEncoder struct {
	p        *C.mx_enc
	channels int
	config   []byte
	padding  int
	still    int    // silent frames in a row that were encoded
	silence  []byte // what comes out then
	cleanup  runtime.Cleanup
}

// NewAACEncoder opens an encoder for rate Hz, 1 or 2 channels and bitrate in
// bit/s.
func NewAACEncoder(rate, channels, bitrate int) (*AACEncoder, error) {
	if rate > 96000 || bitrate > 512000 { // before they are cut to C's int
		return nil, fmt.Errorf("codec: AAC at %d Hz, %d bit/s", rate, bitrate)
	}
	e := &AACEncoder{channels: channels}
	op := fmt.Sprintf("open AAC encoder of %d channels at %d Hz, %d bit/s", channels, rate, bitrate)
	if err := check(op, C.mx_aac_open(&e.p, C.int(rate), C.int(channels), C.int(bitrate))); err != nil {
		return nil, err
	}
	e.cleanup = runtime.AddCleanup(e, func(p *C.mx_enc) { C.mx_enc_free(p) }, e.p)
	var x *C.uint8_t
	if n := C.mx_enc_extradata(e.p, &x); n > 0 {
		e.config = append([]byte(nil), view(x, n)...)
	}
	e.padding = int(C.mx_enc_padding(e.p))
	return e, nil
}

// Config returns the AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1).
func (e *AACEncoder) Config() []byte { return e.config }

// Priming returns how many samples of silence come before the first input
// sample: returned frame number k, from 0, begins at input sample
// k*AACFrame - Priming().
func (e *AACEncoder) Priming() int { return e.padding }

// Encode takes AACFrame samples a channel and returns the frames that are
// finished, without ADTS headers. The slices are the caller's.
func (e *AACEncoder) Encode(pcm []float32) ([][]byte, error) {
	if e.p == nil {
		return nil, ErrClosed
	}
	if len(pcm) != AACFrame*e.channels {
		return nil, fmt.Errorf("codec: %d samples for AAC, want %d", len(pcm), AACFrame*e.channels)
	}
	if !silent(pcm) {
		e.still, e.silence = 0, nil
	} else if e.silence != nil {
		return [][]byte{bytes.Clone(e.silence)}, nil
	} else {
		e.still++
	}
	r := C.mx_aac_push(e.p, (*C.float)(unsafe.Pointer(unsafe.SliceData(pcm))), AACFrame)
	runtime.KeepAlive(e)
	if err := check("encode AAC", r); err != nil {
		return nil, err
	}
	out, err := e.pull()
	if e.still >= stillFrames && len(out) == 1 {
		e.silence = bytes.Clone(out[0])
	}
	return out, err
}

func silent(pcm []float32) bool {
	for _, v := range pcm {
		if !(v > -quiet && v < quiet) {
			return false
		}
	}
	return true
}

// Flush returns the frames still inside. Nothing can be encoded afterwards.
func (e *AACEncoder) Flush() ([][]byte, error) {
	if e.p == nil {
		return nil, ErrClosed
	}
	e.silence = nil
	if err := check("flush AAC", C.mx_enc_flush(e.p)); err != nil {
		return nil, err
	}
	return e.pull()
}

func (e *AACEncoder) pull() (out [][]byte, err error) {
	for {
		var p *C.uint8_t
		var n, key C.int
		var pts C.int64_t
		r := C.mx_enc_pull(e.p, &p, &n, &pts, &key)
		runtime.KeepAlive(e)
		if err := check("encode AAC", r); err != nil {
			return nil, err
		}
		if r == 0 {
			return out, nil
		}
		out = append(out, append([]byte(nil), view(p, n)...))
	}
}

// Close frees the encoder.
func (e *AACEncoder) Close() {
	if e.p != nil {
		e.cleanup.Stop()
		C.mx_enc_free(e.p)
		e.p = nil
	}
}
