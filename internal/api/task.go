package api

import (
	"context"
	"errors"
	"strconv"
	"time"

	"tapedeck/internal/account"
	"tapedeck/internal/api/codes"
	"tapedeck/internal/api/wire"
	"tapedeck/internal/ledger"
	"tapedeck/internal/resource"
	"tapedeck/internal/session"
)

// patience is how long a call waits for the ledger. The official clients give up
// after 10 s.
const patience = 8 * time.Second

// opened opens the resource id of the path and checks that it belongs to the app
// (errors.md 7, 8-9).
func (c *call) opened() (resource.Resource, *refusal) {
	res, err := resource.Open(c.Ring, c.app.ID, c.route.resource)
	if err != nil {
		return res, c.foreign()
	}
	c.ids.ResourceID = c.route.resource
	return res, nil
}

// foreign tells a resource id of another app of the same account from one that
// nobody can open. Of other accounts nothing is told.
func (c *call) foreign() *refusal {
	for _, app := range c.account.Apps {
		if _, err := resource.Open(c.Ring, app.ID, c.route.resource); err == nil {
			return refuse(codes.Mismatch)
		}
	}
	return refuse(codes.ResourceGarbage)
}

// owned is opened for a call with a body: channel and recorder have to be those
// of acquire as well.
func (c *call) owned(env wire.Envelope) (resource.Resource, *refusal) {
	res, no := c.opened()
	if no != nil {
		return res, no
	}
	if !res.Is(env.CName, env.UID) {
		return res, refuse(codes.Mismatch)
	}
	c.ids.CName, c.ids.UID = env.CName, env.UIDText
	return res, nil
}

// sceneFits: pages are recorded with the scene of pages and nothing else is (R17);
// postponed work is for individual recordings (R18). Raw mode has no scene.
func (c *call) sceneFits(res resource.Resource) *refusal {
	web := c.route.mode == session.Web
	switch {
	case c.route.mode == session.Raw:
		return nil
	case web != (res.Scene == wire.SceneWeb):
		return refuse(codes.SceneMismatch)
	case res.Scene == wire.ScenePostponed && c.route.mode != session.Individual:
		return refuse(codes.Mismatch)
	}
	return nil
}

// task finds the recording of the path for a resource it belongs to (errors.md 7,
// 9 and 11). What its state allows is up to the caller.
func (c *call) task(ctx context.Context, res resource.Resource) (ledger.Record, *refusal) {
	rec, err := c.record(ctx)
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return rec, c.unreachable(err)
	}
	rid := res.ID.String()
	if err != nil || rec.RID != rid {
		return rec, c.stray(ctx, rid)
	}
	c.ids = wire.IDs{
		CName: rec.CName, UID: strconv.FormatUint(uint64(rec.UID), 10),
		ResourceID: c.route.resource, SID: rec.SID,
	}
	if no := c.sceneFits(res); no != nil {
		return rec, no
	}
	if rec.Mode != c.route.mode { // R21
		return rec, &refusal{answer: codes.Parameter, reason: c.route.endpoint.String() + ": invalid mode value!"}
	}
	if !c.Now().Before(rec.ExpiresAt) {
		return rec, refuse(codes.ResourceExpired)
	}
	return rec, nil
}

// record looks the sid of the path up, if it can be one.
func (c *call) record(ctx context.Context) (ledger.Record, error) {
	if !isSID(c.route.sid) {
		return ledger.Record{}, ledger.ErrNotFound
	}
	rec, _, err := c.Ledger.Get(ctx, c.route.sid)
	return rec, err
}

// stray answers a sid that is not the one the resource was started with: if the
// resource never started, or its recording is forgotten, there is no task.
func (c *call) stray(ctx context.Context, rid string) *refusal {
	sid, used, err := c.Ledger.SIDOf(ctx, rid)
	switch {
	case err != nil:
		return c.unreachable(err)
	case used && sid != c.route.sid:
		return refuse(codes.SIDMismatch)
	}
	return refuse(codes.NoWorker)
}

// isSID keeps everything that is no sid of ours away from the ledger.
func isSID(s string) bool {
	if len(s) != 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// ask puts a command to the owner of a recording.
func (c *call) ask(ctx context.Context, sid string, cmd ledger.Command) (ledger.Reply, *refusal) {
	reply, err := c.Ledger.Ask(ctx, sid, cmd)
	switch {
	case errors.Is(err, ledger.ErrNoOwner), errors.Is(err, ledger.ErrNotFound):
		return reply, refuseBecause(codes.NoWorker, err)
	case err != nil:
		return reply, c.unreachable(err)
	case reply.Code != 0:
		return reply, refuse(codes.Of(reply.Code))
	}
	return reply, nil
}

// targetAllowed asks the optional check of the storage.
func (c *call) targetAllowed(app *account.App, t session.Target) error {
	if c.CheckTarget == nil {
		return nil
	}
	return c.CheckTarget(app, t)
}
