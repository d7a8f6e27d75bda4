package app

import (
	"context"
	"path/filepath"
	"strings"

	"tapedeck/internal/config"
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
	env, err := workerEnv(a.cfg)
	if err != nil {
		return err
	}
	a.node, err = node.Open(ctx, node.Config{
		Data: a.cfg.Data, Spool: spoolDir(a.cfg), Worker: []string{worker}, Env: env,
		Ledger: a.ledger, Rooms: rooms{a.accounts, a.cfg.Node.Region}, Region: a.cfg.Node.Region, Shipper: ship, Unseal: a.unseal, Keys: a.spoolKeys(), Events: a.events(), Postpone: a.jobs.Add,
		Cores: a.cfg.Node.Cores, MinFree: uint64(a.cfg.Spool.MinFreeMB) << 20, MaxUsed: uint64(a.cfg.Spool.MaxMB) << 20, Keep: a.cfg.Spool.Keep,
		Log: a.log,
	})
	if err != nil {
		return err
	}
	a.onStop(func(ctx context.Context) error { return a.node.Close(ctx, a.cfg.FinishOnStop()) })
	a.health.Add("spool", func(context.Context) error { return spool.Writable(spoolDir(a.cfg)) })
	return nil
}

// workerEnv is what every worker is told (docs/formats/link.md).
func workerEnv(c config.Config) ([]string, error) {
	policy, err := egress(c)
	if err != nil {
		return nil, err
	}
	ranges := make([]string, 0, len(policy.Allow))
	for _, p := range policy.Allow {
		ranges = append(ranges, p.String())
	}
	browser, err := filepath.Abs(filepath.Join(c.Data, "browser.json")) // a worker's folder is another one
	if err != nil {
		return nil, err
	}
	env := []string{
		"TAPEDECK_EGRESS_ALLOW=" + strings.Join(ranges, ","),
		"TAPEDECK_KNOWN_BROWSER=" + browser,
		// A worker has few and large allocations on whatever thread: more arenas of
		// malloc and a larger Go heap only keep memory that is not used.
		"MALLOC_ARENA_MAX=2", "GOGC=50",
	}
	if c.Mix.Quality != "" {
		env = append(env, "TAPEDECK_MIX_QUALITY="+c.Mix.Quality)
	}
	if c.Mix.MP4Length != 0 {
		env = append(env, "TAPEDECK_MIX_MP4_LENGTH="+c.Mix.MP4Length.String())
	}
	return env, nil
}
