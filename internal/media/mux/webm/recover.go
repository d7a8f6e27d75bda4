package webm

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"

	"tapedeck/internal/media"
)

// RecoverFile is a file whose writer was killed. *os.File and the spool's
// parts are such files.
type RecoverFile interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
}

// Recovered says what Recover made of a file.
type Recovered struct {
	Size   int64 // bytes
	Frames int
	First  media.Time // timestamp of the first frame, Config.Base included
	Dur    media.Time // from there to the end of the last frame
}

// ErrNothing: the file holds no whole frame of ours.
var ErrNothing = errors.New("webm: no whole frame")

// maxBlock bounds a frame that recovery believes in.
const maxBlock = 16 << 20

// Recover cuts a file after its last whole frame and finishes it as Close
// would. It trusts no byte. A file that was closed is finished again.
func Recover(f RecoverFile) (Recovered, error) {
	r, out, err := cut(f)
	if err != nil {
		return Recovered{}, err
	}
	tail := r.fin.cues()
	if _, err := f.WriteAt(tail, r.fin.end); err != nil {
		return Recovered{}, fmt.Errorf("webm: recover: %w", err)
	}
	out.Size = r.fin.end + int64(len(tail))
	return out, r.fin.finish(f, int64(len(tail)), out.First+out.Dur)
}

// Cut cuts a file after its last whole frame and leaves it as a Writer does that
// cannot go back to its header: without duration and cues.
func Cut(f interface {
	io.ReaderAt
	Truncate(size int64) error
}) (Recovered, error) {
	_, out, err := cut(f)
	return out, err
}

func cut(f interface {
	io.ReaderAt
	Truncate(size int64) error
}) (*reader, Recovered, error) {
	r := &reader{r: bufio.NewReaderSize(io.NewSectionReader(f, 0, 1<<62), 1<<16)}
	if err := r.head(); err != nil {
		return nil, Recovered{}, err
	}
	for r.element() {
	}
	if r.frames == 0 {
		return nil, Recovered{}, ErrNothing
	}
	if err := f.Truncate(r.fin.end); err != nil {
		return nil, Recovered{}, fmt.Errorf("webm: recover: %w", err)
	}
	return r, Recovered{
		Size:   r.fin.end,
		Frames: r.frames,
		First:  media.Time(r.first) * 1000,
		Dur:    media.Time(r.last+r.lastFrame()-r.first) * 1000,
	}, nil
}

// HeaderSize returns how many bytes of a file of ours come before its first
// cluster: what a player needs to set up a decoder.
func HeaderSize(f io.ReaderAt) (int64, error) {
	r := &reader{r: bufio.NewReader(io.NewSectionReader(f, 0, 1<<62))}
	err := r.head()
	return r.fin.end, err
}

// reader walks through a file of Writer's from its beginning. fin.end is
// always behind the last thing known to be whole.
type reader struct {
	r   *bufio.Reader
	pos int64
	fin finisher

	frames      int
	first, last int64 // ms
	steps       []int64
	packet      []byte // the newest Opus packet's first bytes
	data        []byte // the newest frame, for emit
	sound       bool
	codec       media.Codec

	emit   func(Unit) error // Read: takes every frame
	failed error            // what emit returned
}

// next reads an element's head.
func (r *reader) next() (id uint32, size int64, unknown, ok bool) {
	b, err := r.r.ReadByte()
	if err != nil || b == 0 {
		return 0, 0, false, false
	}
	n := bits.LeadingZeros8(b)
	if n > 3 {
		return 0, 0, false, false
	}
	id = uint32(b)
	for range n {
		c, err := r.r.ReadByte()
		if err != nil {
			return 0, 0, false, false
		}
		id = id<<8 | uint32(c)
	}
	if b, err = r.r.ReadByte(); err != nil || b == 0 {
		return 0, 0, false, false
	}
	l := bits.LeadingZeros8(b)
	v := uint64(b) &^ (0x80 >> l)
	all := v == 0x7F>>l
	for range l {
		c, err := r.r.ReadByte()
		if err != nil {
			return 0, 0, false, false
		}
		v = v<<8 | uint64(c)
		all = all && c == 0xFF
	}
	r.pos += int64(n + l + 2)
	return id, int64(v), all, v < 1<<55 || all
}

// skip passes n bytes over and reports whether they were all there.
func (r *reader) skip(n int64) bool {
	got, err := r.r.Discard(int(min(n, 1<<40)))
	r.pos += int64(got)
	return err == nil && int64(got) == n
}

