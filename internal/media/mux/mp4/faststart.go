package mp4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrUnfinished: the file was not closed or recovered, or is none of ours.
var ErrUnfinished = errors.New("mp4: no finished file")

// maxIndex bounds an index that FastStart believes in, bytes: a day of video
// and sound has about 100 MB.
const maxIndex = 1 << 30

// FastStart copies a file that Close or Recover has finished, with the index
// before the media, so that a player can begin before it has all of it. rotate
// says by how many degrees anticlockwise players have to turn the picture: 0, 90,
// 180 or 270.
func FastStart(out io.Writer, in io.ReaderAt, rotate int) error {
	moov, mdat, end, err := layout(in)
	if err != nil {
		return err
	}
	index := make([]byte, moov[1])
	if _, err := in.ReadAt(index, moov[0]); err != nil {
		return fmt.Errorf("mp4: %w", err)
	}
	delta := moov[1]
	if mdat > moov[0] {
		delta = 0 // it stands in front already
	}
	for trak := range children(index[8:]) {
		if trak.name != "trak" {
			continue
		}
		if err := shiftChunks(trak.body, delta); err != nil {
			return err
		}
		turn(trak.body, rotate)
	}
	for _, part := range []io.Reader{
		io.NewSectionReader(in, 0, min(mdat, moov[0])), newSlice(index),
		io.NewSectionReader(in, mdat, end-mdat),
	} {
		if _, err := io.Copy(out, part); err != nil {
			return fmt.Errorf("mp4: %w", err)
		}
	}
	return nil
}

func newSlice(b []byte) io.Reader { return io.NewSectionReader(bytesAt(b), 0, int64(len(b))) }

type bytesAt []byte

func (b bytesAt) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// layout finds the index (place, size) and the media of a finished file.
func layout(in io.ReaderAt) (moov [2]int64, mdat, end int64, err error) {
	mdat = -1
	for at := int64(0); ; {
		var h [16]byte
		if n, _ := in.ReadAt(h[:], at); n < 8 {
			break
		}
		size := int64(binary.BigEndian.Uint32(h[:]))
		if size == 1 {
			size = int64(binary.BigEndian.Uint64(h[8:]))
		}
		if size < 8 || size > 1<<50 {
			return moov, 0, 0, ErrUnfinished
		}
		switch string(h[4:8]) {
		case "moov":
			moov = [2]int64{at, size}
		case "mdat":
			if mdat >= 0 {
				return moov, 0, 0, ErrUnfinished // fragments
			}
			mdat, end = at, at+size
		case "moof":
			return moov, 0, 0, ErrUnfinished
		}
		at += size
	}
	if mdat < 0 || moov[1] == 0 || moov[1] > maxIndex {
		return moov, 0, 0, ErrUnfinished
	}
	return moov, mdat, end, nil
}

// shiftChunks moves a track's chunk offsets.
func shiftChunks(trak []byte, delta int64) error {
	co64 := inside(trak, "mdia", "minf", "stbl", "co64")
	if len(co64) < 8 {
		return ErrUnfinished
	}
	n := int(binary.BigEndian.Uint32(co64[4:]))
	if n > (len(co64)-8)/8 {
		return ErrUnfinished
	}
	for i := range n {
		p := co64[8+8*i:]
		binary.BigEndian.PutUint64(p, uint64(int64(binary.BigEndian.Uint64(p))+delta))
	}
	return nil
}

// turn writes a rotation into a video track's matrix (ISO/IEC 14496-12 6.2.2).
func turn(trak []byte, rotate int) {
	tkhd := inside(trak, "tkhd")
	hdlr := inside(trak, "mdia", "hdlr")
	if rotate%360 == 0 || len(tkhd) != 96 || len(hdlr) < 12 || string(hdlr[8:12]) != "vide" {
		return
	}
	w, h := binary.BigEndian.Uint32(tkhd[88:]), binary.BigEndian.Uint32(tkhd[92:])
	const one, minus = 0x10000, 0xFFFF0000
	var m [9]uint32 // a b u, c d v, x y w
	switch (rotate%360 + 360) % 360 {
	case 90:
		m = [9]uint32{0, minus, 0, one, 0, 0, 0, w, 0x40000000}
	case 180:
		m = [9]uint32{minus, 0, 0, 0, minus, 0, w, h, 0x40000000}
	case 270:
		m = [9]uint32{0, one, 0, minus, 0, 0, h, 0, 0x40000000}
	default:
		return
	}
	for i, v := range m {
		binary.BigEndian.PutUint32(tkhd[52+4*i:], v)
	}
}
