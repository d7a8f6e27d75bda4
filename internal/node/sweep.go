package node

import (
	"context"
	"errors"
	"time"

	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// sweepLoop looks after what no event brings up.
func (n *Node) sweepLoop(ctx context.Context) {
	t := time.NewTicker(n.cfg.times.sweep)
	defer t.Stop()
	var space spaceWatch
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			space.look(n.now(), n.log, n.cfg.Spool, n.cfg.MinFree, n.cfg.MaxUsed)
			n.forwardDue(ctx, n.now())
			n.retryAsked(ctx)
			n.sweep(ctx)
		}
	}
}

// sweep gives up overdue uploads, removes folders whose time has come and
// takes recordings that were claimed but placed nowhere: the API process died
// in between, and their callers may have been told that they run.
func (n *Node) sweep(ctx context.Context) {
	now := n.now()
	n.mu.Lock()
	keepers := n.snapshot()
	var old []string
	for sid, at := range n.finished {
		if now.After(at) {
			old = append(old, sid)
			delete(n.finished, sid)
		}
	}
	n.mu.Unlock()
	for _, k := range keepers {
		k.overdue(now)
	}
	for _, sid := range old {
		if dir, err := spool.Open(n.cfg.Spool, sid); err == nil {
			n.remove(dir)
		}
	}
	records, err := n.cfg.Ledger.Unfinished(ctx)
	if err != nil {
		n.log.Warn("the ledger cannot be looked through", "error", err)
		return
	}
	known := map[string]bool{}
	for _, rec := range records {
		known[rec.SID] = true
		n.sweepRecord(ctx, rec, now)
	}
	for _, k := range keepers {
		if !known[k.sid] {
			wake(k.changed) // it will find out what became of its record
		}
	}
}

// retryAsked takes up folders again that nothing looks after and for which an
// operator asked (`tapedeck spool retry`).
func (n *Node) retryAsked(ctx context.Context) {
	sids, err := spool.List(n.cfg.Spool)
	if err != nil {
		n.log.Warn("the spool cannot be listed", "error", err)
		return
	}
	for _, sid := range sids {
		if n.lookedAfter(sid) {
			continue
		}
		dir, err := spool.Open(n.cfg.Spool, sid)
		if err != nil || !dir.TakeRetry() {
			continue
		}
		n.placing.Lock()
		if known, err := n.closed(sid); !known && err == nil {
			if err := n.recoverFolder(ctx, sid); err != nil {
				n.log.Error("a recording cannot be taken up again", "sid", sid, "error", err)
			}
		}
		n.placing.Unlock()
	}
}

func (n *Node) lookedAfter(sid string) bool {
	n.homeward.mu.Lock()
	_, away := n.homeward.sids[sid]
	n.homeward.mu.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	return away || n.keepers[sid] != nil
}

func (n *Node) sweepRecord(ctx context.Context, rec ledger.Record, now time.Time) {
	switch {
	case rec.Node == n.id:
		if known, err := n.closed(rec.SID); !known && err == nil {
			n.recoverRecord(ctx, rec)
		}
	case rec.Node == "" && rec.State == session.Starting && now.Sub(rec.Created) > n.cfg.times.unplaced:
		n.takeStray(ctx, rec, now)
	}
}

// takeStray places a recording that nobody took, or fails it when its caller
// has given up waiting.
func (n *Node) takeStray(ctx context.Context, rec ledger.Record, now time.Time) {
	cause := n.take(ctx, rec.SID)
	if cause == nil {
		n.log.Warn("a recording that no node had taken is taken", "sid", rec.SID)
		return
	}
	if now.Sub(rec.Created) < n.cfg.times.lost {
		return
	}
	reason := "no node took it: " + cause.Error()
	// It is made ours first: then no other node takes it while its end is told.
	_, err := n.cfg.Ledger.Update(ctx, rec.SID, func(r *ledger.Record) error {
		if r.Node != "" || r.State != session.Starting {
			return errNotOurs
		}
		r.Node, r.Reason = n.id, reason
		return nil
	})
	if err == nil {
		err = n.fail(ctx, rec.SID, reason)
	}
	if err == nil {
		n.log.Error("a recording failed: no node took it", "sid", rec.SID, "error", cause)
	} else if !errors.Is(err, errNotOurs) {
		n.log.Warn("a recording that no node took cannot be ended now", "sid", rec.SID, "error", err)
	}
}
