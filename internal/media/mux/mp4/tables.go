package mp4

import "encoding/binary"

// tables writes the sample tables of a track.
func (w *builder) tables(t *track) {
	w.durations(t)
	if t.video {
		p := w.box("stss")
		w.u32(0, uint32(len(t.sync)))
		w.u32(t.sync...)
		w.end(p)
	}
	p := w.box("stsc")
	w.u32(0)
	count := w.count()
	for i, c := range t.chunks {
		if i == 0 || c.n != t.chunks[i-1].n {
			w.u32(uint32(i+1), c.n, 1)
			count(w)
		}
	}
	w.end(p)
	p = w.box("stsz")
	w.u32(0, 0, uint32(len(t.samples)))
	for i := range t.samples {
		w.u32(t.samples[i].size)
	}
	w.end(p)
	p = w.box("co64")
	w.u32(0, uint32(len(t.chunks)))
	for _, c := range t.chunks {
		w.u64(uint64(c.off))
	}
	w.end(p)
}

// count reserves an entry counter and returns what increments it.
func (w *builder) count() func(*builder) {
	at := len(w.b)
	w.u32(0)
	n := uint32(0)
	return func(w *builder) {
		n++
		binary.BigEndian.PutUint32(w.b[at:], n)
	}
}

// durations writes stts, run-length coded.
func (w *builder) durations(t *track) {
	p := w.box("stts")
	w.u32(0)
	count := w.count()
	for i := 0; i < len(t.samples); {
		j := i + 1
		for j < len(t.samples) && t.samples[j].dur == t.samples[i].dur {
			j++
		}
		w.u32(uint32(j-i), t.samples[i].dur)
		count(w)
		i = j
	}
	w.end(p)
}

// fragment writes moof and mdat with what the tracks have ready. off is where
// the builder's content will lie in the file.
func (w *builder) fragment(seq uint32, off int64, tracks []*track) {
	moof := w.box("moof")
	p := w.box("mfhd")
	w.u32(0, seq)
	w.end(p)
	fix := make([]int, len(tracks))
	for i, t := range tracks {
		if n := t.ready(); n > 0 {
			fix[i] = w.traf(t, n)
		}
	}
	w.end(moof)
	mdat := w.box("mdat")
	for i, t := range tracks {
		if fix[i] == 0 {
			continue
		}
		binary.BigEndian.PutUint32(w.b[fix[i]:], uint32(len(w.b)-moof))
		n, bytes := t.ready(), 0
		for _, s := range t.samples[t.pend : t.pend+n] {
			bytes += int(s.size)
		}
		t.chunks = append(t.chunks, chunk{off + int64(len(w.b)), uint32(n)})
		w.bytes(t.data[:bytes]...)
		t.taken(n, bytes)
	}
	w.end(mdat)
}

// Flags of a sample in a fragment (ISO/IEC 14496-12 8.8.3.1).
const (
	flagsKey   = 0x02000000 // depends on no other
	flagsDelta = 0x01010000 // depends on others, is no sync sample

	trunAudio = 0x000301 // data offset, durations, sizes
	trunVideo = 0x000701 // and flags
	tfhdBase  = 0x020000 // offsets count from the moof
)

// traf writes the run of n samples of a track and returns where its data
// offset stands.
func (w *builder) traf(t *track, n int) (fix int) {
	traf := w.box("traf")
	p := w.box("tfhd")
	w.u32(tfhdBase, t.id)
	w.end(p)
	p = w.box("tfdt")
	w.u32(1 << 24)
	w.u64(uint64(t.pendPTS + t.shift()))
	w.end(p)
	p = w.box("trun")
	kind := uint32(trunAudio)
	if t.video {
		kind = trunVideo
	}
	w.u32(1<<24|kind, uint32(n))
	fix = len(w.b)
	w.u32(0)
	at := 0
	for i, s := range t.samples[t.pend : t.pend+n] {
		w.u32(s.dur, s.size)
		if !t.video {
			continue
		}
		var key bool
		if key, at = t.isSync(uint32(t.pend+i+1), at); key {
			w.u32(flagsKey)
		} else {
			w.u32(flagsDelta)
		}
	}
	w.end(p)
	w.end(traf)
	return fix
}
