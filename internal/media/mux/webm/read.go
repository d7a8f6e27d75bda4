package webm

import (
	"bufio"
	"bytes"
	"io"
	"slices"

	"tapedeck/internal/media"
)

// Unit is one frame of a slice that is read back: a whole frame of VP8, VP9 or
// AV1, or one packet of Opus. Data is valid until the next call.
type Unit struct {
	Codec media.Codec
	At    media.Time // as written, Config.Base included; whole milliseconds
	Key   bool
	Data  []byte
}

// Read hands every whole frame of a file that Writer wrote to emit, in the
// order of the file. It trusts no byte: what does not make sense ends it, as a
// torn end does. The error is ErrNothing when the file is none of Writer's, or
// emit's.
func Read(in io.Reader, emit func(Unit) error) error {
	r := &reader{r: bufio.NewReaderSize(in, 1<<16), emit: emit}
	if err := r.head(); err != nil {
		return err
	}
	for r.element() {
	}
	return r.failed
}

// codecOf finds the codec ID in a track's description.
func codecOf(tracks []byte) media.Codec {
	for _, c := range []media.Codec{media.VP8, media.VP9, media.AV1, media.Opus} {
		if id, _ := codecIDs(c); bytes.Contains(tracks, []byte(id)) {
			return c
		}
	}
	return media.Unknown
}

// rest passes the rest of a block over, or keeps all of its content for emit.
func (r *reader) rest(begun []byte, n int64) bool {
	if r.emit == nil {
		return r.skip(n)
	}
	r.data = append(r.data[:0], begun...)
	r.data = slices.Grow(r.data, int(min(n, 1<<20)))
	for n > 0 { // grows with what is really there, not with what is claimed
		step := min(n, 1<<20)
		at := len(r.data)
		r.data = append(r.data, make([]byte, step)...)
		if _, err := io.ReadFull(r.r, r.data[at:]); err != nil {
			return false
		}
		r.pos += step
		n -= step
	}
	return true
}