func (r *reader) uint(n int64) (uint64, bool) {
	var b [8]byte
	if n < 1 || n > 8 {
		return 0, false
	}
	if _, err := io.ReadFull(r.r, b[8-n:]); err != nil {
		return 0, false
	}
	r.pos += n
	return binary.BigEndian.Uint64(b[:]), true
}

// head reads up to the first cluster.
func (r *reader) head() error {
	id, size, unknown, ok := r.next()
	if !ok || id != idEBML || unknown || !r.skip(size) {
		return ErrNothing
	}
	at := r.pos
	if id, _, _, ok = r.next(); !ok || id != idSegment || r.pos-at != elementHead {
		return ErrNothing
	}
	r.fin.segment = r.pos
	// Writer's layout: space for the seek head, Info, Tracks.
	if id, _, _, ok = r.next(); !ok || (id != idVoid && id != idSeekHead) || !r.skip(r.fin.segment+seekSpace-r.pos) {
		return ErrNothing
	}
	r.fin.info = r.pos
	if id, size, unknown, ok = r.next(); !ok || id != idInfo || unknown || !r.information(size) {
		return ErrNothing
	}
	r.fin.tracks = r.pos
	if id, size, unknown, ok = r.next(); !ok || id != idTracks || unknown || size > 1<<16 {
		return ErrNothing
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(r.r, b); err != nil {
		return ErrNothing
	}
	r.pos += size
	r.codec = codecOf(b)
	r.sound = r.codec == media.Opus
	r.fin.end = r.pos
	return nil
}

// information reads Info for the place of the duration.
func (r *reader) information(size int64) bool {
	end := r.pos + size
	for r.pos < end {
		at := r.pos
		id, n, unknown, ok := r.next()
		if !ok || unknown || r.pos+n > end {
			return false
		}
		if (id == idVoid || id == idDuration) && r.pos+n-at == durationSize {
			r.fin.duration = at
		}
		if !r.skip(n) {
			return false
		}
	}
	return r.pos == end
}

// element takes the next cluster head, timestamp or block and returns false at
// the first thing that is not whole or not ours.
func (r *reader) element() bool {
	at := r.pos
	id, size, unknown, ok := r.next()
	if !ok {
		return false
	}
	switch id {
	case idCluster:
		if r.pos-at != elementHead {
			return false
		}
		if id, size, _, ok = r.next(); !ok || id != idTimestamp || size != 8 {
			return false
		}
		ms, ok := r.uint(8)
		if !ok || ms > 1<<45 {
			return false
		}
		return r.block(at, int64(ms))
	case idSimpleBlock:
		return !unknown && r.fin.cluster != 0 && r.frame(size)
	}
	return false
}

// block takes the first block of the cluster that begins at byte at: a cluster
// without one is not kept.
func (r *reader) block(at, ms int64) bool {
	id, size, unknown, ok := r.next()
	if !ok || id != idSimpleBlock || unknown {
		return false
	}
	before := r.fin
	r.fin.end = at
	r.fin.beginCluster(ms)
	if !r.frame(size) {
		r.fin = before
		return false
	}
	return true
}

// frame takes a block's content.
func (r *reader) frame(size int64) bool {
	var h [6]byte
	if size < 4 || size > maxBlock {
		return false
	}
	n := min(size, int64(len(h)))
	if _, err := io.ReadFull(r.r, h[:n]); err != nil {
		return false
	}
	r.pos += n
	if h[0] != 0x81 || !r.rest(h[4:n], size-n) {
		return false
	}
	ms := r.fin.clusterTime + int64(int16(binary.BigEndian.Uint16(h[1:])))
	switch {
	case ms < r.last:
		return false
	case r.frames == 0:
		r.first = ms
	case len(r.steps) < 1024:
		r.steps = append(r.steps, ms-r.last)
	}
	r.last, r.frames, r.fin.end = ms, r.frames+1, r.pos
	r.packet = append(r.packet[:0], h[4:n]...)
	if r.emit != nil {
		r.failed = r.emit(Unit{Codec: r.codec, At: media.Time(ms) * 1000, Key: h[3]&0x80 != 0, Data: r.data})
	}
	return r.failed == nil
}

// lastFrame is how long the last frame lasts, ms.
func (r *reader) lastFrame() int64 {
	if r.sound {
		return opus.PacketDuration2(r.packet) / 48
	}
	if len(r.steps) == 0 {
		return 33
	}
	slices.Sort(r.steps)
	return r.steps[len(r.steps)/2]
}
