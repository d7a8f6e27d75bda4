package upload

import (
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/upload/vendor"
)

// Progress is how far a recording's files have come.
type Progress struct {
	Files        []session.File // playlists and MP4s of which a store has something, in the order they began
	SliceStart   int64          // Unix ms at which the first slice begins, 0 before there is one
	Uploaded     int            // files in the caller's store, playlists by their newest content
	Backuped     int            // files in the backup store only
	Waiting      int            // files that are in neither
	WaitingBytes int64
	Bytes, Total int64 // of all files: in a store, and altogether
	Lost         int   // files that could not be read from the spool any more
	Ended        bool  // the worker writes nothing more
	// Retries and BackupRetries count failed attempts at the two stores.
	Retries, BackupRetries int
	// LastError is why the newest attempt failed; nil when it did not. It holds
	// no credentials. Fault says whose it is.
	LastError error
	Fault     vendor.Fault
}

// Done reports whether nothing more will happen, but for what is moved home
// from the backup store.
func (p Progress) Done() bool { return p.Ended && p.Waiting == 0 }

func (s *Ship) progress() Progress {
	p := Progress{
		Files: s.cargo.files(), SliceStart: s.cargo.first, Ended: s.cargo.ended,
		LastError: s.lastErr, Fault: s.lastFault, Retries: s.retries, BackupRetries: s.backupRetries,
	}
	s.cargo.count(&p)
	return p
}

// report tells the recording's owner what changed.
func (s *Ship) report() {
	if !s.changed {
		return
	}
	s.remember()
	if s.cfg.Progress != nil {
		s.cfg.Progress(s.progress())
	}
	s.changed = false
}

// waits is what was last written about failures, for operators.
type waits struct {
	written bool
	at      time.Time
	retries int
}

// rememberEvery bounds how often the file about failures is written.
const rememberEvery = 2 * time.Second

// remember keeps why files wait where `tapedeck spool` finds it. It is of no
// use to recovery, so that it fails is no harm.
func (s *Ship) remember() {
	now := s.cfg.Now()
	switch {
	case s.lastErr == nil && s.waits.written:
		s.waits = waits{}
		_ = s.cfg.Dir.WriteWaiting(nil)
	case s.lastErr != nil && s.retries != s.waits.retries && now.Sub(s.waits.at) >= rememberEvery:
		s.waits = waits{written: true, at: now, retries: s.retries}
		_ = s.cfg.Dir.WriteWaiting(&spool.Waiting{
			At: now.Unix(), Since: s.breaker.since.Unix(), Error: s.lastErr.Error(), Fault: s.lastFault.String(), Retries: s.retries,
		})
	}
}
