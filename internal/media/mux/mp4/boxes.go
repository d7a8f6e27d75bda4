package mp4

import (
	"encoding/binary"
	"fmt"
	"math"

	"tapedeck/internal/media/mux/h264"
)

// builder assembles boxes in memory.
type builder struct{ b []byte }

// box opens a box and returns what end needs to close it.
func (w *builder) box(name string) int {
	w.b = append(append(w.b, 0, 0, 0, 0), name...)
	return len(w.b) - 8
}

func (w *builder) end(at int) { binary.BigEndian.PutUint32(w.b[at:], uint32(len(w.b)-at)) }

func (w *builder) u32(v ...uint32) {
	for _, x := range v {
		w.b = binary.BigEndian.AppendUint32(w.b, x)
	}
}

func (w *builder) u16(v ...uint16) {
	for _, x := range v {
		w.b = binary.BigEndian.AppendUint16(w.b, x)
	}
}

func (w *builder) u64(v uint64) { w.b = binary.BigEndian.AppendUint64(w.b, v) }

func (w *builder) bytes(b ...byte) { w.b = append(w.b, b...) }

func (w *builder) text(s string) { w.b = append(w.b, s...) }

// ftypSize is the size of the first box, and so the place of the placeholder.
const ftypSize = 32

// header writes what a fragmented file begins with: file type, the placeholder
// for the later mdat, and an index without samples.
func (w *builder) header(tracks []*track) {
	p := w.box("ftyp")
	w.text("isom\x00\x00\x02\x00isomiso6avc1mp41")
	w.end(p)
	p = w.box("free")
	w.u64(0)
	w.end(p)
	w.moov(tracks, false)
}

func (w *builder) matrix() { w.u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000) }

// moov writes the index: of all samples when full, else an empty one for fragments.
func (w *builder) moov(tracks []*track, full bool) {
	moov := w.box("moov")
	var dur int64
	if full {
		for _, t := range tracks {
			dur = max(dur, t.movieEnd())
		}
	}
	p := w.box("mvhd")
	w.u32(1<<24, 0, 0, 0, 0, movieScale)
	w.u64(uint64(dur))
	w.u32(0x10000)
	w.u16(0x100, 0)
	w.u32(0, 0)
	w.matrix()
	w.u32(0, 0, 0, 0, 0, 0, uint32(len(tracks)+1))
	w.end(p)
	for _, t := range tracks {
		// A track that never got a sample is left out of the final index.
		if !full || len(t.samples) > 0 {
			w.trak(t, full)
		}
	}
	if !full {
		mvex := w.box("mvex")
		for _, t := range tracks {
			p := w.box("trex")
			w.u32(0, t.id, 1, 0, 0, 0)
			w.end(p)
		}
		w.end(mvex)
	}
	w.end(moov)
}

func (w *builder) trak(t *track, full bool) {
	trak := w.box("trak")
	var length int64 // of the presentation, movie ticks
	if full {
		length = t.movieEnd()
	}
	p := w.box("tkhd")
	w.u32(1<<24|3, 0, 0, 0, 0, t.id, 0)
	w.u64(uint64(length))
	w.u32(0, 0)
	volume := uint16(0x100)
	if t.video {
		volume = 0
	}
	w.u16(0, 0, volume, 0)
	w.matrix()
	w.u32(uint32(t.w)<<16, uint32(t.h)<<16)
	w.end(p)
	w.edits(t, full)

	mdia := w.box("mdia")
	p = w.box("mdhd")
	w.u32(1<<24, 0, 0, 0, 0, t.scale)
	dur := int64(0)
	if full {
		dur = t.mediaDur()
	}
	w.u64(uint64(dur))
	w.u16(0x55C4, 0) // language "und"
	w.end(p)
	handler, name := "soun", "Sound"
	if t.video {
		handler, name = "vide", "Video"
	}
	p = w.box("hdlr")
	w.u32(0, 0)
	w.text(handler)
	w.u32(0, 0, 0)
	w.text(name + "\x00")
	w.end(p)
	w.minf(t, full)
	w.end(mdia)
	w.end(trak)
}

