package recorder

import (
	"io"
	"slices"

	"tapedeck/internal/hls"
	"tapedeck/internal/media"
	"tapedeck/internal/spool"
)

// Slice is one file of a playlist while it is written. Writes go straight to
// the file: what was written survives a crash of the worker.
type Slice struct {
	index *Index
	part  *spool.Part
	enc   *hls.Writer // before part; nil: not encrypted
	name  string
	start media.Time
	head  int64 // bytes of the header, WebM
	tags  []string
}

// Name returns the bare file name.
func (s *Slice) Name() string { return s.name }

// Start returns the time of the first sample.
func (s *Slice) Start() media.Time { return s.start }

// Tag adds a line that stands before the slice's EXTINF in the playlist.
func (s *Slice) Tag(line string) { s.tags = append(slices.Clip(s.tags), line) }

// Size returns how much was written, in bytes.
func (s *Slice) Size() int64 {
	if s.enc != nil {
		return s.enc.Size()
	}
	return s.part.Size()
}

// Write implements io.Writer.
func (s *Slice) Write(b []byte) (int, error) {
	if s.enc != nil {
		return s.enc.Write(b)
	}
	return s.part.Write(b)
}

// stream is where a container goes that would go back to fill in its header: one
// that is encrypted is written front to back.
func (s *Slice) stream() io.Writer {
	if s.enc != nil {
		return s.enc
	}
	return s
}

// WriteAt implements io.WriterAt, for containers that fill in their header at the end.
func (s *Slice) WriteAt(b []byte, off int64) (int, error) {
	if s.enc != nil {
		return 0, hls.ErrBehind
	}
	return s.part.WriteAt(b, off)
}

// Close makes the slice durable, lists it with the duration dur and replaces
// the playlist.
func (s *Slice) Close(dur media.Time) error { return s.close(dur, false) }

// CloseLast is Close followed by the playlist's Finish, with one replacement
// of the playlist instead of two: stopping has to be fast.
func (s *Slice) CloseLast(dur media.Time) error { return s.close(dur, true) }

func (s *Slice) close(dur media.Time, final bool) error {
	if s.enc != nil {
		if err := s.enc.Close(); err != nil {
			return err
		}
	}
	info, err := s.part.Close()
	if err != nil {
		return err
	}
	f := s.fact()
	f.DurMicro = int64(dur)
	if err := s.index.out.closed(f, info); err != nil {
		return err
	}
	return s.index.listNow(listed{name: s.name, start: s.start, dur: dur, size: info.Size, head: s.head, tags: s.tags}, final)
}

// Discard removes the slice, for one that holds nothing.
func (s *Slice) Discard() error { return s.part.Discard() }

func (s *Slice) fact() spool.Fact {
	c := s.index.cfg
	return spool.Fact{
		Name: s.name, Kind: spool.KindSlice, Track: c.Track, UID: uidText(c.UID),
		StartMicro: int64(s.start), Index: c.Name, Tags: s.tags,
	}
}

// MP4 is one MP4 file of a mix while it is written. It implements io.Writer
// and io.WriterAt for mp4.New.
type MP4 struct {
	*spool.Part
	out   *Output
	start media.Time
	track string
	uid   uint32 // 0 in mix
}

// MP4 opens the next MP4 file, <sid>_<cname>_<n>.mp4. start is the time of its
// first sample; track is session.TrackBoth, or TrackAudio without pictures.
func (o *Output) MP4(start media.Time, track string) (*MP4, error) {
	o.mu.Lock()
	name := o.names.mp4(o.mp4s)
	o.mp4s++
	o.mu.Unlock()
	m := &MP4{out: o, start: start, track: track}
	f := m.fact(name)
	f.Type = spool.FactBegun
	if err := o.append(f); err != nil {
		return nil, err
	}
	part, err := o.dir.CreatePart(name)
	if err != nil {
		return nil, err
	}
	m.Part = part
	return m, nil
}

// Start returns the time of the first sample.
func (m *MP4) Start() media.Time { return m.start }

// Close makes the file durable under its final name and notes it. The muxer
// has been closed before.
func (m *MP4) Close(dur media.Time) error {
	info, err := m.Part.Close()
	if err != nil {
		return err
	}
	f := m.fact(m.Name())
	f.DurMicro = int64(dur)
	return m.out.closed(f, info)
}

func (m *MP4) fact(name string) spool.Fact {
	return spool.Fact{
		Name: name, Kind: spool.KindMP4, Track: m.track, UID: uidText(m.uid),
		StartMicro: int64(m.start), Playable: true,
	}
}
