package pulse

import (
	"encoding/binary"
	"errors"
)

// The arguments of a command are tagged values (PulseAudio's tagstruct.h), all
// in network byte order.
const (
	tagString  = 't'
	tagNull    = 'N'
	tagU32     = 'L'
	tagU64     = 'R'
	tagS64     = 'r'
	tagSpec    = 'a'
	tagBlob    = 'x'
	tagTrue    = '1'
	tagFalse   = '0'
	tagTime    = 'T'
	tagUsec    = 'U'
	tagMap     = 'm'
	tagVolumes = 'v'
	tagProps   = 'P'
)

var errTag = errors.New("pulse: a command that cannot be read")

// spec is a sample format.
type spec struct {
	format   byte // formatS16LE ...
	channels byte
	rate     uint32 // Hz
}

// Sample formats (sample.h).
const (
	formatU8    = 0
	formatS16LE = 3
	formatF32LE = 5
)

// size returns bytes of a frame, 0 for formats we do not take.
func (s spec) size() int {
	switch s.format {
	case formatS16LE:
		return 2 * int(s.channels)
	case formatF32LE:
		return 4 * int(s.channels)
	}
	return 0
}

// writer appends tagged values.
type writer struct{ b []byte }

func (w *writer) u32(v uint32) { w.b = binary.BigEndian.AppendUint32(append(w.b, tagU32), v) }
func (w *writer) s64(v int64) {
	w.b = binary.BigEndian.AppendUint64(append(w.b, tagS64), uint64(v))
}
func (w *writer) u64(v uint64)  { w.b = binary.BigEndian.AppendUint64(append(w.b, tagU64), v) }
func (w *writer) usec(v uint64) { w.b = binary.BigEndian.AppendUint64(append(w.b, tagUsec), v) }
func (w *writer) text(s string) { w.b = append(append(append(w.b, tagString), s...), 0) }
func (w *writer) null()         { w.b = append(w.b, tagNull) }
func (w *writer) flag(v bool) {
	t := byte(tagFalse)
	if v {
		t = tagTrue
	}
	w.b = append(w.b, t)
}
func (w *writer) spec(s spec) {
	w.b = binary.BigEndian.AppendUint32(append(w.b, tagSpec, s.format, s.channels), s.rate)
}

// channels is a channel map of mono or front left and right.
func (w *writer) channels(n byte) {
	w.b = append(w.b, tagMap, n)
	if n == 1 {
		w.b = append(w.b, 0)
		return
	}
	for i := range n {
		w.b = append(w.b, 1+i)
	}
}

// volumes are all at 100 %.
func (w *writer) volumes(n byte) {
	w.b = append(w.b, tagVolumes, n)
	for range n {
		w.b = binary.BigEndian.AppendUint32(w.b, volumeNorm)
	}
}
func (w *writer) time(sec, usec uint32) {
	w.b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(append(w.b, tagTime), sec), usec)
}
func (w *writer) noProps() { w.b = append(w.b, tagProps, tagNull) }

const volumeNorm = 0x10000

// reader takes tagged values apart. After a mistake everything is zero and bad
// is set.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(tag byte, n int) []byte {
	if r.bad || len(r.b) < 1+n || r.b[0] != tag {
		r.bad = true
		return make([]byte, n)
	}
	p := r.b[1 : 1+n]
	r.b = r.b[1+n:]
	return p
}

func (r *reader) u32() uint32 { return binary.BigEndian.Uint32(r.take(tagU32, 4)) }

func (r *reader) flag() bool {
	if !r.bad && len(r.b) > 0 && (r.b[0] == tagTrue || r.b[0] == tagFalse) {
		v := r.b[0] == tagTrue
		r.b = r.b[1:]
		return v
	}
	r.bad = true
	return false
}

func (r *reader) spec() spec {
	p := r.take(tagSpec, 6)
	return spec{p[0], p[1], binary.BigEndian.Uint32(p[2:])}
}

func (r *reader) time() (sec, usec uint32) {
	p := r.take(tagTime, 8)
	return binary.BigEndian.Uint32(p), binary.BigEndian.Uint32(p[4:])
}

// text returns a string; null is "".
func (r *reader) text() string {
	if !r.bad && len(r.b) > 0 && r.b[0] == tagNull {
		r.b = r.b[1:]
		return ""
	}
	if !r.bad && len(r.b) > 0 && r.b[0] == tagString {
		for i, c := range r.b[1:] {
			if c == 0 {
				s := string(r.b[1 : 1+i])
				r.b = r.b[2+i:]
				return s
			}
		}
	}
	r.bad = true
	return ""
}

// channelMap skips a channel map.
func (r *reader) channelMap() {
	if len(r.b) >= 2 {
		r.take(tagMap, 1+int(r.b[1]))
		return
	}
	r.bad = true
}
