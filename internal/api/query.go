package api

import (
	"context"

	"tapedeck/internal/api/codes"
	"tapedeck/internal/api/wire"
	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
)

// query shows a recording as the ledger knows it, until its last file is
// uploaded. Neither a body nor a media type is looked at.
func (c *call) query() ([]byte, *refusal) {
	res, no := c.opened()
	if no != nil {
		return nil, no
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), patience)
	defer cancel()
	rec, no := c.task(ctx, res)
	if no != nil {
		return nil, no
	}
	if rec.State.Ended() {
		return nil, refuse(codes.NoWorker)
	}
	return encode(wire.Answer{IDs: c.ids, Server: wire.Queried(c.told(rec))}), nil
}

// told is what a record tells the client.
func (c *call) told(rec ledger.Record) wire.Told {
	return wire.Told{
		Plan: rec.Plan, State: rec.State, Status: rec.Status, Files: rec.Files,
		SliceStart: rec.SliceStart, Uploading: rec.Uploading, Push: c.pushed(rec),
	}
}

// pushed lists the live outputs with their addresses, which are sealed.
func (c *call) pushed(rec ledger.Record) []wire.Pushed {
	if rec.Plan.Push == 0 {
		return nil
	}
	var p session.Private
	if err := unseal(c.Ring, rec.SID, rec.Private, &p); err != nil {
		c.Log.Error("the addresses of live outputs cannot be shown", "request", c.id, "sid", rec.SID, "error", err)
		return nil
	}
	var out []wire.Pushed
	for i, url := range p.Push {
		state := wire.PushConnecting
		if i < len(rec.Push) && rec.Push[i] != "" {
			state = rec.Push[i]
		}
		out = append(out, wire.Pushed{URL: url, State: state})
	}
	return out
}