// edits writes an edit list where the track does not begin with the file: an
// empty edit before a late one, a cut into one that begins early. In a
// fragmented file late tracks have it in their fragments.
func (w *builder) edits(t *track, full bool) {
	late := full && t.some && t.first > 0
	if !late && t.shift() == 0 {
		return
	}
	edts := w.box("edts")
	p := w.box("elst")
	if late {
		w.u32(1<<24, 2)
		w.u64(uint64(t.toMovie(t.first)))
		w.u64(math.MaxUint64)
		w.u32(0x10000)
	} else {
		w.u32(1<<24, 1)
	}
	length := int64(0)
	if full {
		length = t.toMovie(t.mediaDur() - t.shift())
	}
	w.u64(uint64(length))
	w.u64(uint64(t.shift()))
	w.u32(0x10000)
	w.end(p)
	w.end(edts)
}

func (w *builder) minf(t *track, full bool) {
	minf := w.box("minf")
	if t.video {
		p := w.box("vmhd")
		w.u32(1, 0, 0)
		w.end(p)
	} else {
		p := w.box("smhd")
		w.u32(0, 0)
		w.end(p)
	}
	p := w.box("dinf")
	q := w.box("dref")
	w.u32(0, 1, 12)
	w.text("url ")
	w.u32(1)
	w.end(q)
	w.end(p)
	stbl := w.box("stbl")
	p = w.box("stsd")
	w.u32(0, 1)
	w.bytes(t.entry...)
	w.end(p)
	if full {
		w.tables(t)
	} else {
		for _, n := range [...]string{"stts", "stsc", "stco"} {
			p = w.box(n)
			w.u32(0, 0)
			w.end(p)
		}
		p = w.box("stsz")
		w.u32(0, 0, 0)
		w.end(p)
	}
	w.end(stbl)
	w.end(minf)
}

// videoEntry returns an avc1 box (ISO/IEC 14496-15 5.4.2.1).
func videoEntry(v *VideoTrack) ([]byte, error) {
	record, err := h264.Record(v.SPS, v.PPS)
	if err != nil {
		return nil, fmt.Errorf("mp4: %w", err)
	}
	if v.W <= 0 || v.H <= 0 || v.W > 0xFFFF || v.H > 0xFFFF {
		return nil, fmt.Errorf("mp4: a video track of %d×%d", v.W, v.H)
	}
	var w builder
	p := w.box("avc1")
	w.u32(0, 1) // data_reference_index
	w.u32(0, 0, 0, 0)
	w.u16(uint16(v.W), uint16(v.H))
	w.u32(0x480000, 0x480000, 0) // 72 dpi
	w.u16(1)
	w.bytes(make([]byte, 32)...) // compressor's name
	w.u16(0x18, 0xFFFF)
	q := w.box("avcC")
	w.bytes(record...)
	w.end(q)
	w.end(p)
	return w.b, nil
}

// audioEntry returns an mp4a box with its esds (ISO/IEC 14496-14 5.6).
func audioEntry(a *AudioTrack) []byte {
	var w builder
	p := w.box("mp4a")
	w.u32(0, 1)
	w.u32(0, 0)
	w.u16(uint16(a.Channels), 16)
	w.u32(0, uint32(a.SampleRate)<<16)
	q := w.box("esds")
	w.u32(0)
	n := byte(len(a.Config))
	w.bytes(0x03, 23+n, 0, 0, 0)                                     // ES_Descriptor
	w.bytes(0x04, 15+n, 0x40, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) // DecoderConfigDescriptor: AAC, audio stream
	w.bytes(0x05, n)                                                 // DecoderSpecificInfo
	w.bytes(a.Config...)
	w.bytes(0x06, 1, 2) // SLConfigDescriptor: MP4
	w.end(q)
	w.end(p)
	return w.b
}
