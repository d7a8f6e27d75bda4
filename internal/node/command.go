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
		return k.answerPlan(ctx, func(p *session.Plan) error {
			p.Subscription = *c.Subscription
			return nil
		})
	case c.Kind == ledger.CommandLayout && c.Layout != nil:
		return k.answerPlan(ctx, func(p *session.Plan) error {
			if p.Mixing == nil {
				return errNoMix
			}
			m := *p.Mixing
			m.Layout = *c.Layout
			p.Mixing = &m
			return nil
		})
	}
	return ledger.Reply{Code: codeBad}
}

var (
	errNoMix   = errors.New("node: the recording has no layout")
	errLeaving = errors.New("node: the recording is leaving")
	errEnded   = errors.New("node: the recording has ended")
)

// codeOf returns the code that stands for an error of a command.
func (k *keeper) codeOf(err error) int {
	switch {
	case err == nil:
		return codeOK
	case errors.Is(err, errNoMix):
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
	if code == codeOK && k.orphan || rec.State == session.Failed {
		return ledger.Reply{Code: codeNoTask}
	}
	if k.p.view.ended && !rec.Recorded {
		code = codeNoData
	}
	return ledger.Reply{Code: code, Record: &rec}
}

// answerPlan changes the plan in the record, then at the worker.
func (k *keeper) answerPlan(ctx context.Context, change func(*session.Plan) error) ledger.Reply {
	rec, err := k.update(ctx, func(r *ledger.Record) error {
		if !r.State.Live() || r.State == session.Stopping {
			return errEnded
		}
		return change(&r.Plan)
	})
	if err != nil {
		return ledger.Reply{Code: k.codeOf(err)}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.plan = rec.Plan
	k.sendPlan()
	k.replan = k.conn == nil || k.p.view.readyAt == 0
	return ledger.Reply{Record: &rec}
}
