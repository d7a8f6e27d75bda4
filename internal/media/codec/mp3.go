package codec

/*
#include "mx.h"
*/
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"
)

// MP3Encoder encodes interleaved float samples to MPEG-1/2 layer III frames,
// each with its header, so that a file is just their sequence.
type MP3Encoder struct {
	aac     AACEncoder // the same machine with another codec in it
	samples int
}

// NewMP3Encoder opens an encoder for rate 48000, 32000 or 16000 Hz, 1 or 2
// channels and bitrate in bit/s.
func NewMP3Encoder(rate, channels, bitrate int) (*MP3Encoder, error) {
	if rate > 48000 || bitrate > 320000 {
		return nil, fmt.Errorf("codec: MP3 at %d Hz, %d bit/s", rate, bitrate)
	}
	e := &MP3Encoder{aac: AACEncoder{channels: channels}}
	op := fmt.Sprintf("open MP3 encoder of %d channels at %d Hz, %d bit/s", channels, rate, bitrate)
	if err := check(op, C.mx_mp3_open(&e.aac.p, C.int(rate), C.int(channels), C.int(bitrate))); err != nil {
		return nil, err
	}
	e.aac.cleanup = runtime.AddCleanup(&e.aac, func(p *C.mx_enc) { C.mx_enc_free(p) }, e.aac.p)
	e.samples = int(C.mx_enc_frame_size(e.aac.p))
	e.aac.padding = int(C.mx_enc_padding(e.aac.p))
	return e, nil
}

// FrameSize returns the samples a channel that Encode takes.
func (e *MP3Encoder) FrameSize() int { return e.samples }

// Priming returns how many samples a channel come before the first input
// sample: decoded frames begin that much earlier.
func (e *MP3Encoder) Priming() int { return e.aac.Priming() }

// Encode takes FrameSize samples a channel and returns the frames that are
// finished.
func (e *MP3Encoder) Encode(pcm []float32) ([][]byte, error) {
	if e.aac.p == nil {
		return nil, ErrClosed
	}
	if len(pcm) != e.samples*e.aac.channels {
		return nil, fmt.Errorf("codec: %d samples for MP3, want %d", len(pcm), e.samples*e.aac.channels)
	}
	r := C.mx_aac_push(e.aac.p, (*C.float)(unsafe.Pointer(unsafe.SliceData(pcm))), C.int(e.samples))
	runtime.KeepAlive(e)
	if err := check("encode MP3", r); err != nil {
		return nil, err
	}
	return e.aac.pull()
}

// Flush returns the frames still inside. Nothing can be encoded afterwards.
func (e *MP3Encoder) Flush() ([][]byte, error) { return e.aac.Flush() }

// Close frees the encoder.
func (e *MP3Encoder) Close() { e.aac.Close() }
