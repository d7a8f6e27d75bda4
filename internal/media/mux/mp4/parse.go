package mp4

import (
	"encoding/binary"
	"iter"
	"math"
)

type child struct {
	name string
	body []byte
}

// children yields the boxes in b and stops at the first that does not fit.
func children(b []byte) iter.Seq[child] {
	return func(yield func(child) bool) {
		for len(b) >= 8 {
			size := int64(binary.BigEndian.Uint32(b))
			if size < 8 || size > int64(len(b)) || !yield(child{string(b[4:8]), b[8:size]}) {
				return
			}
			b = b[size:]
		}
	}
}

// inside returns the content of the box at the given path, nil if there is none.
func inside(b []byte, path ...string) []byte {
	for _, name := range path {
		var found []byte
		for c := range children(b) {
			if c.name == name {
				found = c.body
				break
			}
		}
		if found == nil {
			return nil
		}
		b = found
	}
	return b
}

// parseTrak reads a track as builder.trak writes it.
func parseTrak(b []byte) (*track, bool) {
	tkhd, mdhd := inside(b, "tkhd"), inside(b, "mdia", "mdhd")
	hdlr, stsd := inside(b, "mdia", "hdlr"), inside(b, "mdia", "minf", "stbl", "stsd")
	if len(tkhd) < 96 || len(mdhd) < 24 || len(hdlr) < 12 || len(stsd) < 16 {
		return nil, false
	}
	t := &track{
		id: binary.BigEndian.Uint32(tkhd[20:]), scale: binary.BigEndian.Uint32(mdhd[20:]),
		video: string(hdlr[8:12]) == "vide",
		w:     int(binary.BigEndian.Uint32(tkhd[88:]) >> 16), h: int(binary.BigEndian.Uint32(tkhd[92:]) >> 16),
		entry: stsd[8:],
	}
	if t.scale == 0 || t.scale > 1<<20 {
		return nil, false
	}
	if elst := inside(b, "edts", "elst"); len(elst) >= 24 {
		if shift := binary.BigEndian.Uint64(elst[16:]); shift < math.MaxInt32 {
			t.first = -int64(shift)
		}
	}
	return t, true
}

// run is what a fragment holds of one track.
type run struct {
	track   *track
	start   int64 // decoding time of the first sample
	offset  int64 // of the first byte, from the moof
	bytes   int64
	samples []sample
	keys    []bool
}

// parseMoof reads a fragment's head as builder.fragment writes it.
func parseMoof(b []byte, tracks []*track) ([]run, bool) {
	var runs []run
	for c := range children(b) {
		if c.name != "traf" {
			continue
		}
		r, ok := parseTraf(c.body, tracks)
		if !ok || len(runs) == len(tracks) {
			return nil, false
		}
		for _, o := range runs {
			if o.track == r.track {
				return nil, false
			}
		}
		runs = append(runs, r)
	}
	return runs, len(runs) > 0
}

func parseTraf(b []byte, tracks []*track) (run, bool) {
	tfhd, tfdt, trun := inside(b, "tfhd"), inside(b, "tfdt"), inside(b, "trun")
	if len(tfhd) != 8 || len(tfdt) != 12 || len(trun) < 12 || binary.BigEndian.Uint32(tfhd) != tfhdBase {
		return run{}, false
	}
	var r run
	for _, t := range tracks {
		if t.id == binary.BigEndian.Uint32(tfhd[4:]) {
			r.track = t
		}
	}
	start := binary.BigEndian.Uint64(tfdt[4:])
	if r.track == nil || start > math.MaxInt64/movieScale/4 {
		return run{}, false
	}
	r.start, r.offset = int64(start), int64(binary.BigEndian.Uint32(trun[8:]))
	want, each := uint32(1<<24|trunAudio), 8
	if r.track.video {
		want, each = 1<<24|trunVideo, 12
	}
	n := int64(binary.BigEndian.Uint32(trun[4:]))
	entries := trun[12:]
	if binary.BigEndian.Uint32(trun) != want || n == 0 || n*int64(each) != int64(len(entries)) {
		return run{}, false
	}
	for ; len(entries) > 0; entries = entries[each:] {
		s := sample{dur: binary.BigEndian.Uint32(entries), size: binary.BigEndian.Uint32(entries[4:])}
		if s.dur == 0 {
			return run{}, false
		}
		r.samples = append(r.samples, s)
		r.bytes += int64(s.size)
		r.keys = append(r.keys, each == 12 && binary.BigEndian.Uint32(entries[8:]) == flagsKey)
	}
	// Fragments of a track follow each other, and media time begins at 0 where
	// an edit list moves it.
	if r.track.some {
		return r, r.start == r.track.end+r.track.shift()
	}
	return r, r.track.first == 0 || r.start == 0
}

// append adds a run whose bytes lie at off in the file.
func (t *track) append(r run, off int64) {
	if !t.some {
		t.some = true
		if t.first < 0 {
			t.end = t.first
		} else {
			t.first, t.end = r.start, r.start
		}
	}
	for i, s := range r.samples {
		t.samples = append(t.samples, s)
		t.end += int64(s.dur)
		if r.keys[i] {
			t.sync = append(t.sync, uint32(len(t.samples)))
		}
	}
	t.chunks = append(t.chunks, chunk{off, uint32(len(r.samples))})
	t.pend = len(t.samples)
}
