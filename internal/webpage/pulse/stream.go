package pulse

import (
	"encoding/binary"
	"math"
)

const (
	// slack is how late sound may be before a gap is made for it. A browser, or
	// this process, that stalls for less loses nothing: sound is asked for
	// faster until it has caught up.
	slack = Rate / 4
	// maxTarget bounds what is buffered, in frames.
	maxTarget = Rate
)

// attributes of a stream's buffer in bytes.
type attributes struct{ target, prebuf, min uint32 }

// within replaces what the client leaves open (all bits set) and what is out of
// reason.
func (a attributes) within(s spec) attributes {
	size := uint32(s.size())
	if a.target == none || a.target > maxTarget*size {
		a.target = maxTarget / 10 * size
	}
	a.target = max(size*Rate/100, a.target-a.target%size)
	if a.min == none || a.min > a.target {
		a.min = a.target / 4
	}
	a.min = max(size, a.min-a.min%size)
	if a.prebuf > a.target {
		a.prebuf = a.target
	}
	return a
}

func (a attributes) tell(w *writer) {
	w.u32(max(a.target, maxFrame))
	w.u32(a.target)
	w.u32(a.prebuf)
	w.u32(a.min)
}

// stream is one playback stream.
type stream struct {
	attributes
	c      *client
	id     uint32
	format spec

	corked  bool
	running bool
	buf     []byte
	at      int64 // position of the next frame that is played
	read    int64 // bytes played so far
	written int64 // bytes received so far
	asked   int64 // bytes asked for so far
}

// write takes sound of the browser.
func (st *stream) write(b []byte) {
	if len(st.buf)+len(b) > maxFrame {
		return // more than was ever asked for
	}
	st.buf = append(st.buf, b...)
	st.written += int64(len(b))
	if !st.running && !st.corked && len(st.buf) > 0 && uint32(len(st.buf)) >= st.prebuf {
		st.start(st.c.s.cfg.Clock())
	}
}

func (st *stream) start(now int64) {
	if st.running || st.corked {
		return
	}
	st.running, st.at = true, now
	w := message(cmdStarted, none)
	w.u32(st.id)
	st.c.send(w.b)
}

func (st *stream) cork(on bool) {
	st.corked = on
	if on {
		st.running = false
		return
	}
	if len(st.buf) > 0 && uint32(len(st.buf)) >= st.prebuf {
		st.start(st.c.s.cfg.Clock())
	}
	st.request()
}

func (st *stream) flush() {
	st.read += int64(len(st.buf))
	st.buf = st.buf[:0]
	st.request()
}

// play takes what is due at now and asks for more. It reports whether the
// stream is running.
func (st *stream) play(now int64) bool {
	if !st.running {
		return false
	}
	size := st.format.size()
	n := min(now-st.at, int64(len(st.buf)/size))
	if n > 0 {
		used := int(n) * size
		st.c.s.pcm = st.format.stereo(st.c.s.pcm[:0], st.buf[:used])
		st.c.s.cfg.Play(st.at, st.c.s.pcm)
		st.buf = st.buf[:copy(st.buf, st.buf[used:])]
		st.at += n
		st.read += int64(used)
	}
	if now-st.at > slack {
		st.at = now // nothing came for so long: a gap
	}
	st.request()
	return true
}

// request asks for as much as fits, if it is worth a message. Late sound is
// asked for in addition.
func (st *stream) request() {
	if st.corked {
		return
	}
	want := int64(st.target)
	if st.running {
		want += max(0, st.c.s.cfg.Clock()-st.at) * int64(st.format.size())
	}
	more := st.read + want - st.asked
	if more < int64(st.min) {
		return
	}
	more -= more % int64(st.format.size())
	st.asked += more
	w := message(cmdRequest, none)
	w.u32(st.id)
	w.u32(uint32(more))
	st.c.send(w.b)
}

// stereo appends frames as two channels of float.
func (s spec) stereo(out []float32, b []byte) []float32 {
	size, ch := s.size(), int(s.channels)
	sample := func(i int) float32 {
		if s.format == formatF32LE {
			return math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
		return float32(int16(binary.LittleEndian.Uint16(b[2*i:]))) / 32768
	}
	for f := range len(b) / size {
		l := sample(f * ch)
		r := l
		if ch > 1 {
			r = sample(f*ch + 1)
		}
		out = append(out, l, r)
	}
	return out
}
