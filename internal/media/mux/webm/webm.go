// Package webm writes WebM files (RFC 9559) with one track: VP8, VP9 or AV1
// pictures, or Opus sound, as they came from the sender. What is written stays
// readable when the writer is killed; Close, or Recover later, adds sizes,
// duration and cues.
package webm

import (
	"errors"
	"fmt"
	"io"

	"tapedeck/internal/media"
)

// Config describes the track.
type Config struct {
	Codec    media.Codec // VP8, VP9, AV1 or Opus
	W, H     int         // pixels, video
	Channels int         // 1 or 2, Opus
	Private  []byte      // CodecPrivate: av1C for AV1; made here for Opus
	Base     media.Time  // added to all timestamps; a slice that an MPD lists keeps the recording's time
}

// A cluster is closed at a key frame, or after this.
const (
	clusterMS    = 5_000
	clusterBytes = 4 << 20
	seekSpace    = 80 // bytes reserved for the seek head
)

// ErrOrder: timestamps must not descend.
var ErrOrder = errors.New("webm: timestamps descend")

// Writer writes one file. It is not safe for concurrent use.
type Writer struct {
	out io.Writer
	cfg Config
	b   builder
	fin finisher

	last int64 // ms
	some bool
}

// New prepares a file on out, at its beginning. If out is an io.WriterAt too,
// Close fills in what is only known at the end.
func New(out io.Writer, cfg Config) (*Writer, error) {
	w := &Writer{out: out, cfg: cfg}
	if _, ok := codecIDs(cfg.Codec); !ok {
		return nil, fmt.Errorf("webm: codec %s is not supported", cfg.Codec)
	}
	if cfg.Codec.Video() && (cfg.W <= 0 || cfg.H <= 0) {
		return nil, fmt.Errorf("webm: a video track of %d×%d", cfg.W, cfg.H)
	}
	if !cfg.Codec.Video() && (cfg.Channels < 1 || cfg.Channels > 2) {
		return nil, fmt.Errorf("webm: %d channels", cfg.Channels)
	}
	w.header()
	return w, w.flush()
}

// codecIDs returns the Matroska codec ID.
func codecIDs(c media.Codec) (string, bool) {
	switch c {
	case media.VP8:
		return "V_VP8", true
	case media.VP9:
		return "V_VP9", true
	case media.AV1:
		return "V_AV1", true
	case media.Opus:
		return "A_OPUS", true
	}
	return "", false
}

func (w *Writer) header() {
	b := &w.b
	p := b.open(idEBML)
	b.uint(0x4286, 1) // EBMLVersion
	b.uint(0x42F7, 1) // EBMLReadVersion
	b.uint(0x42F2, 4) // EBMLMaxIDLength
	b.uint(0x42F3, 8) // EBMLMaxSizeLength
	b.data(0x4282, []byte("webm"))
	b.uint(0x4287, 4) // DocTypeVersion
	b.uint(0x4285, 2) // DocTypeReadVersion
	b.end(p)
	b.id(idSegment)
	b.size8(unknownSize)
	w.fin.segment = int64(len(b.b))
	b.void(seekSpace)
	w.fin.info = int64(len(b.b))
	p = b.open(idInfo)
	b.uint(idScale, 1_000_000) // ns: timestamps are milliseconds
	b.data(idMuxingApp, []byte("tapedeck"))
	b.data(idWritingApp, []byte("tapedeck"))
	w.fin.duration = int64(len(b.b))
	b.void(durationSize)
	b.end(p)
	w.fin.tracks = int64(len(b.b))
	p = b.open(idTracks)
	w.track()
	b.end(p)
}

func (w *Writer) track() {
	b := &w.b
	name, _ := codecIDs(w.cfg.Codec)
	p := b.open(idTrackEntry)
	b.uint(idNumber, 1)
	b.uint(idUID, 1)
	b.uint(idLacing, 0)
	b.data(idLanguage, []byte("und"))
	b.data(idCodec, []byte(name))
	if w.cfg.Codec.Video() {
		b.uint(idType, 1)
		if len(w.cfg.Private) > 0 {
			b.data(idPrivate, w.cfg.Private)
		}
		q := b.open(idVideo)
		b.uint(idWidth, uint64(w.cfg.W))
		b.uint(idHeight, uint64(w.cfg.H))
		b.end(q)
	} else {
		b.uint(idType, 2)
		// RFC 7845 5.1. Slices begin in the middle of a stream: nothing is to be skipped.
		b.data(idPrivate, append([]byte("OpusHead"), 1, byte(w.cfg.Channels), 0, 0, 0x80, 0xBB, 0, 0, 0, 0, 0))
		b.uint(idSeekPreRoll, 80_000_000)
		q := b.open(idAudio)
		b.float(idFrequency, 48_000)
		b.uint(idChannels, uint64(w.cfg.Channels))
		b.end(q)
	}
	b.end(p)
}

// Frame adds one frame or packet. t counts from the slice's start and never descends.
func (w *Writer) Frame(t media.Time, key bool, data []byte) error {
	ms := milli(w.cfg.Base + t)
	if w.some && ms < w.last {
		return fmt.Errorf("%w: %d ms after %d", ErrOrder, ms, w.last)
	}
	if ms < 0 {
		return fmt.Errorf("webm: negative timestamp %d ms", ms)
	}
	if w.clusterDue(ms, key) {
		if err := w.cluster(ms); err != nil {
			return err
		}
	}
	w.some, w.last = true, ms
	if w.cfg.Codec == media.AV1 {
		data = undelimited(data)
	}
	flags := byte(0)
	if key {
		flags = 0x80
	}
	rel := ms - w.fin.clusterTime
	w.b.head(idSimpleBlock, 4+len(data))
	w.b.b = append(w.b.b, 0x81, byte(rel>>8), byte(rel), flags)
	w.b.b = append(w.b.b, data...)
	return w.flush()
}

func milli(t media.Time) int64 {
	if t < 0 {
		return (int64(t) - 500) / 1000
	}
	return (int64(t) + 500) / 1000
}

func (w *Writer) clusterDue(ms int64, key bool) bool {
	if w.fin.cluster == 0 {
		return true
	}
	age := ms - w.fin.clusterTime
	return age >= 6*clusterMS || w.fin.end-w.fin.cluster >= clusterBytes ||
		(age >= clusterMS && (key || !w.cfg.Codec.Video())) || (key && w.cfg.Codec.Video())
}

// cluster ends the open cluster and begins one at ms.
func (w *Writer) cluster(ms int64) error {
	if at, ok := w.out.(io.WriterAt); ok {
		if err := w.fin.sealCluster(at); err != nil {
			return err
		}
	}
	w.fin.beginCluster(ms)
	w.b.id(idCluster)
	w.b.size8(unknownSize)
	w.b.uint8(idTimestamp, uint64(ms))
	return nil
}

func (w *Writer) flush() error {
	b := w.b.b
	w.b.b = w.b.b[:0]
	n, err := w.out.Write(b)
	w.fin.end += int64(n)
	if err != nil {
		return fmt.Errorf("webm: %w", err)
	}
	return nil
}

// Close makes the file whole: sizes, duration, cues and seek head. dur is the
// slice's length. It does not close the file.
func (w *Writer) Close(dur media.Time) error {
	at, ok := w.out.(io.WriterAt)
	if !ok {
		return nil
	}
	tail := w.fin.cues()
	if _, err := w.out.Write(tail); err != nil {
		return fmt.Errorf("webm: %w", err)
	}
	return w.fin.finish(at, int64(len(tail)), w.cfg.Base+dur)
}
