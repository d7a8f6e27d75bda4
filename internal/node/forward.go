package node

import (
	"context"
	"sync"
	"time"

	"tapedeck/internal/ledger"
	"tapedeck/internal/spool"
)

// forwarder moves home what finished recordings have in the backup store. Its
// schedule lies in the spool folders and survives restarts.
type forwarder struct {
	mu   sync.Mutex
	sids map[string]bool // folders with something away → it is being moved now
	jobs sync.WaitGroup
}

// forwardsAtOnce bounds how many recordings are moved home at a time.
const forwardsAtOnce = 4

// forwardTime is how long one attempt may take, however much there is.
const forwardTime = time.Hour

// forwardSteps are the pauses between attempts, in multiples of the first; the
// last is repeated until the horizon.
func forwardSteps() []int { return []int{1, 4, 10, 45, 120, 180} }

// forward puts a finished recording on the schedule. ended is when its uploads
// were done, as far as they could be.
func (n *Node) forward(dir *spool.Dir, ended time.Time) {
	log := n.log.With("sid", dir.SID())
	f, err := dir.ReadForwarding()
	if err != nil {
		log.Warn("the schedule of files in the backup store cannot be read and begins anew", "error", err)
	}
	if f == nil {
		f = &spool.Forwarding{Since: ended.Unix(), Next: n.now().Add(n.cfg.times.forward).Unix()}
		if err := dir.WriteForwarding(f); err != nil {
			log.Error("the schedule of files in the backup store cannot be written; they are tried again after a restart", "error", err)
		}
	}
	n.homeward.mu.Lock()
	defer n.homeward.mu.Unlock()
	if n.homeward.sids == nil {
		n.homeward.sids = map[string]bool{}
	}
	n.homeward.sids[dir.SID()] = false
}

// forwardDue starts what the schedule calls for.
func (n *Node) forwardDue(ctx context.Context, now time.Time) {
	n.homeward.mu.Lock()
	defer n.homeward.mu.Unlock()
	busy := 0
	for _, b := range n.homeward.sids {
		if b {
			busy++
		}
	}
	for sid, b := range n.homeward.sids {
		if b || busy >= forwardsAtOnce {
			continue
		}
		dir, err := spool.Open(n.cfg.Spool, sid)
		if err != nil {
			delete(n.homeward.sids, sid)
			continue
		}
		f := n.forwardStep(dir, now)
		if f == nil {
			continue
		}
		busy++
		n.homeward.sids[sid] = true
		n.homeward.jobs.Go(func() { n.forwardOnce(ctx, dir, f) })
	}
}

// forwardStep returns the schedule of a folder if an attempt is due.
func (n *Node) forwardStep(dir *spool.Dir, now time.Time) *spool.Forwarding {
	f, err := dir.ReadForwarding()
	if err != nil || f == nil {
		f = &spool.Forwarding{Since: now.Unix()}
	}
	if dir.TakeRetry() {
		f.Ended, f.Next = false, 0
	}
	// A clock that was set back must not make anything wait for ever.
	far := now.Add(n.forwardPause(1 << 20)).Unix()
	if f.Ended || (now.Unix() < f.Next && f.Next <= far) {
		return nil
	}
	return f
}

func (n *Node) forwardPause(tries int) time.Duration {
	steps := forwardSteps()
	return time.Duration(steps[min(max(tries, 0), len(steps)-1)]) * n.cfg.times.forward
}

// forwardOnce tries to move everything of one recording home.
func (n *Node) forwardOnce(ctx context.Context, dir *spool.Dir, f *spool.Forwarding) {
	left, last := n.forwardRun(ctx, dir)
	done := left == 0
	if !done && ctx.Err() == nil {
		n.forwardLater(dir, f, left, last)
	}
	if done {
		n.log.Info("all files of a recording came home from the backup store", "sid", dir.SID())
		if err := dir.WriteForwarding(nil); err != nil {
			n.log.Warn("a schedule that is over cannot be removed", "sid", dir.SID(), "error", err)
		}
		n.mu.Lock()
		n.finished[dir.SID()] = time.Unix(f.Since, 0).Add(n.cfg.Keep)
		n.mu.Unlock()
	}
	n.homeward.mu.Lock()
	defer n.homeward.mu.Unlock()
	if done {
		delete(n.homeward.sids, dir.SID())
		return
	}
	n.homeward.sids[dir.SID()] = false
}

// forwardRun ships once more and returns how many files are still away.
func (n *Node) forwardRun(ctx context.Context, dir *spool.Dir) (left int, last error) {
	var rec ledger.Record
	err := dir.ReadSession(&rec)
	var s Shipper
	if err == nil {
		s, err = n.cfg.Shipper(dir, rec, func(p ShipProgress) { last = p.LastError })
	}
	if err == nil {
		bounded, cancel := context.WithTimeout(ctx, forwardTime)
		defer cancel()
		err = s.Run(bounded)
	}
	if err != nil {
		last = err
	}
	receipts, err := dir.ReadReceipts()
	if err != nil {
		return 1, err
	}
	return countAway(spool.Settled(receipts)), last
}

func countAway(settled map[string]spool.Receipt) (n int) {
	for _, r := range settled {
		if r.Backup != "" {
			n++
		}
	}
	return n
}

func (n *Node) forwardLater(dir *spool.Dir, f *spool.Forwarding, left int, last error) {
	now := n.now()
	f.Tries++
	pause := n.forwardPause(f.Tries)
	f.Next = now.Add(pause).Unix()
	log := n.log.With("sid", dir.SID(), "files", left, "tries", f.Tries, "error", last)
	if now.Sub(time.Unix(f.Since, 0)) > n.cfg.times.horizon {
		f.Ended = true
		log.Error("files stay in the backup store: the caller's store did not take them in time; `tapedeck spool retry` tries again", "folder", dir.Path())
	} else {
		log.Warn("files in the backup store could not be moved home, it will be tried again", "in", pause)
	}
	if err := dir.WriteForwarding(f); err != nil {
		log.Error("the schedule of files in the backup store cannot be written", "cause", err)
	}
}
