package transcode

import (
	"errors"
	"fmt"
	"time"

	"tapedeck/internal/spool"
)

// SpoolSink is a Sink that writes into a spool folder: every finished file is a
// line of its journal, so that it is shipped like a recording's, and found again
// by a run that goes on after a kill.
type SpoolSink struct {
	dir     *spool.Dir
	journal *spool.Journal
	done    map[string]spool.Fact
	ended   bool
}

// OpenSpool opens the journal of a job's folder.
func OpenSpool(dir *spool.Dir, sid string, now func() time.Time) (*SpoolSink, error) {
	j, facts, err := dir.OpenJournal(now)
	if err != nil {
		return nil, fmt.Errorf("transcode: %w", err)
	}
	s := &SpoolSink{dir: dir, journal: j, done: map[string]spool.Fact{}}
	runs := 1
	for _, f := range facts {
		switch f.Type {
		case spool.FactOpened:
			runs++
		case spool.FactClosed:
			s.done[f.Name] = f
		case spool.FactEnded:
			s.ended = true
		}
	}
	if !s.ended {
		err = j.Append(spool.Fact{Type: spool.FactOpened, Version: 1, SID: sid, Incarnation: runs})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("transcode: %w", err), j.Close())
	}
	return s, nil
}

// Ended reports whether an earlier run has finished all there is to do.
func (s *SpoolSink) Ended() bool { return s.ended }

// Has implements Sink.
func (s *SpoolSink) Has(name string) bool {
	_, ok := s.done[name]
	return ok
}

// Create implements Sink.
func (s *SpoolSink) Create(name string) (File, error) { return s.dir.CreatePart(name) }

// Commit implements Sink.
func (s *SpoolSink) Commit(f File, o *Output) error {
	p, ok := f.(*spool.Part)
	if !ok {
		return errSink
	}
	info, err := p.Close()
	if err != nil {
		return fmt.Errorf("transcode: %w", err)
	}
	o.Size = info.Size
	fact := spool.Fact{
		Type: spool.FactClosed, Name: o.Name, Kind: spool.KindMP4, Track: o.Track, UID: o.UID, Playable: true,
		Size: info.Size, SHA256: info.SHA256, MD5: info.MD5, DurMicro: o.Dur,
	}
	if o.Kind != "mp4" {
		fact.Kind = spool.KindSound
	}
	if err := s.journal.Append(fact); err != nil {
		return fmt.Errorf("transcode: %w", err)
	}
	s.done[o.Name] = fact
	return nil
}

// Discard implements Sink.
func (s *SpoolSink) Discard(f File) error {
	p, ok := f.(*spool.Part)
	if !ok {
		return errSink
	}
	return p.Discard()
}

// End notes that nothing follows. failed users or files are in note.
func (s *SpoolSink) End(note string) error {
	if s.ended {
		return nil
	}
	s.ended = true
	return s.journal.Append(spool.Fact{Type: spool.FactEnded, Note: note, Recorded: len(s.done) > 0})
}

// Close gives the journal back.
func (s *SpoolSink) Close() error { return s.journal.Close() }
