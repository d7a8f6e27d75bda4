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
// time and last, they are large and may take long.
func (s *Ship) load() []job {
	s.cargo.settle()
	now := s.cfg.Now()
	room := s.breaker.width(now, s.cfg.Parallel) - s.running
	if room <= 0 {
		return nil
	}
	var jobs []job
	for _, pick := range []func(*item) bool{s.playlistDue, isSmall, isLarge} {
		for _, i := range s.cargo.waiting {
			if len(jobs) >= room {
				return jobs
			}
			if i.busy || now.Before(i.notBefore) || !pick(i) {
				continue
			}
			if isLarge(i) && s.largeUnderWay(jobs) {
				continue
			}
			jobs = append(jobs, s.newJob(i))
		}
	}
	return jobs
}

func isSmall(i *item) bool { return !i.playlist && i.fact.Kind != spool.KindMP4 }
func isLarge(i *item) bool { return !i.playlist && i.fact.Kind == spool.KindMP4 }

func (s *Ship) largeUnderWay(begun []job) bool {
	for _, j := range begun {
		if isLarge(j.item) {
			return true
		}
	}
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
		s.failed(result{job: job{item: i}, err: err})
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
	i.tries++
	fault := vendor.FaultOf(r.err)
	now := s.cfg.Now()
	i.notBefore = now.Add(s.cfg.Backoff.delay(i.tries, fault, s.cfg.Random()))
	s.breaker.failed(now, fault, s.cfg.Backoff, s.cfg.Random())
	s.lastErr, s.lastFault, s.changed = r.err, fault, true

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
