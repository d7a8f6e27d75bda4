package api

import (
	"context"

	"tapedeck/internal/api/codes"
	"tapedeck/internal/api/wire"
	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
)

// update changes a running recording: whom it subscribes to, whether it is on
// hold, where it pushes to, and with which credentials it stores.
func (c *call) update() ([]byte, *refusal) {
	env, rec, no := c.command()
	if no == nil {
		no = running(rec)
	}
	if no != nil {
		return nil, no
	}
	u, err := c.rules.Update(c.decoding(rec.Scene), rec.Plan, env.Options)
	if err != nil {
		return nil, c.badRequest(err)
	}
	cmds, no := c.commands(rec, u)
	if no != nil {
		return nil, no
	}
	return c.tell(rec.SID, cmds...)
}

// commands turns an update into what its owner has to do.
func (c *call) commands(rec ledger.Record, u wire.Update) ([]ledger.Command, *refusal) {
	var cmds []ledger.Command
	if u.Target != nil {
		sealed, no := c.freshTarget(rec, *u.Target)
		if no != nil {
			return nil, no
		}
		cmds = append(cmds, ledger.Command{Kind: ledger.CommandStore, Storage: sealed})
	}
	if u.Push != nil {
		sealed, err := c.pushElsewhere(rec, u.Push)
		if err != nil {
			return nil, c.internal(err)
		}
		cmds = append(cmds, ledger.Command{Kind: ledger.CommandPush, Private: sealed})
	}
	if u.Subscription != nil {
		cmds = append(cmds, ledger.Command{Kind: ledger.CommandUpdate, Subscription: u.Subscription})
	}
	if u.OnHold != nil {
		cmds = append(cmds, ledger.Command{Kind: ledger.CommandHold, OnHold: *u.OnHold})
	}
	return cmds, nil
}

// freshTarget seals new credentials for the same place. Files of one recording
// stay together, so another place is refused.
func (c *call) freshTarget(rec ledger.Record, t session.Target) ([]byte, *refusal) {
	var old session.Target
	if err := unseal(c.Ring, rec.SID, rec.Storage, &old); err != nil {
		return nil, c.internal(err)
	}
	if t.Vendor != old.Vendor || t.Region != old.Region || t.Bucket != old.Bucket || t.Prefix != old.Prefix || t.Endpoint != old.Endpoint {
		return nil, c.badRequest(wire.ErrMoved())
	}
	if err := c.targetAllowed(c.app, t); err != nil {
		no := c.badRequest(wire.ErrVendor(t.Vendor))
		no.cause = err
		return nil, no
	}
	sealed, err := seal(c.Ring, rec.SID, t)
	if err != nil {
		return nil, c.internal(err)
	}
	return sealed, nil
}

// pushElsewhere seals the recording's secrets with other push outputs.
func (c *call) pushElsewhere(rec ledger.Record, urls []string) ([]byte, error) {
	var p session.Private
	if err := unseal(c.Ring, rec.SID, rec.Private, &p); err != nil {
		return nil, err
	}
	p.Push = urls
	return seal(c.Ring, rec.SID, p)
}

// updateLayout replaces the whole layout of a running mix.
func (c *call) updateLayout() ([]byte, *refusal) {
	env, rec, no := c.command()
	if no == nil {
		no = running(rec)
	}
	if no != nil {
		return nil, no
	}
	if rec.Mode != session.Mix { // R22
		return nil, &refusal{answer: codes.Parameter, reason: c.route.endpoint.String() + ": invalid mode value!"}
	}
	layout, err := c.rules.Layout(c.decoding(rec.Scene), env.Options)
	if err != nil {
		return nil, c.badRequest(err)
	}
	return c.tell(rec.SID, ledger.Command{Kind: ledger.CommandLayout, Layout: &layout})
}

// command reads the body of a POST that concerns a recording, and the recording.
func (c *call) command() (wire.Envelope, ledger.Record, *refusal) {
	env, no := c.envelope()
	if no != nil {
		return env, ledger.Record{}, no
	}
	res, no := c.owned(env)
	if no != nil {
		return env, ledger.Record{}, no
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), patience)
	defer cancel()
	rec, no := c.task(ctx, res)
	return env, rec, no
}

// running refuses what has left the channel, or is about to.
func running(rec ledger.Record) *refusal {
	if rec.State.Ended() || rec.State.Exiting() {
		return refuse(codes.NoWorker)
	}
	return nil
}

// tell has the owner carry out commands whose answer has only ids.
func (c *call) tell(sid string, cmds ...ledger.Command) ([]byte, *refusal) {
	ctx, cancel := context.WithTimeout(c.r.Context(), patience)
	defer cancel()
	for _, cmd := range cmds {
		if _, no := c.ask(ctx, sid, cmd); no != nil {
			return nil, no
		}
	}
	return encode(wire.Answer{IDs: c.ids}), nil
}
