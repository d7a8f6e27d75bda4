package upload

import (
	"fmt"
	"strings"
	"time"

	"tapedeck/internal/spool"
	"tapedeck/internal/upload/vendor"
)

// Backup is the operator's store for what a caller's store does not take for
// the moment. What only the caller can mend (a wrong key, no bucket) never goes
// there (spec/files.md 8).
type Backup struct {
	Store  vendor.Store // nil = there is none, the spool keeps everything
	Prefix string       // before names in its keys; ends with a slash
	// After is how long the caller's store must have been out of order while the
	// recording goes on, AfterEnd once it has ended and somebody waits for the
	// outcome. 0 = 2 min, 5 s.
	After, AfterEnd time.Duration
}

const (
	backupAfter    = 2 * time.Minute
	backupAfterEnd = 5 * time.Second
	// backupTries is after how many failures in a row a single file goes to the
	// backup store although others get through.
	backupTries = 5
	// backupParallel files of a recording go to the backup store at a time,
	// beside those that try the caller's store.
	backupParallel = 2
	// returnTries is how often a file is tried to be moved home before the
	// recording is let go; the schedule goes on with it later.
	returnTries = 3
)

func (b Backup) withDefaults() Backup {
	if b.After <= 0 {
		b.After = backupAfter
	}
	if b.AfterEnd <= 0 {
		b.AfterEnd = backupAfterEnd
	}
	return b
}

// patient is how long the caller's store may fail before the backup store is used.
func (s *Ship) patient() time.Duration {
	if s.cargo.ended {
		return min(s.cfg.Backup.After, s.cfg.Backup.AfterEnd)
	}
	return s.cfg.Backup.After
}

// loadBackup picks what goes to the backup store now.
func (s *Ship) loadBackup(now time.Time) (jobs []job) {
	if s.cfg.Backup.Store == nil {
		return nil
	}
	room := s.refuge.width(now, s.cfg.Backoff, backupParallel) - s.running[toBackup] - s.running[clearOut]
	for _, i := range s.cargo.waiting {
		if len(jobs) >= room {
			break
		}
		if !i.busy && s.wantsBackup(i, now) {
			s.intend(i)
			jobs = append(jobs, s.begin(s.newJob(toBackup, i, s.cfg.Backup.Store, s.cfg.Backup.Prefix+i.name)))
		}
	}
	return jobs
}

// intend makes it durable that a copy will be put into the backup store, so that
// one of which nothing else is known any more is removed all the same. A full
// disk keeps nothing from being saved.
func (s *Ship) intend(i *item) {
	key := s.cfg.Backup.Prefix + i.name
	if i.backup == key || s.cargo.intended[i.name] == key {
		return
	}
	r := spool.Receipt{Name: i.name, State: spool.ReceiptIntent, Backup: key}
	if err := s.receipts.Append(r); err != nil {
		s.cfg.Log.Warn("that a file goes to the backup store could not be noted", "file", i.name, "err", err)
	}
	s.cargo.recall(r)
}

func (s *Ship) wantsBackup(i *item, now time.Time) bool {
	long := s.patient()
	out := s.breaker.out(now, long)
	if now.Before(i.since) {
		i.since = now // the clock was set back
	}
	alone := i.tries >= backupTries && i.fault == vendor.Destination && now.Sub(i.since) >= long
	if !i.playlist {
		return out || alone
	}
	// A playlist is in the spool as long as it grows. At the end it goes where
	// its slices went.
	if !s.cargo.ended || (!out && !alone && !s.stranded(i)) {
		return false
	}
	if (i.snap == nil || i.snap.sent < i.wanted) && !s.snap(i) {
		return false
	}
	return i.snap.sheltered()
}

// stranded: slices of the playlist are in the backup store and cannot be moved
// home now.
func (s *Ship) stranded(i *item) bool {
	if s.breaker.failures == 0 {
		return false
	}
	for _, n := range s.cargo.needs(i) {
		if n.backup != "" {
			return true
		}
	}
	return false
}

// loadReturns picks what is moved from the backup store to the caller's, when
// nothing else is to be sent to it. While that is out of order, one file finds
// out whether it still is.
func (s *Ship) loadReturns(now time.Time, begun int) (jobs []job) {
	if s.cfg.Backup.Store == nil || len(s.cargo.away) == 0 {
		return nil
	}
	home := 0
	if begun == 0 {
		home = s.breaker.width(now, s.cfg.Backoff, s.cfg.Parallel) - s.running[toHome] - s.running[bring]
	}
	tidy := s.refuge.width(now, s.cfg.Backoff, backupParallel) - s.running[toBackup] - s.running[clearOut]
	for _, i := range s.cargo.away {
		switch {
		case !i.due(now, s.cfg.Backoff):
		case !i.behind() && !i.open() && tidy > 0:
			tidy--
			j := job{kind: clearOut, item: i, name: i.name, store: s.cfg.Backup.Store, source: i.backup}
			jobs = append(jobs, s.begin(j))
		case i.behind() && home > 0 && s.mayReturn(i):
			home--
			j := s.newJob(bring, i, s.currentStore(), s.homeKey(i, now))
			j.from, j.source = s.cfg.Backup.Store, i.backup
			jobs = append(jobs, s.begin(j))
		}
	}
	return jobs
}

// mayReturn: a playlist follows its slices.
func (s *Ship) mayReturn(i *item) bool {
	if !i.playlist {
		return true
	}
	if i.open() || (i.snap == nil && !s.snap(i)) {
		return false // a newer one is on its way
	}
	return i.snap.satisfied()
}

// homeKey is where an item goes that comes from the backup store. A playlist
// gets a name of its own, <name>_<tick>_<index>, so that the caller can tell it
// from the one that was written before (files.md 2); the tick has 11 digits
// there: tenths of a second.
func (s *Ship) homeKey(i *item, now time.Time) string {
	if !i.playlist {
		return s.cfg.Prefix + i.name
	}
	dot := strings.LastIndexByte(i.name, '.')
	if dot < 0 {
		dot = len(i.name)
	}
	return fmt.Sprintf("%s%s_%d_%d%s", s.cfg.Prefix, i.name[:dot], now.UnixMilli()/100, s.cargo.versions[i.name], i.name[dot:])
}

// canReturn reports whether moving files home is worth waiting for: nothing
// has failed on the way lately.
func (s *Ship) canReturn() bool {
	if s.cfg.Backup.Store == nil {
		return false
	}
	for _, i := range s.cargo.away {
		switch {
		case i.backup == "" || i.tries >= returnTries:
		case i.behind() && s.breaker.failures == 0:
			return true
		case !i.behind() && s.refuge.failures == 0:
			return true
		}
	}
	return false
}
