package api

import (
	"context"
	"errors"
	"fmt"

	"tapedeck/internal/account"
	"tapedeck/internal/api/codes"
	"tapedeck/internal/api/wire"
	"tapedeck/internal/ledger"
	"tapedeck/internal/resource"
	"tapedeck/internal/session"
)

// room checks whether there is room for one more recording: the app's quotas, and
// a node where it may be made. It settles the region that start has to keep to.
func (c *call) room(asked resource.Region, scene int) (resource.Region, *refusal) {
	ctx := c.r.Context() // no timer: all of it is answered from memory
	if no := c.quotaLeft(ctx, scene); no != nil {
		return asked, no
	}
	name, ok := c.app.Fence(asked.String(), c.Home)
	if !ok || c.HasNode != nil && !c.HasNode(c.app.Places(name, c.Home)) {
		return asked, refuse(codes.NoNode)
	}
	settled, _ := resource.ParseRegion(name)
	return settled, nil
}

// quotaLeft checks the quotas as far as acquire can: the mode is known by start
// only, unless the scene tells it.
func (c *call) quotaLeft(ctx context.Context, scene int) *refusal {
	if c.app.Quota > 0 {
		n, err := c.Ledger.CountLive(ctx, c.app.ID)
		if err != nil {
			return c.unreachable(err)
		}
		if n >= c.app.Quota {
			return refuse(codes.QuotaExceeded)
		}
	}
	if c.app.Quotas == (account.Quotas{}) {
		return nil
	}
	for _, m := range modesOf(scene) {
		modes, quota := c.app.Counted(m)
		if quota == 0 {
			return nil
		}
		n, err := c.Ledger.CountLive(ctx, c.app.ID, modes...)
		if err != nil {
			return c.unreachable(err)
		}
		if n < quota {
			return nil
		}
	}
	return refuse(codes.QuotaExceeded)
}

// modesOf are the modes that may follow an acquire of a scene.
func modesOf(scene int) []session.Mode {
	switch scene {
	case wire.SceneWeb:
		return []session.Mode{session.Web}
	case wire.ScenePostponed:
		return []session.Mode{session.Individual}
	}
	return []session.Mode{session.Individual, session.Mix}
}

// withinQuota holds a claim against the quotas. Acquire looked before, but many
// may have acquired at the same time; by the order of the claims it is sure who
// was first, on all nodes.
func (c *call) withinQuota(ctx context.Context, rec ledger.Record) error {
	modes, quota := c.app.Counted(rec.Mode)
	if c.app.Quota == 0 && quota == 0 {
		return nil
	}
	all, ofMode, err := c.Ledger.Rank(ctx, rec, modes...)
	switch {
	case err != nil:
		return err
	case c.app.Quota > 0 && all > c.app.Quota:
		return fmt.Errorf("%w: %d recordings of app %s", errQuota, c.app.Quota, rec.App)
	case quota > 0 && ofMode > quota:
		return fmt.Errorf("%w: %d recordings of app %s in mode %s", errQuota, quota, rec.App, rec.Mode)
	}
	return nil
}

var errQuota = errors.New("api: the quota is used up")

// place has a node take a claimed recording, if the quotas allow it.
func (c *call) place(ctx context.Context, rec ledger.Record) error {
	if err := c.withinQuota(ctx, rec); err != nil {
		return err
	}
	return c.Ledger.Place(ctx, rec.SID, c.app.Places(rec.Plan.Region, c.Home)...)
}
