package app

import (
	"context"

	"tapedeck/internal/node"
	"tapedeck/internal/spool"
)

// startNode makes this process a place where recordings run.
func (a *App) startNode(ctx context.Context) error {
	worker, err := workerPath(a.cfg)
	if err != nil {
		return err
	}
	ship, err := a.shippers()
	if err != nil {
		return err
	}
	a.node, err = node.Open(ctx, node.Config{
		Data: a.cfg.Data, Spool: spoolDir(a.cfg), Worker: []string{worker},
		Ledger: a.ledger, Rooms: rooms{a.accounts, a.cfg.Node.Region}, Region: a.cfg.Node.Region, Shipper: ship, Unseal: a.unseal,
		Cores: a.cfg.Node.Cores, MinFree: uint64(a.cfg.Spool.MinFreeMB) << 20, Keep: a.cfg.Spool.Keep,
		Log: a.log,
	})
	if err != nil {
		return err
	}
	a.onStop(func(ctx context.Context) error { return a.node.Close(ctx, a.cfg.FinishOnStop()) })
	a.health.Add("spool", func(context.Context) error { return spool.Writable(spoolDir(a.cfg)) })
	return nil
}
