// Package mp4 writes "hybrid" MP4 files (ISO/IEC 14496-12): while a file grows
// it is a valid fragmented MP4, playable up to its last fragment; Close
// appends one index of everything and turns the space before the first index
// into the header of one large mdat, so that the finished file is an ordinary
// progressive MP4. Closing costs time by samples, never by bytes. Recover does the
// same to a file whose writer was killed.
package mp4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/h264"
)

// File is what a Writer writes to, from its beginning. If it has a method
// Sync() error, that is called before the header that finalises the file.
type File interface {
	io.Writer
	io.WriterAt
}

// VideoTrack describes H.264 in a constant format. SPS and PPS are without start codes.
type VideoTrack struct {
	W, H     int // pixels
	SPS, PPS []byte
}

// AudioTrack describes AAC. Config is the AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1).
type AudioTrack struct {
	SampleRate, Channels int
	Config               []byte
}

// Time scales: video and the movie as a whole count 90 kHz ticks, audio its samples.
const (
	movieScale = 90_000

	// A fragment is written when it would be this long, or this large, or at a
	// key frame once it is half as long. It is what a crash can cost.
	fragmentTicks = 2 * movieScale
	fragmentBytes = 4 << 20

	placeholder = 16 // bytes: the header of a 64-bit mdat
)

var (
	// ErrOrder: timestamps of a track must ascend strictly.
	ErrOrder = errors.New("mp4: timestamps do not ascend")
	// ErrNoTrack: media came for a track that was not asked for.
	ErrNoTrack = errors.New("mp4: no such track")
	// ErrFormat: the parameter sets changed; the rest belongs into a new file.
	ErrFormat = errors.New("mp4: the video format changed")
)

// Writer writes one file. It is not safe for concurrent use.
type Writer struct {
	f      File
	tracks []*track
	video  *track
	audio  *track
	sps    []byte
	b      builder
	off    int64 // where the next write goes
	seq    uint32
	opened bool
}

// New prepares a file with the tracks that are not nil. Nothing is written
// before the first fragment.
func New(f File, v *VideoTrack, a *AudioTrack) (*Writer, error) {
	w := &Writer{f: f}
	if v != nil {
		entry, err := videoEntry(v)
		if err != nil {
			return nil, err
		}
		w.sps = append([]byte(nil), v.SPS...)
		w.video = &track{id: 1, scale: movieScale, video: true, w: v.W, h: v.H, entry: entry}
		w.tracks = append(w.tracks, w.video)
	}
	if a != nil {
		if a.SampleRate <= 0 || a.Channels < 1 || len(a.Config) == 0 || len(a.Config) > 64 {
			return nil, fmt.Errorf("mp4: audio track of %d Hz, %d channels, %d bytes of configuration", a.SampleRate, a.Channels, len(a.Config))
		}
		w.audio = &track{id: uint32(len(w.tracks) + 1), scale: uint32(a.SampleRate), entry: audioEntry(a)}
		w.tracks = append(w.tracks, w.audio)
	}
	if len(w.tracks) == 0 {
		return nil, errors.New("mp4: a file needs a track")
	}
	return w, nil
}

// Video adds one access unit in Annex B form. pts is in 90 kHz ticks from the
// file's start and ascends strictly; it is the decoding time too.
func (w *Writer) Video(pts int64, key bool, annexB []byte) error {
	t := w.video
	if t == nil {
		return ErrNoTrack
	}
	if err := w.cutBefore(t, pts, key); err != nil {
		return err
	}
	if err := t.begin(pts, key); err != nil {
		return err
	}
	for u := range h264.Units(annexB) {
		switch h264.Type(u) {
		case h264.TypeSPS:
			if string(u) != string(w.sps) {
				t.forget()
				return ErrFormat
			}
			continue
		case h264.TypePPS, h264.TypeAUD:
			continue // the sample entry has them
		}
		t.add(byte(len(u)>>24), byte(len(u)>>16), byte(len(u)>>8), byte(len(u)))
		t.add(u...)
	}
	return nil
}

