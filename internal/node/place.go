package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// undoTime bounds what is done to undo a placement that failed.
const undoTime = 12 * time.Second

// take is the node's side of Ledger.Place: when it returns nil, the recording
// is ours, a worker runs for it and commands reach us. An error is the reason
// of a refusal and leaves nothing behind.
func (n *Node) take(ctx context.Context, sid string) error {
	n.placing.Lock()
	defer n.placing.Unlock()
	if known, err := n.closed(sid); known || err != nil {
		return err
	}
	rec, _, err := n.cfg.Ledger.Get(ctx, sid)
	if err != nil {
		return err
	}
	// Every node's sweep comes by here: a fence is no failure to report.
	if region := rec.Plan.Region; region != "" && n.cfg.Region != "" && region != n.cfg.Region {
		return fmt.Errorf("node: the recording stays in %s and this node is in %s", region, n.cfg.Region)
	}
	if err := n.admit.reserve(sid, rec.Plan); err != nil {
		return n.refuse(rec, err)
	}
	if err := n.begin(ctx, rec); err != nil {
		n.admit.release(sid)
		return n.refuse(rec, err)
	}
	return nil
}

// refuse logs a refusal: the caller of the API sees its code only.
func (n *Node) refuse(rec ledger.Record, err error) error {
	n.log.Error("a recording is refused", "sid", rec.SID, "app", rec.App, "error", err)
	return err
}

// closed reports whether sid is ours already, and whether the node takes any.
func (n *Node) closed(sid string) (known bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closing {
		return false, errors.New("node: shutting down")
	}
	return n.keepers[sid] != nil, nil
}

// begin looks before it leaps: only when room, spool and key are there, the
// record is made ours, and only then anything is written or started.
func (n *Node) begin(ctx context.Context, rec ledger.Record) error {
	if err := checkSpool(n.cfg.Spool, n.cfg.MinFree); err != nil {
		return err
	}
	if err := checkQuota(n.cfg.Spool, n.cfg.MaxUsed); err != nil {
		return err
	}
	room, err := n.room(rec.Plan)
	if err != nil {
		return fmt.Errorf("node: no token for the room of app %s: %w", rec.App, err)
	}
	if _, err := n.cfg.Unseal(rec.SID, rec.Private); err != nil {
		return err
	}
	if _, err := n.cfg.Keys.open(rec); err != nil {
		return err
	}
	rec, err = n.cfg.Ledger.Update(ctx, rec.SID, n.own)
	if err != nil {
		return err
	}
	if err := n.launch(rec, room.URL); err != nil {
		return errors.Join(err, n.giveBack(ctx, rec.SID))
	}
	return nil
}

// own makes a record ours that nobody has.
func (n *Node) own(r *ledger.Record) error {
	if r.State != session.Starting || (r.Node != "" && r.Node != n.id) {
		return fmt.Errorf("node: recording %s is %s on node %q", r.SID, r.State, r.Node)
	}
	r.Node = n.id
	n.cfg.Keys.draw(r)
	r.Status = max(r.Status, session.StatusStarting)
	return nil
}

// giveBack makes a record nobody's again.
func (n *Node) giveBack(ctx context.Context, sid string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	_, err := n.cfg.Ledger.Update(ctx, sid, func(r *ledger.Record) error {
		if r.Node == n.id {
			r.Node = ""
		}
		return nil
	})
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	return err
}

// launch makes the spool folder, starts the worker and the keeper. What it
// made is removed when it fails.
func (n *Node) launch(rec ledger.Record, url string) error {
	dir, err := spool.Create(n.cfg.Spool, rec.SID)
	if err != nil {
		return err
	}
	k := n.newKeeper(rec, dir)
	k.url = url
	p, ship, err := k.prepare()
	if err != nil {
		n.remove(dir)
		return err
	}
	n.start(k, p, ship)
	return nil
}

// prepare does what may refuse the start, the worker last.
func (k *keeper) prepare() (*process, Shipper, error) {
	if err := k.dir.WriteSession(k.rec); err != nil {
		return nil, nil, err
	}
	ship, err := k.n.cfg.Shipper(k.dir, k.rec, k.shipped)
	if err != nil {
		return nil, nil, fmt.Errorf("node: storage: %w", err)
	}
	if err := k.serve(); err != nil {
		return nil, nil, err
	}
	p, err := spawn(k.n.cfg.Worker, k.n.cfg.Env, k.dir.Path())
	if err != nil {
		k.unserve()
		return nil, nil, err
	}
	return p, ship, nil
}

// serve makes commands reach the keeper.
func (k *keeper) serve() error {
	unserve, err := k.n.cfg.Ledger.ServeSession(k.sid, k.answer)
	if err != nil {
		return err
	}
	k.unserve = unserve
	return nil
}

func (n *Node) remove(dir *spool.Dir) {
	if err := dir.Remove(); err != nil {
		n.log.Error("a spool folder cannot be removed", "folder", dir.Path(), "error", err)
	}
}
