package api

import (
	"context"
	"time"

	"tapedeck/internal/api/codes"
	"tapedeck/internal/api/wire"
	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
)

// stopPatience is how long a synchronous stop waits for the owner, which answers
// with code 50 by itself after 20 s (rest-api.md 9.1).
const stopPatience = 21 * time.Second

// stop has the owner end the recording. A synchronous stop is answered when all
// files are in the target storage.
func (c *call) stop() ([]byte, *refusal) {
	env, rec, no := c.command()
	if no != nil {
		return nil, no
	}
	switch {
	case rec.State.Ended():
		return nil, refuse(codes.NoWorker)
	case rec.State.Exiting():
		return nil, refuse(codes.Leaving)
	}
	async, err := c.rules.Stop(env.Options)
	if err != nil {
		return nil, c.badRequest(err)
	}
	wait := stopPatience
	if async {
		wait = patience
	}
	// The command is on its way whether or not the client waits for the answer.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.r.Context()), wait)
	defer cancel()
	reply, no := c.ask(ctx, rec.SID, ledger.Command{Kind: ledger.CommandStop, Async: async})
	if no != nil {
		if late(no.cause) && !async {
			no = c.slow(rec.SID, no)
		}
		return nil, no
	}
	if reply.Record != nil {
		rec = *reply.Record
	}
	c.Log.Info("recording stopped", "request", c.id, "sid", rec.SID, "app", rec.App, "async", async)
	told := c.told(rec)
	if async {
		told.Uploading = session.UploadUnknown
	}
	return encode(wire.Answer{IDs: c.ids, Server: wire.Stopped(told)}), nil
}

// slow tells an owner that is busy uploading from one that did not hear the stop.
func (c *call) slow(sid string, no *refusal) *refusal {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.r.Context()), cleanup)
	defer cancel()
	if rec, _, err := c.Ledger.Get(ctx, sid); err == nil && rec.State.Exiting() {
		return refuseBecause(codes.UploadSlow, no.cause)
	}
	return no
}
