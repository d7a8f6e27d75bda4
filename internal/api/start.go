package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"tapedeck/internal/api/codes"
	"tapedeck/internal/api/wire"
	"tapedeck/internal/ledger"
	"tapedeck/internal/resource"
	"tapedeck/internal/session"
)

// cleanup is how long undoing a failed start may take, out of the patience for
// the whole.
const cleanup = 2 * time.Second

// start turns a resource id into a running recording. It answers when a node has
// taken it, which does not prove that anything can be recorded.
func (c *call) start() ([]byte, *refusal) {
	env, no := c.envelope()
	if no == nil {
		no = c.startName(env.CName)
	}
	if no != nil {
		return nil, no
	}
	res, no := c.owned(env)
	if no == nil {
		no = c.sceneFits(res)
	}
	if no == nil && !c.app.Allows(c.route.mode) {
		no = c.badRequest(wire.ErrMode(string(c.route.mode)))
	}
	if no != nil {
		return nil, no
	}
	// A client that hangs up has not changed its mind: the claim and its undoing
	// are finished either way.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.r.Context()), patience-cleanup)
	defer cancel()
	if no := c.unused(ctx, res); no != nil {
		return nil, no
	}
	if no := c.sameStart(res, env); no != nil {
		return nil, no
	}
	s, err := c.rules.Start(c.decoding(res.Scene), env.Options)
	if err != nil {
		return nil, c.badRequest(err)
	}
	if no := c.tokenGood(s.Token, env, res); no != nil {
		return nil, no
	}
	if err := c.targetAllowed(c.app, s.Target); err != nil {
		no := c.badRequest(wire.ErrVendor(s.Target.Vendor))
		no.cause = err
		return nil, no
	}
	if no := c.encryptable(s); no != nil {
		return nil, no
	}
	rec, err := c.newRecord(env, res, s)
	if err != nil {
		return nil, c.internal(err)
	}
	if no := c.launch(ctx, rec); no != nil {
		return nil, no
	}
	c.ids.SID = rec.SID
	c.Log.Info("recording placed", "request", c.id, "sid", rec.SID, "app", rec.App, "mode", rec.Mode)
	return encode(wire.Answer{IDs: c.ids}), nil
}

// decoding says what the options of a call are decoded for.
func (c *call) decoding(scene int) wire.Call {
	return wire.Call{Mode: c.route.mode, Scene: scene, Extensions: c.app.Extensions, MaxOutputs: c.app.MaxOutputs}
}

// startName checks the channel name for the mode of the path.
func (c *call) startName(cname string) *refusal {
	switch {
	case c.route.mode == session.Web && !wire.WebName(cname):
		return c.badRequest(wire.ErrName())
	case c.route.mode != session.Web && !wire.ChannelName(cname):
		return refuse(codes.BadChannelStart)
	}
	return nil
}

// unused checks that the resource was not started with before, and that it is not
// too late to start with it, in this order: a repeated start gets the first one's
// answer for as long as it is remembered.
func (c *call) unused(ctx context.Context, res resource.Resource) *refusal {
	sid, used, err := c.Ledger.SIDOf(ctx, res.ID.String())
	switch {
	case err != nil:
		return c.unreachable(err)
	case used:
		c.ids.SID = sid
		c.misfit(ctx, sid)
		return refuse(codes.AlreadyStarted)
	case res.Expired(c.Now()):
		return refuse(codes.ResourceExpired)
	}
	return nil
}

// misfit lets the owner of a recording tell its caller's webhooks of a call that
// does not fit (events.md, 3). The answer does not depend on it.
func (c *call) misfit(ctx context.Context, sid string) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, _ = c.Ledger.Ask(ctx, sid, ledger.Command{Kind: ledger.CommandMisfit})
}

// sameStart: R3.
func (c *call) sameStart(res resource.Resource, env wire.Envelope) *refusal {
	if !res.HasStart {
		return nil
	}
	hash, err := resource.StartHash(env.Options)
	if err != nil {
		return refuseBecause(codes.Framing, err)
	}
	if hash != res.Start {
		return c.badRequest(wire.ErrStartDiffers())
	}
	return nil
}

// newRecord makes the record of a recording that nobody has taken yet.
func (c *call) newRecord(env wire.Envelope, res resource.Resource, s wire.Start) (ledger.Record, error) {
	now := c.Now().UTC()
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	sid := hex.EncodeToString(random[:])
	s.Plan.SID, s.Plan.AppID, s.Plan.CName, s.Plan.UID = sid, c.app.ID, env.CName, env.UID
	c.encrypt(&s)
	target, err := seal(c.Ring, sid, s.Target)
	if err != nil {
		return ledger.Record{}, err
	}
	private, err := seal(c.Ring, sid, s.Private)
	if err != nil {
		return ledger.Record{}, err
	}
	s.Plan.Region, s.Plan.StrictIDs = res.Region.String(), c.app.StrictIDs
	hash := sha256.Sum256([]byte(c.route.resource))
	return ledger.Record{
		SID: sid, RID: res.ID.String(), ResourceHash: hex.EncodeToString(hash[:]),
		Account: c.account.ID, App: c.app.ID, CName: env.CName, UID: env.UID,
		Mode: s.Plan.Mode, Scene: res.Scene,
		Plan: s.Plan, Storage: target, Private: private,
		State: session.Starting, Status: session.StatusInit, Created: now,
		ExpiresAt: now.Add(time.Duration(res.ExpiredHour) * time.Hour),
	}, nil
}

// launch claims the recording and has a node take it. When that fails the claim
// is undone, so that the resource id can be used again.
func (c *call) launch(ctx context.Context, rec ledger.Record) *refusal {
	var used *ledger.ErrUsed
	switch err := c.Ledger.Claim(ctx, rec); {
	case errors.As(err, &used): // a start at the same time was faster
		c.ids.SID = used.SID
		return refuse(codes.AlreadyStarted)
	case errors.Is(err, ledger.ErrConflict):
		return refuse(codes.Conflict)
	case err != nil:
		c.release(ctx, rec) // it may have got through
		return c.unreachable(err)
	}
	err := c.place(ctx, rec)
	if err == nil || late(err) && c.taken(ctx, rec.SID) {
		return nil
	}
	c.release(ctx, rec)
	var refused *ledger.ErrRefused
	if errors.Is(err, ledger.ErrNoNode) || errors.Is(err, errQuota) || errors.As(err, &refused) {
		return refuseBecause(codes.NotPlaced, err)
	}
	return c.unreachable(err)
}

// taken reports whether a node took the recording although its answer is late.
func (c *call) taken(ctx context.Context, sid string) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup/2)
	defer cancel()
	rec, _, err := c.Ledger.Get(ctx, sid)
	return err == nil && rec.Node != "" && rec.State != session.Failed
}

func (c *call) release(ctx context.Context, rec ledger.Record) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup/2)
	defer cancel()
	if err := c.Ledger.Release(ctx, rec); err != nil {
		c.Log.Warn("a start that failed could not be undone: its resource id, and its channel with this uid, stay taken until the ledger gives them up",
			"request", c.id, "sid", rec.SID, "app", rec.App, "error", err)
	}
}
