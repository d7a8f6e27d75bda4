package codec

/*
#cgo noescape mx_adec_push
#cgo nocallback mx_adec_push
#include "mx.h"
*/
import "C"

import (
	"errors"
	"runtime"
	"unsafe"
)

// AACDecoder decodes raw AAC-LC frames without ADTS headers.
type AACDecoder struct {
	p       *C.mx_adec
	cleanup runtime.Cleanup
}

// NewAACDecoder opens a decoder for an AudioSpecificConfig (ISO/IEC 14496-3,
// 1.6.2.1).
func NewAACDecoder(config []byte) (*AACDecoder, error) {
	if len(config) == 0 {
		return nil, errors.New("codec: AAC decoder without a configuration")
	}
	d := &AACDecoder{}
	err := check("open AAC decoder", C.mx_adec_open(&d.p, (*C.uint8_t)(unsafe.SliceData(config)), C.int(len(config))))
	if err != nil {
		return nil, err
	}
	d.cleanup = runtime.AddCleanup(d, func(p *C.mx_adec) { C.mx_adec_free(p) }, d.p)
	return d, nil
}

// Sound is decoded sound: interleaved samples, -1..1, valid until the
// decoder's next call.
type Sound struct {
	PCM            []float32
	Channels, Rate int // Rate in Hz
}

// Decode decodes one frame. The sound of frame k comes out with frame k; the
// first frame of a stream holds the encoder's priming.
func (d *AACDecoder) Decode(frame []byte) (Sound, error) {
	if d.p == nil {
		return Sound{}, ErrClosed
	}
	if len(frame) == 0 {
		return Sound{}, errors.New("codec: empty AAC frame")
	}
	var pcm *C.float
	var channels, rate C.int
	n := C.mx_adec_push(d.p, (*C.uint8_t)(unsafe.SliceData(frame)), C.int(len(frame)), &pcm, &channels, &rate)
	runtime.KeepAlive(d)
	if err := check("decode AAC", n); err != nil || n == 0 {
		return Sound{}, err
	}
	return Sound{
		PCM:      unsafe.Slice((*float32)(unsafe.Pointer(pcm)), int(n*channels)),
		Channels: int(channels), Rate: int(rate),
	}, nil
}

// Close frees the decoder.
func (d *AACDecoder) Close() {
	if d.p != nil {
		d.cleanup.Stop()
		C.mx_adec_free(d.p)
		d.p = nil
	}
}
