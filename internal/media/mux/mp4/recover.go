package mp4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"tapedeck/internal/media"
)

// RecoverFile is a file whose writer was killed. *os.File and the spool's
// parts are such files.
type RecoverFile interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	Sync() error
}

// Recovered says what Recover made of a file.
type Recovered struct {
	Size         int64      // bytes of the finished file
	Dur          media.Time // from the file's start to the end of its longest track
	Video, Audio int        // samples
	Whole        bool       // the file was finished already
}

// ErrNothing: the file holds no whole fragment of ours, there is nothing to keep.
var ErrNothing = errors.New("mp4: no whole fragment")

// Bounds on what is read into memory of boxes that a torn disk may have
// written. Writer's own boxes stay far below.
const (
	maxMoov      = 1 << 16
	maxMoof      = 8 << 20
	maxFragments = 1 << 20
)

// Recover cuts a file that Writer did not close after its last whole fragment
// and finishes it as Close would. It trusts no byte. A file that is finished
// is left as it is.
func Recover(f RecoverFile) (Recovered, error) {
	r := &reader{f: f}
	tracks, at, err := r.head()
	if err != nil {
		return Recovered{}, err
	}
	w := &Writer{tracks: tracks, opened: true}
	for range maxFragments {
		next, ok := r.fragment(at, tracks)
		if !ok {
			break
		}
		at = next
	}
	for _, t := range tracks {
		if t.video {
			w.video = t
		} else {
			w.audio = t
		}
	}
	v, a := w.Samples()
	if v+a == 0 {
		return Recovered{}, ErrNothing
	}
	out := Recovered{Dur: w.Dur(), Video: v, Audio: a}
	if size, ok := r.finished(at); ok {
		out.Size, out.Whole = size, true
		return out, nil
	}
	if err := f.Truncate(at); err != nil {
		return Recovered{}, fmt.Errorf("mp4: recover: %w", err)
	}
	w.f, w.off = &appender{f, at}, at
	if err := w.finish(); err != nil {
		return Recovered{}, err
	}
	out.Size = w.off
	return out, nil
}

// appender makes Write of WriteAt.
type appender struct {
	RecoverFile
	off int64
}

func (a *appender) Write(b []byte) (int, error) {
	n, err := a.WriteAt(b, a.off)
	a.off += int64(n)
	return n, err
}

// reader reads boxes at any place of a file.
type reader struct{ f io.ReaderAt }

// box returns the name and size of the box at off, which lies in the file whole
// if its last byte can be read.
func (r *reader) box(off int64) (name string, size int64, ok bool) {
	var h [16]byte
	if n, _ := r.f.ReadAt(h[:], off); n < 8 {
		return "", 0, false
	} else if size = int64(binary.BigEndian.Uint32(h[:])); size == 1 {
		if n < 16 {
			return "", 0, false
		}
		size = int64(binary.BigEndian.Uint64(h[8:]))
	}
	if size < 8 || off+size < off {
		return "", 0, false
	}
	var last [1]byte
	if n, _ := r.f.ReadAt(last[:], off+size-1); n != 1 {
		return "", 0, false
	}
	return string(h[4:8]), size, true
}

// load returns the content of a whole box of the given name.
func (r *reader) load(off int64, name string, limit int64) (body []byte, next int64, ok bool) {
	got, size, ok := r.box(off)
	if !ok || got != name || size > limit {
		return nil, 0, false
	}
	b := make([]byte, size-8)
	if n, _ := r.f.ReadAt(b, off+8); n != len(b) {
		return nil, 0, false
	}
	return b, off + size, true
}

// head reads the empty index and returns the tracks and where fragments begin.
func (r *reader) head() ([]*track, int64, error) {
	name, size, ok := r.box(0)
	if !ok || name != "ftyp" || size != ftypSize {
		return nil, 0, ErrNothing
	}
	moov, next, ok := r.load(ftypSize+placeholder, "moov", maxMoov)
	if !ok {
		return nil, 0, ErrNothing
	}
	var tracks []*track
	for c := range children(moov) {
		if c.name != "trak" {
			continue
		}
		t, ok := parseTrak(c.body)
		if !ok || len(tracks) == 2 || (len(tracks) == 1 && tracks[0].video == t.video) {
			return nil, 0, ErrNothing
		}
		tracks = append(tracks, t)
	}
	if len(tracks) == 0 {
		return nil, 0, ErrNothing
	}
	return tracks, next, nil
}

// fragment adds the samples of the fragment at off, if it is whole and makes sense.
func (r *reader) fragment(off int64, tracks []*track) (next int64, ok bool) {
	moof, data, ok := r.load(off, "moof", maxMoof)
	if !ok {
		return 0, false
	}
	name, size, ok := r.box(data)
	if !ok || name != "mdat" {
		return 0, false
	}
	next = data + size
	runs, ok := parseMoof(moof, tracks)
	if !ok {
		return 0, false
	}
	at := data + 8
	for _, run := range runs {
		if off+run.offset != at {
			return 0, false
		}
		at += run.bytes
	}
	if at != next {
		return 0, false
	}
	for _, run := range runs {
		run.track.append(run, off+run.offset)
	}
	return next, true
}

// finished reports whether Close was done: the placeholder covers everything
// up to a whole index at the end of the file.
func (r *reader) finished(at int64) (size int64, ok bool) {
	name, length, ok := r.box(ftypSize)
	if !ok || name != "mdat" || ftypSize+length != at {
		return 0, false
	}
	name, length, ok = r.box(at)
	if !ok || name != "moov" {
		return 0, false
	}
	var beyond [1]byte
	if n, _ := r.f.ReadAt(beyond[:], at+length); n != 0 {
		return 0, false
	}
	return at + length, true
}
