package upload

import (
	"errors"
	"io"
	"time"

	"tapedeck/internal/spool"
	"tapedeck/internal/upload/vendor"
)

// load returns the jobs to begin now. Playlists come first, they are small and
// people wait for them; then files in the order they were closed; MP4s one at a
// time and last, they are large and may take long. What is in the backup store
// is moved when nothing else is to do.
func (s *Ship) load() []job {
	s.cargo.settle()
	now := s.cfg.Now()
	jobs := s.loadHome(now)
	jobs = append(jobs, s.loadBackup(now)...)
	return append(jobs, s.loadReturns(now, len(jobs))...)
}

// begin counts a job as under way.
func (s *Ship) begin(j job) job {
	j.item.busy = true
	s.running[j.kind]++
	return j
}

func (s *Ship) loadHome(now time.Time) (jobs []job) {
	room := s.breaker.width(now, s.cfg.Backoff, s.cfg.Parallel) - s.running[toHome] - s.running[bring]
	for _, pick := range []func(*item) bool{s.playlistDue, isSmall, isLarge} {
		for _, i := range s.cargo.waiting {
			if len(jobs) >= room {
				return jobs
			}
			if !i.due(now, s.cfg.Backoff) || !pick(i) || (isLarge(i) && s.largeUnderWay()) {
				continue
			}
			jobs = append(jobs, s.begin(s.newJob(toHome, i, s.currentStore(), s.cfg.Prefix+i.name)))
		}
	}
	return jobs
}

func isSmall(i *item) bool { return !i.playlist && i.fact.Kind != spool.KindMP4 }
func isLarge(i *item) bool { return !i.playlist && i.fact.Kind == spool.KindMP4 }

func (s *Ship) largeUnderWay() bool {
	for _, i := range s.cargo.waiting {
		if i.busy && isLarge(i) {
			return true
		}
	}
	return false
}

// playlistDue reports whether a playlist's content may be put: when every
// slice that it can name is in the store. The content is taken once and kept
// until it was put, so that a slow line cannot hold a playlist back for ever
// while new slices come.
func (s *Ship) playlistDue(i *item) bool {
	if !i.playlist {
		return false
	}
	if i.snap == nil && !s.snap(i) {
		return false
	}
	return i.snap.satisfied()
}

// snap takes the content of a playlist. The order matters: first the newest
// fact is known, then the content is read, which has at least what that fact
// says; then the journal is read to its end, which has at least the slices
// that the content names.
func (s *Ship) snap(i *item) bool {
	wanted := i.wanted
	f, err := s.cfg.Dir.OpenFile(i.name)
	var content []byte
	if err == nil {
		content, err = io.ReadAll(f)
		_ = f.Close()
	}
	if err == nil {
		err = s.follow()
	}
	if err != nil {
		s.failed(result{job: job{item: i, name: i.name}, err: err})
		return false
	}
	i.snap = &snapshot{content: content, sent: wanted, needs: s.cargo.needs(i)}
	return true
}

// patience is how often a file that is not in the spool is looked for.
const patience = 5

// failed notes a failed attempt and when the next one is due.
func (s *Ship) failed(r result) {
	i := r.job.item
	now := s.cfg.Now()
	fault := vendor.FaultOf(r.err)
	if i.tries++; i.tries == 1 || fault != i.fault {
		i.since = now
	}
	i.fault = fault
	i.notBefore = now.Add(s.cfg.Backoff.delay(i.tries, fault, s.cfg.Random()))
	s.changed = true
	if r.job.kind == toBackup || r.job.kind == clearOut {
		s.backupRetries++
		s.refuge.failed(now, fault, s.cfg.Backoff, s.cfg.Random())
		s.cfg.Log.Error("the backup store failed, it will be tried again: check backup in the configuration",
			"file", i.name, "tries", i.tries, "in", i.notBefore.Sub(now).Round(time.Millisecond), "err", r.err)
		return
	}
	s.retries++
	s.breaker.failed(now, fault, s.cfg.Backoff, s.cfg.Random())
	s.lastErr, s.lastFault = r.err, fault
	if errors.Is(r.err, spool.ErrNotFound) && i.tries >= patience {
		s.giveUp(i, r.err)
		return
	}
	s.cfg.Log.Warn("upload failed, it will be tried again", "file", i.name, "fault", fault.String(),
		"tries", i.tries, "in", i.notBefore.Sub(now).Round(time.Millisecond), "err", r.err)
}

// giveUp notes that a file is not in the spool any more, so that the rest of
// the recording can be finished.
func (s *Ship) giveUp(i *item, cause error) {
	r := spool.Receipt{
		Name: i.name, SHA256: i.fact.SHA256, Key: s.cfg.Prefix + i.name, Index: i.wanted,
		State: spool.ReceiptRefused, Note: "not in the spool",
	}
	if s.receipts.Append(r) != nil {
		return // it stays waiting and is given up later
	}
	s.cargo.acknowledge(i, r)
	s.cfg.Log.Error("a file of the recording is lost: it is not in the spool any more", "file", i.name, "err", cause)
}
