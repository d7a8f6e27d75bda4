package postpone

import (
	"context"
	"errors"

	"tapedeck/internal/ledger"
	"tapedeck/internal/notify"
	"tapedeck/internal/notify/derive"
	"tapedeck/internal/session"
)

// teller writes the events of one job behind those of its recording.
type teller struct {
	r    *Runner
	rec  ledger.Record
	d    *derive.Deriver // nil: nobody is to be told
	rev  uint64
	last string
}

func (r *Runner) teller(ctx context.Context, rec ledger.Record) (*teller, error) {
	t := &teller{r: r, rec: rec}
	if r.cfg.Outbox == nil || !r.cfg.Wanted(rec.App) {
		return t, nil
	}
	last, rev, err := r.cfg.Outbox.Last(ctx, rec.App, rec.SID)
	if err != nil {
		return nil, err
	}
	t.rev, t.last = rev, last.ID
	t.d = derive.New(derive.Recording{Plan: rec.Plan}, last)
	return t, nil
}

// finished reports whether an earlier run has told the end of the job.
func (t *teller) finished() bool { return t.d != nil && t.d.JobOver() }

func (t *teller) started(ctx context.Context) error {
	return t.write(ctx, func(d *derive.Deriver) { d.JobStarted(t.r.cfg.Now()) })
}

func (t *teller) missing(ctx context.Context, target session.Target, names []string) error {
	if len(names) == 0 {
		return nil
	}
	return t.write(ctx, func(d *derive.Deriver) {
		d.JobMissing(target.Vendor, target.Region, target.Bucket, names, t.r.cfg.Now())
	})
}

// users is the outcome for each user, everybody's file being the user "0".
func (t *teller) users(res result) []notify.JobUser {
	var out []notify.JobUser
	add := func(uid string, files []string) {
		u := notify.JobUser{UID: uid, Result: "fail", FileList: []notify.JobFile{}}
		if len(files) > 0 {
			u.Result = "success"
		}
		for _, f := range files {
			u.FileList = append(u.FileList, notify.JobFile{FileName: t.rec.Plan.FilePrefix + f})
		}
		out = append(out, u)
	}
	for _, u := range res.Users {
		add(u.UID, u.Files)
	}
	if len(res.Files) > 0 {
		add("0", res.Files)
	}
	return out
}

func (t *teller) made(ctx context.Context, res result) error {
	return t.write(ctx, func(d *derive.Deriver) { d.JobMade(t.users(res), t.r.cfg.Now()) })
}

func (t *teller) shipped(ctx context.Context, res result) error {
	return t.write(ctx, func(d *derive.Deriver) { d.JobShipped(t.users(res), t.r.cfg.Now()) })
}

func (t *teller) failed(ctx context.Context, _ error) error {
	return t.write(ctx, func(d *derive.Deriver) {
		d.JobMade(nil, t.r.cfg.Now())
		d.JobShipped(nil, t.r.cfg.Now())
	})
}

// write derives and makes the events durable, in order.
func (t *teller) write(ctx context.Context, derived func(*derive.Deriver)) error {
	if t.d == nil {
		return nil
	}
	derived(t.d)
	for _, e := range t.d.Take() {
		rev, err := t.r.cfg.Outbox.Append(ctx, e, t.rev)
		if errors.Is(err, notify.ErrTaken) {
			// Either our own write came twice, or another node does this job.
			last, at, lastErr := t.r.cfg.Outbox.Last(ctx, t.rec.App, t.rec.SID)
			if lastErr != nil {
				return lastErr
			}
			if last.ID != e.ID {
				return err
			}
			rev, err = at, nil
		}
		if err != nil {
			return err
		}
		t.rev, t.last = rev, e.ID
	}
	return nil
}
