package depacket

import (
	"bytes"
	"iter"
)

// NAL unit types of H.264 (ITU-T H.264 table 7-1).
const (
	nalSlice     = 1
	nalIDR       = 5
	nalSEI       = 6
	nalSPS       = 7
	nalPPS       = 8
	nalAUD       = 9
	nalEndSeq    = 10
	nalEndStream = 11
	nalFiller    = 12
)

// NALs yields the NAL units of a byte stream (ITU-T H.264 annex B) without
// start codes and trailing zero bytes. None of them is empty. They alias b.
func NALs(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		start := []byte{0, 0, 1}
		i := bytes.Index(b, start)
		for i >= 0 {
			b = b[i+len(start):]
			nal := b
			if i = bytes.Index(b, start); i >= 0 {
				nal = b[:i]
			}
			nal = bytes.TrimRight(nal, "\x00")
			if len(nal) > 0 && !yield(nal) {
				return
			}
		}
	}
}

// SplitH264 cuts an H.264 byte stream into access units: Annex B, four-byte
// start codes, parameter sets kept with the picture they precede, delimiters
// and SEI dropped. A unit ends where the first slice of the next picture, or
// anything that may only precede one, begins (ITU-T H.264 7.4.1.2.3).
func SplitH264(stream []byte) [][]byte {
	var units [][]byte
	var unit []byte
	pictured := false
	for nal := range NALs(stream) {
		t := nal[0] & 0x1f
		slice := t >= nalSlice && t <= nalIDR
		if pictured && (!slice || firstSlice(nal)) {
			units = append(units, unit)
			unit, pictured = nil, false
		}
		if !dropped(t) {
			unit = appendNAL(unit, nal)
		}
		pictured = pictured || slice
	}
	if pictured {
		units = append(units, unit)
	}
	return units
}

// firstSlice reports whether a slice begins a picture: first_mb_in_slice, the
// first syntax element of its header, is 0, coded as a single 1 bit.
func firstSlice(nal []byte) bool { return len(nal) > 1 && nal[1]&0x80 != 0 }

// dropped tells the NAL units that no file needs from those that it does.
func dropped(t byte) bool {
	switch t {
	case nalAUD, nalSEI, nalEndSeq, nalEndStream, nalFiller:
		return true
	}
	return false
}

func appendNAL(b, nal []byte) []byte {
	return append(append(b, 0, 0, 0, 1), nal...)
}
