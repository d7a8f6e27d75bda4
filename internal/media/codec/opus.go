package codec

/*
#cgo noescape opus_decode_float
#cgo nocallback opus_decode_float
#include <opus.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"
)

// OpusRate is the sample rate of decoded Opus, Hz.
const OpusRate = 48000

// maxOpusFrame is the longest packet: 120 ms (RFC 6716, 2.1.4).
const maxOpusFrame = 5760

// OpusDecoder decodes one Opus track with loss concealment.
type OpusDecoder struct {
	p        *C.OpusDecoder
	channels int
	buf      []float32
	cleanup  runtime.Cleanup
}

// NewOpusDecoder makes a decoder whose output has 1 or 2 channels, whatever
// the sender's number is.
func NewOpusDecoder(channels int) (*OpusDecoder, error) {
	if channels != 1 && channels != 2 {
		return nil, fmt.Errorf("codec: Opus decoder with %d channels", channels)
	}
	var e C.int
	p := C.opus_decoder_create(OpusRate, C.int(channels), &e)
	if p == nil {
		return nil, opusError("open Opus decoder", e)
	}
	d := &OpusDecoder{p: p, channels: channels, buf: make([]float32, maxOpusFrame*channels)}
	d.cleanup = runtime.AddCleanup(d, func(p *C.OpusDecoder) { C.opus_decoder_destroy(p) }, p)
	return d, nil
}

func opusError(op string, code C.int) error {
	return &Error{Op: op, Code: int(code), Text: C.GoString(C.opus_strerror(code))}
}

// Decode decodes one packet to interleaved samples, valid until the decoder's
// next call.
func (d *OpusDecoder) Decode(pkt []byte) ([]float32, error) {
	if len(pkt) == 0 {
		return nil, errors.New("codec: empty Opus packet")
	}
	return d.decode("decode Opus", pkt, maxOpusFrame, 0)
}

// Conceal makes up for a lost packet of that many samples a channel: what was
// heard last, fading out. samples is a multiple of 2.5 ms and at most 120 ms.
func (d *OpusDecoder) Conceal(samples int) ([]float32, error) {
	return d.decode("conceal Opus", nil, samples, 0)
}

// DecodeFEC restores a lost packet of that many samples a channel from the
// redundancy in the packet that follows it; without any it conceals. The
// following packet itself must still be decoded afterwards.
func (d *OpusDecoder) DecodeFEC(next []byte, samples int) ([]float32, error) {
	if len(next) == 0 {
		return nil, errors.New("codec: empty Opus packet")
	}
	return d.decode("restore Opus", next, samples, 1)
}

func (d *OpusDecoder) decode(op string, pkt []byte, samples int, fec C.int) ([]float32, error) {
	if d.p == nil {
		return nil, ErrClosed
	}
	if samples <= 0 || samples > maxOpusFrame || samples%120 != 0 || len(pkt) > 1<<20 {
		return nil, fmt.Errorf("codec: %s: %d samples from %d bytes", op, samples, len(pkt))
	}
	var data *C.uchar
	if len(pkt) > 0 {
		data = (*C.uchar)(unsafe.Pointer(unsafe.SliceData(pkt)))
	}
	out := (*C.float)(unsafe.Pointer(unsafe.SliceData(d.buf)))
	n := C.opus_decode_float(d.p, data, C.opus_int32(len(pkt)), out, C.int(samples), fec)
	runtime.KeepAlive(d)
	if n < 0 {
		return nil, opusError(op, n)
	}
	return d.buf[:int(n)*d.channels], nil
}

// OpusSamples returns how many samples a channel a packet holds, 0 if it is
// not Opus.
func OpusSamples(pkt []byte) int {
	if len(pkt) == 0 || len(pkt) > 1<<20 {
		return 0
	}
	n := C.opus_packet_get_nb_samples((*C.uchar)(unsafe.Pointer(unsafe.SliceData(pkt))), C.opus_int32(len(pkt)), OpusRate)
	return max(0, int(n))
}

// Close frees the decoder.
func (d *OpusDecoder) Close() {
	if d.p != nil {
		d.cleanup.Stop()
		C.opus_decoder_destroy(d.p)
		d.p = nil
	}
}
