package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// recover takes up what an earlier run left: every spool folder, whether the
// ledger knows it or not, and every record of ours without a folder.
func (n *Node) recover(ctx context.Context) error {
	sids, err := spool.List(n.cfg.Spool)
	if err != nil {
		return fmt.Errorf("node: recover: %w", err)
	}
	for _, sid := range sids {
		if err := n.recoverFolder(ctx, sid); err != nil {
			return fmt.Errorf("node: recover recording %s: %w", sid, err)
		}
	}
	records, err := n.cfg.Ledger.Unfinished(ctx)
	if err != nil {
		return err
	}
	for _, rec := range records {
		if rec.Node == n.id {
			n.recoverRecord(ctx, rec)
		}
	}
	return nil
}

// recoverFolder goes on with one spool folder. A folder that cannot be
// understood is left alone; only a silent ledger is an error.
func (n *Node) recoverFolder(ctx context.Context, sid string) error {
	log := n.log.With("sid", sid)
	dir, err := spool.Open(n.cfg.Spool, sid)
	if err != nil {
		log.Error("a spool folder cannot be opened and is left alone", "error", err)
		return nil
	}
	var saved ledger.Record
	if err := dir.ReadSession(&saved); err != nil || saved.SID != sid {
		n.recoverNameless(dir, err)
		return nil
	}
	rec, _, err := n.cfg.Ledger.Get(ctx, sid)
	known := err == nil && rec.Node == n.id
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	if !known {
		rec = saved
	}
	k := n.newKeeper(rec, dir)
	k.orphan = !known
	k.replan = !reflect.DeepEqual(saved.Plan, rec.Plan)
	k.readJournal()
	if known && rec.State == session.Done {
		k.p.shipped = true
		n.keep(dir, k.p)
		return nil
	}
	if err := k.resume(rec); err != nil {
		return err
	}
	log.Info("a recording of an earlier run goes on", "state", rec.State, "in_ledger", known)
	n.start(k, nil, nil)
	return nil
}

// resume puts a new keeper into the state that its record is in.
func (k *keeper) resume(rec ledger.Record) error {
	switch {
	case k.orphan, rec.State.Exiting():
		k.wantStop()
	case rec.State == session.Failed:
		k.p.failure = rec.Reason
		k.wantStop()
	}
	wake(k.changed)
	if !k.isEnded() {
		k.n.admit.book(k.sid, rec.Plan)
	}
	if k.orphan || rec.State.Ended() {
		return nil
	}
	return k.serve()
}

// recoverNameless deals with a folder without a readable session.json: one
// that a crash left before anything was in it goes, any other stays.
func (n *Node) recoverNameless(dir *spool.Dir, err error) {
	facts, _, jerr := dir.ReadJournal(0)
	if errors.Is(err, spool.ErrNotFound) && len(facts) == 0 && (jerr == nil || errors.Is(jerr, spool.ErrNotFound)) {
		n.remove(dir)
		return
	}
	n.log.Error("a spool folder has no readable session.json: its files cannot be shipped and stay; save what is in files/ and remove the folder",
		"folder", dir.Path(), "error", err)
}

// recoverRecord deals with a record of ours that nothing looks after: the node
// died between owning it and making its folder, or the folder was taken away.
func (n *Node) recoverRecord(ctx context.Context, rec ledger.Record) {
	n.placing.Lock()
	defer n.placing.Unlock()
	if known, err := n.closed(rec.SID); known || err != nil {
		return
	}
	var err error
	if rec.State == session.Starting && n.now().Sub(rec.Created) < n.cfg.times.lost {
		_, err = n.cfg.Ledger.Update(ctx, rec.SID, func(r *ledger.Record) error {
			if r.Node != n.id || r.State != session.Starting {
				return errNotOurs
			}
			r.Node = "" // the sweep places it anew
			return nil
		})
	} else {
		err = n.fail(ctx, rec.SID, cmp.Or(rec.Reason, "its spool folder is gone"))
	}
	switch {
	case err == nil:
		n.log.Error("a record of ours had no spool folder", "sid", rec.SID, "was", rec.State)
	case !errors.Is(err, errNotOurs):
		n.log.Warn("a record of ours without a spool folder stays as it is", "sid", rec.SID, "error", err)
	}
}

// fail ends a record of ours that nothing looks after, and tells its caller
// first. errNotOurs: it has ended, or is another node's.
func (n *Node) fail(ctx context.Context, sid, reason string) error {
	// The record that led here may be older than the end of its keeper.
	rec, _, err := n.cfg.Ledger.Get(ctx, sid)
	if err != nil {
		return err
	}
	if rec.Node != n.id || rec.State.Ended() {
		return errNotOurs
	}
	if err := n.tellLost(ctx, rec, reason); err != nil {
		return fmt.Errorf("node: its caller cannot be told now: %w", err)
	}
	_, err = n.cfg.Ledger.Update(ctx, sid, func(r *ledger.Record) error {
		if r.Node != n.id || r.State.Ended() {
			return errNotOurs
		}
		r.Reason = reason
		return r.SetState(session.Failed, session.StatusAbnormal)
	})
	return err
}

// keep removes the files of a finished recording that have their receipts and
// gives the rest of the folder a date to go. A folder in which something has
// no receipt stays until somebody decides.
func (n *Node) keep(dir *spool.Dir, p progress) {
	log := n.log.With("folder", dir.Path())
	receipts, err := dir.ReadReceipts()
	if err != nil {
		log.Error("the receipts cannot be read, so the files stay", "error", err)
		return
	}
	settled := spool.Settled(receipts)
	refused := p.givenUp != ""
	away := countAway(settled) > 0
	for name, r := range settled {
		if r.Backup != "" && r.Index != 0 {
			continue // a playlist that will be forwarded
		}
		if r.State == spool.ReceiptRefused {
			refused = true
			continue
		}
		if err := dir.RemoveFile(name); err != nil {
			log.Warn("a shipped file cannot be removed", "name", name, "error", err)
		}
	}
	if away && p.givenUp == "" {
		n.forward(dir, time.UnixMicro(p.view.endedAt))
		return
	}
	parts, err := dir.Parts()
	if refused || err != nil || len(parts) > 0 {
		log.Warn("the folder has files that no destination took: it stays until you save them and remove it", "unfinished", len(parts), "error", err)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.finished[dir.SID()] = time.UnixMicro(p.view.endedAt).Add(n.cfg.Keep)
}
