package api

import (
	"context"

	"tapedeck/internal/api/codes"
	"tapedeck/internal/api/wire"
	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
)

// update replaces the subscription of a running recording.
func (c *call) update() ([]byte, *refusal) {
	env, rec, no := c.command()
	if no == nil {
		no = running(rec)
	}
	if no != nil {
		return nil, no
	}
	sub, err := wire.DecodeUpdate(rec.Mode, rec.Plan.Streams, env.Options)
	if err != nil {
		return nil, c.badRequest(err)
	}
	return c.tell(rec.SID, ledger.Command{Kind: ledger.CommandUpdate, Subscription: &sub})
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
	layout, err := wire.DecodeLayout(env.Options)
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

// tell has the owner carry out a command whose answer has only ids.
func (c *call) tell(sid string, cmd ledger.Command) ([]byte, *refusal) {
	ctx, cancel := context.WithTimeout(c.r.Context(), patience)
	defer cancel()
	if _, no := c.ask(ctx, sid, cmd); no != nil {
		return nil, no
	}
	return encode(wire.Answer{IDs: c.ids}), nil
}
