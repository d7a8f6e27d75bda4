package node

import (
	"context"
	"errors"
	"time"

	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
)

// Codes of answers (spec/errors.md 3).
const (
	codeOK        = 0
	codeBad       = 2   // invalid parameter
	codeLeaving   = 49  // the task is already leaving
	codeUploading = 50  // the upload did not finish in time, it goes on
	codeAgain     = 65  // not completed, repeat
	codeNoTask    = 404 // no such task
	codeNoData    = 435 // nothing was recorded
)

// answer is the owner's side of Ledger.Ask.
func (k *keeper) answer(ctx context.Context, c ledger.Command) ledger.Reply {
	switch {
	case c.Kind == ledger.CommandStop:
		return k.answerStop(ctx, c.Async)
	case c.Kind == ledger.CommandUpdate && c.Subscription != nil:
		return k.answerPlan(ctx, func(r *ledger.Record) error {
			r.Plan.Subscription = *c.Subscription
			return nil
		})
	case c.Kind == ledger.CommandLayout && c.Layout != nil:
		return k.answerPlan(ctx, func(r *ledger.Record) error {
			if r.Plan.Mixing == nil {
				return errNoMix
			}
			m := *r.Plan.Mixing
			m.Layout = *c.Layout
			r.Plan.Mixing = &m
			return nil
		})
	case c.Kind == ledger.CommandHold:
		return k.answerPlan(ctx, func(r *ledger.Record) error { return hold(&r.Plan, c.OnHold) })
	case c.Kind == ledger.CommandPush && c.Private != nil:
		return k.answerPush(ctx, c.Private)
	case c.Kind == ledger.CommandStore && c.Storage != nil:
		return k.answerStore(ctx, c.Storage)
	case c.Kind == ledger.CommandMisfit:
		return k.answerMisfit()
	}
	return ledger.Reply{Code: codeBad}
}

// hold notes in the plan whether the recording is paused, so that a worker that
// is started again goes on as it was.
func hold(p *session.Plan, on bool) error {
	switch {
	case p.Page != nil:
		page := *p.Page
		page.OnHold = on
		p.Page = &page
	case p.Mixing != nil:
		m := *p.Mixing
		m.OnHold = on
		p.Mixing = &m
	default:
		return errNoHold
	}
	return nil
}

// answerPush gives the live outputs other addresses.
func (k *keeper) answerPush(ctx context.Context, sealed []byte) ledger.Reply {
	private, err := k.n.cfg.Unseal(k.sid, sealed)
	if err != nil {
		return ledger.Reply{Code: k.codeOf(err)}
	}
	return k.answerPlan(ctx, func(r *ledger.Record) error {
		if r.Plan.Push == 0 || len(private.Push) == 0 {
			return errNoPush
		}
		r.Private, r.Plan.Push, r.Push = sealed, len(private.Push), nil
		return nil
	})
}

// Renewer is a Shipper that takes fresh credentials while it runs. rec is the
// record that holds them, sealed; the place they are for is the same.
type Renewer interface {
	Renew(rec ledger.Record) error
}

// answerStore brings fresh credentials to the uploads: into the record first,
// for a later start of the Shipper, then to the one that runs. Files may still be
// on their way after the end, so this works until the last one has arrived.
func (k *keeper) answerStore(ctx context.Context, sealed []byte) ledger.Reply {
	rec, err := k.update(ctx, func(r *ledger.Record) error {
		if r.State.Ended() {
			return errEnded
		}
		r.Storage = sealed
		return nil
	})
	if err != nil {
		return ledger.Reply{Code: k.codeOf(err)}
	}
	k.mu.Lock()
	k.rec = rec
	ship := k.shipper
	k.mu.Unlock()
	if err := k.dir.WriteSession(rec); err != nil {
		k.log.Error("the fresh storage credentials are in the ledger only, not in the spool", "error", err)
	}
	if r, ok := ship.(Renewer); ok {
		err = r.Renew(rec)
	}
	return ledger.Reply{Code: k.codeOf(err), Record: &rec}
}

var (
	errNoMix   = errors.New("node: the recording has no layout")
	errNoHold  = errors.New("node: the recording cannot pause")
	errNoPush  = errors.New("node: the recording has no live outputs")
	errLeaving = errors.New("node: the recording is leaving")
	errEnded   = errors.New("node: the recording has ended")
)

// codeOf returns the code that stands for an error of a command.
func (k *keeper) codeOf(err error) int {
	switch {
	case err == nil:
		return codeOK
	case errors.Is(err, errNoMix), errors.Is(err, errNoHold), errors.Is(err, errNoPush):
		return codeBad
	case errors.Is(err, errLeaving):
		return codeLeaving
	case errors.Is(err, errEnded), errors.Is(err, ledger.ErrNotFound), errors.Is(err, errNotOurs):
		return codeNoTask
	}
	k.log.Error("a command cannot be carried out now", "error", err)
	return codeAgain
}

// requestStop orders the end: first in the record, then at the worker.
func (k *keeper) requestStop(ctx context.Context) (ledger.Record, error) {
	rec, err := k.update(ctx, func(r *ledger.Record) error {
		switch {
		case r.State.Ended():
			return errEnded
		case r.State.Exiting():
			return errLeaving
		}
		r.StoppedAt = k.n.now().UTC()
		return r.SetState(session.Stopping, session.StatusStopping)
	})
	if err == nil {
		k.mu.Lock()
		k.rec = rec
		k.mu.Unlock()
		k.wantStop()
	}
	return rec, err
}

func (k *keeper) answerStop(ctx context.Context, async bool) ledger.Reply {
	rec, err := k.requestStop(ctx)
	if errors.Is(err, errLeaving) {
		k.misfit(rec)
	}
	if err != nil {
		return ledger.Reply{Code: k.codeOf(err)}
	}
	if async {
		return ledger.Reply{Record: &rec}
	}
	t := time.NewTimer(k.n.cfg.times.answer)
	defer t.Stop()
	code := codeOK
	select {
	case <-k.final:
	case <-t.C:
		code = codeUploading
	case <-ctx.Done():
		code = codeAgain
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	select {
	case <-k.final:
		code = codeOK
	default:
	}
	rec = k.rec
	if code == codeUploading && k.strand() {
		code = codeOK
		k.p.apply(&rec)
	}
	if code == codeOK && k.orphan || rec.State == session.Failed {
		return ledger.Reply{Code: codeNoTask}
	}
	if k.p.view.ended && !rec.Recorded {
		code = codeNoData
	}
	return ledger.Reply{Code: code, Record: &rec}
}

// strand reports whether the files stay in the spool for now: every attempt to
// store them fails, at the caller's store and at a backup. Mode raw has an answer
// for that (rest-api.md 14); the uploads go on all the same. The caller holds mu.
func (k *keeper) strand() bool {
	s := k.shipping
	if k.plan.Mode != session.Raw || !k.p.view.ended || s.Waiting == 0 || s.LastError == nil {
		return false
	}
	k.p.stranded = true
	wake(k.changed)
	return true
}

// answerPlan changes what is recorded, in the record first, then at the worker.
func (k *keeper) answerPlan(ctx context.Context, change func(*ledger.Record) error) ledger.Reply {
	rec, err := k.update(ctx, func(r *ledger.Record) error {
		if !r.State.Live() || r.State == session.Stopping {
			return errEnded
		}
		return change(r)
	})
	if err != nil {
		return ledger.Reply{Code: k.codeOf(err)}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rec, k.plan = rec, rec.Plan
	k.sendPlan()
	k.replan = k.conn == nil || k.p.view.readyAt == 0
	return ledger.Reply{Record: &rec}
}
