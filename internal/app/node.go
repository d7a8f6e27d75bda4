package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tapedeck/internal/account"
	"tapedeck/internal/channel/livekit"
	"tapedeck/internal/ledger"
	"tapedeck/internal/link"
	"tapedeck/internal/node"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/upload"
)

// uploadsAtOnce bounds the files that a node ships at the same time, over all
// recordings.
const uploadsAtOnce = 16

// rooms mints what a worker needs to join; the LiveKit secrets stay here.
type rooms struct{ accounts *account.Directory }

// Room implements node.Minter.
func (r rooms) Room(plan session.Plan, ttl time.Duration) (link.Room, error) {
	p, ok := r.accounts.App(plan.AppID)
	if !ok {
		return link.Room{}, fmt.Errorf("app %s is not configured any more", plan.AppID)
	}
	identity := "rec-" + plan.SID
	token, err := livekit.MintToken(p.LiveKit.Key, p.LiveKit.Secret, plan.CName, identity, ttl)
	if err != nil {
		return link.Room{}, fmt.Errorf("app %s: mint a room token: %w", plan.AppID, err)
	}
	return link.Room{URL: p.LiveKit.URL, Token: token, Identity: identity}, nil
}

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
		Ledger: a.ledger, Rooms: rooms{a.accounts}, Shipper: ship, Unseal: a.unseal,
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

// shippers returns the factory of uploaders. It alone opens the sealed
// credentials of a recording, and only in memory.
func (a *App) shippers() (node.NewShipper, error) {
	policy, err := egress(a.cfg)
	if err != nil {
		return nil, err
	}
	gate := upload.NewGate(uploadsAtOnce)
	return func(dir *spool.Dir, rec ledger.Record, report func(node.ShipProgress)) (node.Shipper, error) {
		plain, err := a.ring.Open([]byte(rec.SID), rec.Storage)
		if err != nil {
			return nil, errors.New("the stored credentials cannot be opened: is keys.json the one this recording was started with?")
		}
		var target session.Target
		if err := json.Unmarshal(plain, &target); err != nil {
			return nil, fmt.Errorf("the stored credentials are damaged: %w", err)
		}
		var endpoints upload.Endpoints
		if p, ok := a.accounts.App(rec.App); ok {
			endpoints = p.Endpoints
		}
		store, err := upload.OpenStore(target, endpoints, policy)
		if err != nil {
			return nil, err
		}
		return upload.New(upload.Config{
			Dir: dir, Store: store, Prefix: target.Prefix, Gate: gate, Log: a.log.With("sid", rec.SID),
			Progress: func(p upload.Progress) {
				report(node.ShipProgress{Uploaded: p.Uploaded, Waiting: p.Waiting, LastError: p.LastError})
			},
		}), nil
	}, nil
}
