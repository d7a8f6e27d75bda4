package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"tapedeck/internal/ledger"
	"tapedeck/internal/node"
	"tapedeck/internal/postpone"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/upload/vendor"
)

// startJobs opens the queue of postponed work and begins to take from it.
func (a *App) startJobs(ctx context.Context) error {
	jobs, err := a.ledger.OpenJobs(ctx, a.cfg.NATS.Replicas)
	if err != nil {
		return err
	}
	a.jobs = jobs
	worker, err := workerPath(a.cfg)
	if err != nil {
		return err
	}
	policy, err := egress(a.cfg)
	if err != nil {
		return err
	}
	ship, err := a.shippers()
	if err != nil {
		return err
	}
	root := filepath.Join(a.cfg.Data, "jobs")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return err
	}
	r := postpone.New(postpone.Config{
		Root: root, Spool: spoolDir(a.cfg), Worker: []string{worker}, Queue: jobs,
		Records: func(ctx context.Context, sid string) (ledger.Record, error) {
			rec, _, err := a.ledger.Get(ctx, sid)
			return rec, err
		},
		Open: func(rec ledger.Record) (postpone.Source, session.Target, error) {
			return (&shipper{app: a, policy: policy}).open(rec)
		},
		Keys: a.jobKeys,
		Gone: func(err error) bool { return errors.Is(err, vendor.ErrNoObject) },
		Ship: func(dir *spool.Dir, rec ledger.Record) (postpone.Shipper, error) {
			return ship(dir, rec, func(node.ShipProgress) {})
		},
		Outbox: a.outbox, Wanted: func(app string) bool { told, _ := a.accounts.Told(app); return told },
		Now: time.Now, Log: a.log,
	})
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(work)
	}()
	a.onStop(func(ctx context.Context) error {
		stop()
		select {
		case <-done:
		case <-ctx.Done():
		}
		return nil
	})
	return nil
}

// jobKeys opens the keys of a recording that work is done on.
func (a *App) jobKeys(rec ledger.Record) (k postpone.Keys, err error) {
	if len(rec.SpoolKey) > 0 {
		if k.Spool, err = openSpoolKey(a.ring, rec.SID, rec.SpoolKey); err != nil {
			return k, err
		}
	}
	if rec.Plan.HLS == nil {
		return k, nil
	}
	private, err := a.unseal(rec.SID, rec.Private)
	k.Content = private.ContentKey
	return k, err
}