// Audio adds one raw AAC frame. pts is in samples from the file's start; it is
// negative for a frame that only primes the decoder.
func (w *Writer) Audio(pts int64, aac []byte) error {
	t := w.audio
	if t == nil {
		return ErrNoTrack
	}
	if err := w.cutBefore(t, pts, false); err != nil {
		return err
	}
	if err := t.begin(pts, true); err != nil {
		return err
	}
	t.add(aac...)
	return nil
}

// cutBefore ends the fragment if it is due before a sample of t at pts.
func (w *Writer) cutBefore(t *track, pts int64, key bool) error {
	if !t.some || t.pend >= len(t.samples) {
		return nil
	}
	length := (pts - t.pendPTS) * movieScale / int64(t.scale)
	bytes := 0
	for _, t := range w.tracks {
		bytes += len(t.data)
	}
	switch {
	case length >= fragmentTicks, bytes >= fragmentBytes:
	case t.video && key && length >= fragmentTicks/2:
	default:
		return nil
	}
	t.settle(pts)
	return w.Cut()
}

// Cut writes the queued samples as one fragment. The newest sample of a track
// stays queued until its duration is known. Without samples nothing happens.
func (w *Writer) Cut() error { return w.cut(false) }

func (w *Writer) cut(all bool) error {
	n := 0
	for _, t := range w.tracks {
		if all {
			t.settle(0)
		}
		n += t.ready()
	}
	if n == 0 {
		return nil
	}
	if !w.opened {
		w.opened = true
		w.b.header(w.tracks)
	}
	w.seq++
	w.b.fragment(w.seq, w.off, w.tracks)
	return w.flush()
}

// flush appends what the builder holds.
func (w *Writer) flush() error {
	b := w.b.b
	w.b.b = w.b.b[:0]
	n, err := w.f.Write(b)
	w.off += int64(n)
	if err != nil {
		return fmt.Errorf("mp4: %w", err)
	}
	return nil
}

// Hold lets the newest picture stand until pts, 90 kHz ticks from the file's
// start, when no later one comes.
func (w *Writer) Hold(pts int64) {
	if t := w.video; t != nil && t.open && pts > t.last {
		t.settle(pts)
	}
}

// Samples returns how many access units and audio frames were added.
func (w *Writer) Samples() (video, audio int) {
	if w.video != nil {
		video = len(w.video.samples)
	}
	if w.audio != nil {
		audio = len(w.audio.samples)
	}
	return video, audio
}

// Dur returns from the file's start to the end of its longest track.
func (w *Writer) Dur() media.Time {
	end := int64(0)
	for _, t := range w.tracks {
		end = max(end, t.movieEnd())
	}
	return media.FromTicks90k(end)
}

// Close writes what is queued and makes the file a progressive MP4. It does
// not close the File. A file without samples stays empty.
func (w *Writer) Close() error {
	if err := w.cut(true); err != nil {
		return err
	}
	if !w.opened {
		return nil
	}
	return w.finish()
}

// finish appends the full index and converts the placeholder. A crash in
// between leaves a fragmented file with some bytes behind its fragments.
func (w *Writer) finish() error {
	end := w.off
	w.b.moov(w.tracks, true)
	if err := w.flush(); err != nil {
		return err
	}
	if s, ok := w.f.(interface{ Sync() error }); ok {
		if err := s.Sync(); err != nil {
			return fmt.Errorf("mp4: %w", err)
		}
	}
	var h [placeholder]byte
	binary.BigEndian.PutUint32(h[:], 1)
	copy(h[4:], "mdat")
	binary.BigEndian.PutUint64(h[8:], uint64(end-ftypSize))
	if _, err := w.f.WriteAt(h[:], ftypSize); err != nil {
		return fmt.Errorf("mp4: %w", err)
	}
	return nil
}
