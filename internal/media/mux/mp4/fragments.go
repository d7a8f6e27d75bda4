package mp4

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"tapedeck/internal/media"
	nalu "tapedeck/internal/media/mux/h264"
)

// Fragments writes a slice in fragmented MP4 (ISO/IEC 14496-12 8.8, the form of
// RFC 8216 section 3.3): one video track that H.264's containers cannot carry.
// A slice holds its own initialisation, so that it plays alone; what was
// written is whole up to the last fragment whenever the writer is killed.
type Fragments struct {
	w     *Writer
	codec media.Codec
	head  []byte
	sets  [3][]byte
}

// NewFragments begins a slice on out with the key frame that comes first. av1c
// is the AV1 codec configuration record, nil for other codecs.
func NewFragments(out File, c media.Codec, w, h int, key, av1c []byte) (*Fragments, error) {
	entry, err := pictureEntry(c, w, h, key, av1c)
	if err != nil {
		return nil, err
	}
	t := &track{id: 1, scale: movieScale, video: true, w: w, h: h, entry: entry}
	f := &Fragments{w: &Writer{f: out, tracks: []*track{t}, video: t, opened: true}, codec: c}
	if c == media.H265 {
		for i, set := range setsH265(key) {
			f.sets[i] = bytes.Clone(set)
		}
	}
	f.w.b.header(f.w.tracks)
	f.head = bytes.Clone(f.w.b.b)
	return f, f.w.flush()
}

// Head is the initialisation that the slice begins with. It is not to be changed.
func (f *Fragments) Head() []byte { return f.head }

// Frame adds a frame in the form of media.Unit.Data. pts is in 90 kHz ticks and
// ascends strictly; it is the decoding time too.
func (f *Fragments) Frame(pts int64, key bool, data []byte) error {
	t := f.w.video
	if err := f.w.cutBefore(t, pts, key); err != nil {
		return err
	}
	if err := t.begin(pts, key); err != nil {
		return err
	}
	switch f.codec {
	case media.H265:
		f.units(data)
	case media.AV1:
		// A temporal delimiter, an OBU of type 2 with a size of 0, has no place in
		// a sample (AV1-ISOBMFF 2.4).
		for len(data) >= 2 && data[0] == 0x12 && data[1] == 0 {
			data = data[2:]
		}
		t.add(data...)
	default:
		t.add(data...)
	}
	return nil
}

// units adds the NAL units of an access unit with their lengths, but not the
// parameter sets that the initialisation has.
func (f *Fragments) units(annexB []byte) {
	for u := range nalu.Units(annexB) {
		kind := typeH265(u)
		if kind == typeAUD || kind >= typeVPS && kind <= typePPS && bytes.Equal(f.sets[kind-typeVPS], u) {
			continue
		}
		f.w.video.add(byte(len(u)>>24), byte(len(u)>>16), byte(len(u)>>8), byte(len(u)))
		f.w.video.add(u...)
	}
}

// Close writes what is queued; the last frame stands until end, in 90 kHz ticks.
// It does not close the File.
func (f *Fragments) Close(end int64) error {
	f.w.video.settle(end)
	return f.w.cut(true)
}

// RecoverFragments cuts a slice of Fragments after its last whole fragment and
// returns the size of its initialisation. It trusts no byte.
func RecoverFragments(f RecoverFile) (out Recovered, head int64, err error) {
	r := &reader{f: f}
	tracks, head, err := r.head()
	if err != nil {
		return Recovered{}, 0, err
	}
	at := head
	for range maxFragments {
		next, ok := r.fragment(at, tracks)
		if !ok {
			break
		}
		at = next
	}
	t := tracks[0]
	if len(tracks) != 1 || !t.video || len(t.samples) == 0 {
		return Recovered{}, 0, ErrNothing
	}
	if err := f.Truncate(at); err != nil {
		return Recovered{}, 0, fmt.Errorf("mp4: recover: %w", err)
	}
	return Recovered{Size: at, Dur: media.FromTicks90k(t.mediaDur()), Video: len(t.samples)}, head, nil
}

// Unit is one frame of a slice that is read back, in the form of media.Unit.Data.
// Data is the receiver's.
type Unit struct {
	Codec media.Codec
	PTS   int64 // 90 kHz ticks, as written
	Key   bool
	Data  []byte
}

// maxSample bounds a frame that Read believes in.
const maxSample = 64 << 20

// ReadFragments hands every frame of a slice that Fragments wrote to emit. It
// trusts no byte: what does not make sense ends it, as a torn end does. The
// error is ErrNothing when the file is none of Fragments', or emit's.
func ReadFragments(in io.ReaderAt, emit func(Unit) error) error {
	r := &reader{f: in}
	tracks, at, err := r.head()
	if err != nil {
		return err
	}
	t := tracks[0]
	codec, sets := formatOf(t.entry)
	if len(tracks) != 1 || !t.video || codec == media.Unknown {
		return ErrNothing
	}
	sync := 0
	for range maxFragments {
		n, chunks := len(t.samples), len(t.chunks)
		next, ok := r.fragment(at, tracks)
		if !ok {
			return nil
		}
		pts := t.end
		for _, s := range t.samples[n:] {
			pts -= int64(s.dur)
		}
		off := t.chunks[chunks].off
		for i, s := range t.samples[n:] {
			if s.size > maxSample {
				return nil
			}
			u := Unit{Codec: codec, PTS: pts, Data: make([]byte, s.size)}
			if got, _ := in.ReadAt(u.Data, off); got != len(u.Data) {
				return nil
			}
			u.Key, sync = t.isSync(uint32(n+i+1), sync) //nolint:gosec // bounded by the file
			if codec == media.H265 {
				u.Data = annexB(u.Data, u.Key, sets)
			}
			if err := emit(u); err != nil {
				return err
			}
			off, pts = off+int64(s.size), pts+int64(s.dur)
		}
		at = next
	}
	return nil
}

// formatOf reads a sample entry: the codec and, of H.265, the parameter sets.
func formatOf(entry []byte) (media.Codec, [][]byte) {
	if len(entry) < 86 {
		return media.Unknown, nil
	}
	switch string(entry[4:8]) {
	case entryVP9:
		return media.VP9, nil
	case entryAV1:
		return media.AV1, nil
	case entryH265:
		return media.H265, setsOf(inside(entry[86:], "hvcC"))
	}
	return media.Unknown, nil
}

// setsOf reads the parameter sets of a record as recordH265 writes it.
func setsOf(record []byte) (sets [][]byte) {
	if len(record) < 23 {
		return nil
	}
	for b := record[23:]; len(b) >= 5; {
		n := int(binary.BigEndian.Uint16(b[3:]))
		if n > len(b)-5 {
			break
		}
		sets = append(sets, b[5:5+n])
		b = b[5+n:]
	}
	return sets
}

// annexB gives a sample start codes for its lengths, and a key frame its
// parameter sets.
func annexB(sample []byte, key bool, sets [][]byte) (out []byte) {
	if key {
		for _, s := range sets {
			out = append(append(out, 0, 0, 0, 1), s...)
		}
	}
	for len(sample) >= 4 {
		n := int64(binary.BigEndian.Uint32(sample))
		if n > int64(len(sample)-4) {
			break
		}
		out = append(append(out, 0, 0, 0, 1), sample[4:4+n]...)
		sample = sample[4+n:]
	}
	return out
}
