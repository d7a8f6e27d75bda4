package e2ee

import (
	"bytes"
	"errors"

	"tapedeck/internal/media"
)

// Errors of Open.
var (
	// ErrInjected: the server made this frame; it carries nothing of the sender's.
	ErrInjected = errors.New("e2ee: a frame of the server's own")
	// ErrClosed: no key opens the frame, or it was changed on the way.
	ErrClosed = errors.New("e2ee: the frame does not open with this key")
	// ErrShort: the frame is too short to be an encrypted one.
	ErrShort = errors.New("e2ee: the frame is not an encrypted one")
)

const (
	clearAudio = 1  // the first byte of an Opus packet
	clearKey   = 10 // the header of a VP8 key frame
	clearDelta = 3  // and of any other
	trailerLen = 2  // length of the IV and key index
	tagLen     = 16
)

// Opener opens the frames of one track.
type Opener struct {
	keys    *Keys
	codec   media.Codec
	trailer []byte // behind frames of the server's own
}

// NewOpener makes the opener of a track. trailer is what the server puts behind
// its own frames; it may be empty.
func NewOpener(keys *Keys, codec media.Codec, trailer []byte) *Opener {
	return &Opener{keys: keys, codec: codec, trailer: bytes.Clone(trailer)}
}

// Open returns the frame as the sender's encoder made it. A frame is a whole
// access unit as RTP carries it: H.264 as a byte stream with four-byte start
// codes. What holds no picture, such as parameter sets alone, is not encrypted
// and comes back as it is.
//
// An encrypted frame is a clear header, the sealed rest with its tag, the IV, the
// length of the IV and the index of the key, one byte each. The header is
// authenticated. In H.264 all that follows the header is escaped, so that no
// start code is in it.
func (o *Opener) Open(frame []byte) ([]byte, error) {
	if len(frame) == 0 {
		return frame, nil // nothing was sent
	}
	if len(o.trailer) > 0 && bytes.HasSuffix(frame, o.trailer) {
		return nil, ErrInjected
	}
	n, escaped, ok := o.clear(frame)
	if !ok {
		return frame, nil
	}
	header, rest := frame[:n], frame[n:]
	if escaped {
		rest = unescape(rest)
	}
	if len(rest) < tagLen+ivLen+trailerLen {
		return nil, ErrShort
	}
	end := len(rest) - trailerLen
	if rest[end] != ivLen {
		return nil, ErrShort
	}
	index := rest[end+1]
	plain, ok := o.keys.open(index, rest[end-ivLen:end], rest[:end-ivLen], header)
	if !ok {
		return nil, ErrClosed
	}
	return append(bytes.Clone(header), plain...), nil
}

// clear returns how much of the frame is not encrypted, and whether the rest is
// escaped. It reports false for a frame that is not encrypted at all.
func (o *Opener) clear(frame []byte) (n int, escaped, ok bool) {
	switch o.codec {
	case media.Opus:
		n = clearAudio
	case media.VP8:
		n = clearDelta
		if frame[0]&1 == 0 {
			n = clearKey
		}
	case media.H264:
		n, ok = firstSlice(frame, func(b byte) bool { return b&0x1f == 1 || b&0x1f == 5 })
		return n, true, ok
	case media.H265:
		n, ok = firstSlice(frame, func(b byte) bool {
			t := b >> 1 & 0x3f
			return t <= 9 || t >= 16 && t <= 21
		})
		return n, true, ok
	}
	return min(n, len(frame)), false, true
}

// firstSlice returns where the third byte of the first slice of a byte stream
// is (ITU-T H.264 and H.265, annex B).
func firstSlice(b []byte, slice func(header byte) bool) (int, bool) {
	at := 0
	for {
		i := bytes.Index(b[at:], []byte{0, 0, 1})
		if i < 0 {
			return 0, false
		}
		at += i + 3
		if at+2 > len(b) {
			return 0, false
		}
		if slice(b[at]) {
			return at + 2, true
		}
	}
}

// unescape takes out the bytes that keep start codes from appearing (ITU-T H.264
// 7.4.1: emulation_prevention_three_byte).
func unescape(b []byte) []byte {
	mark := []byte{0, 0, 3}
	i := bytes.Index(b, mark)
	if i < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for ; i >= 0; i = bytes.Index(b, mark) {
		out = append(out, b[:i+2]...)
		b = b[i+3:]
	}
	return append(out, b...)
}
