package api

import (
	"context"

	"tapedeck/internal/api/codes"
	"tapedeck/internal/api/wire"
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
	server := wire.Queried(rec.Mode, rec.Plan.MP4, rec.Status, rec.Files, rec.SliceStart)
	return encode(wire.Answer{IDs: c.ids, Server: server}), nil
}
