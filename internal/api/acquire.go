package api

import (
	"slices"

	"tapedeck/internal/api/codes"
	"tapedeck/internal/api/wire"
	"tapedeck/internal/resource"
	"tapedeck/internal/session"
)

// acquire promises a recording: it seals what start has to keep to into the
// resource id. Nothing is stored.
func (c *call) acquire() ([]byte, *refusal) {
	body, no := c.body()
	if no != nil {
		return nil, no
	}
	env, opts, err := c.rules.Acquire(body)
	switch {
	case err != nil:
		return nil, c.badRequest(err)
	case opts.Scene == wire.SceneWeb && !wire.WebName(env.CName):
		return nil, c.badRequest(wire.ErrName())
	case opts.Scene != wire.SceneWeb && !wire.ChannelName(env.CName):
		return nil, refuse(codes.BadChannel)
	case !c.app.Enabled, !slices.ContainsFunc(modesOf(opts.Scene), c.app.Allows) && !c.app.Allows(session.Raw):
		return nil, refuse(codes.AppDisabled)
	case !c.account.Active:
		return nil, refuse(codes.AccountInactive)
	case opts.Err != nil:
		return nil, c.badRequest(opts.Err)
	}
	region, no := c.room(opts.Region, opts.Scene)
	if no != nil {
		return nil, no
	}
	res := resource.Resource{
		ID: resource.NewID(), Issued: c.Now(), Lifetime: resource.Lifetime,
		ExpiredHour: opts.ExpiredHour, Scene: opts.Scene, Region: region,
		UID: env.UID, CName: resource.NameHash(env.CName),
	}
	if opts.Start != nil {
		if res.Start, err = resource.StartHash(opts.Start); err != nil {
			return nil, refuseBecause(codes.Framing, err)
		}
		res.HasStart = true
	}
	var id [resource.Len]byte
	res.Append(id[:0], c.Ring, c.app.ID)
	// The answer goes where the body was: nothing of it is needed any more.
	return wire.AppendAcquired((*c.buf)[:0], env.CName, env.UIDText, id[:]), nil
}
