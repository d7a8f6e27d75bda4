package upload

import (
	"tapedeck/internal/session"
	"tapedeck/internal/upload/vendor"
)

// Progress is how far a recording's files have come.
type Progress struct {
	Files        []session.File // playlists and MP4s of which the store has something, in the order they began
	SliceStart   int64          // Unix ms at which the first slice begins, 0 before there is one
	Uploaded     int            // files in the store, playlists by their newest content
	Waiting      int            // files that are not
	WaitingBytes int64
	Lost         int  // files that could not be read from the spool any more
	Ended        bool // the worker writes nothing more
	// LastError is why the newest attempt failed; nil when it did not. It holds
	// no credentials. Fault says whose it is.
	LastError error
	Fault     vendor.Fault
}

// Done reports whether nothing more will happen.
func (p Progress) Done() bool { return p.Ended && p.Waiting == 0 }

func (s *Ship) progress() Progress {
	p := Progress{
		Files: s.cargo.files(s.cfg.Prefix), SliceStart: s.cargo.first, Ended: s.cargo.ended,
		LastError: s.lastErr, Fault: s.lastFault,
	}
	s.cargo.count(&p)
	return p
}

// report tells the recording's owner what changed.
func (s *Ship) report() {
	if s.changed && s.cfg.Progress != nil {
		s.cfg.Progress(s.progress())
	}
	s.changed = false
}
