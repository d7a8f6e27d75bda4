package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tapedeck/internal/session"
)

// Get returns a record and its revision, or ErrNotFound. It sees every write
// that was acknowledged before, whoever made it.
func (l *Ledger) Get(ctx context.Context, sid string) (Record, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	e, err := l.read(ctx, sessKey(sid))
	if err != nil {
		return Record{}, 0, err
	}
	if e.value == nil {
		return Record{}, e.rev, ErrNotFound
	}
	rec, err := Decode(e.value)
	return rec, e.rev, err
}

// Update changes a record: it reads it, lets change work on it and writes it
// back if nobody else did meanwhile; otherwise it starts again, so change may
// run several times. An error of change ends it and is returned as it is.
// Steps of the state that session.State forbids are refused. When the
// recording is no longer live, its (app, cname, uid) becomes free.
func (l *Ledger) Update(ctx context.Context, sid string, change func(*Record) error) (Record, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for {
		old, rev, err := l.Get(ctx, sid)
		if err != nil {
			return Record{}, err
		}
		next := old
		if err := change(&next); err != nil {
			return old, err
		}
		if err := l.step(old, next); err != nil {
			return old, err
		}
		body, err := next.Encode()
		if err != nil {
			return old, err
		}
		_, err = l.put(ctx, sessKey(sid), body, rev, l.recordTTL(next))
		if errors.Is(err, errRevision) {
			continue
		}
		if err != nil {
			return old, err
		}
		if old.State.Live() && !next.State.Live() {
			// The slot is also taken from a recording that has left when
			// somebody wants it, so a failure here delays nobody.
			if err := l.free(ctx, next.instance(), sid); err != nil {
				l.log.Warn("cannot free the recorder's slot, the next start will", "sid", sid, "error", err)
			}
		}
		return next, nil
	}
}

// step checks what no change of a record may do.
func (l *Ledger) step(old, next Record) error {
	if old.SID != next.SID || old.RID != next.RID || old.instance() != next.instance() {
		return fmt.Errorf("ledger: recording %s: its identity cannot change", old.SID)
	}
	if _, err := old.State.To(next.State); err != nil {
		return fmt.Errorf("ledger: recording %s: %w", old.SID, err)
	}
	return nil
}

func (l *Ledger) recordTTL(rec Record) time.Duration {
	if !rec.State.Ended() {
		return 0
	}
	return l.retention
}

// SIDOf returns the recording a resource id was spent on.
func (l *Ledger) SIDOf(ctx context.Context, rid string) (string, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, h, err := l.holder(ctx, usedKey(rid))
	return h.SID, h.SID != "", err
}

// Live returns the records of which a worker may be running.
func (l *Ledger) Live(ctx context.Context) ([]Record, error) {
	return l.scan(ctx, func(r Record) bool { return r.State.Live() })
}

// Unfinished returns the records of which anything may still happen: the live
// ones and those whose files are on their way.
func (l *Ledger) Unfinished(ctx context.Context) ([]Record, error) {
	return l.scan(ctx, func(r Record) bool { return !r.State.Ended() })
}

// CountLive returns how many live recordings app has, of some modes or, when none
// is named, of all. It asks no server: what others did shows after some
// milliseconds.
func (l *Ledger) CountLive(ctx context.Context, app string, modes ...session.Mode) (int, error) {
	if err := l.live.synced(ctx); err != nil {
		return 0, err
	}
	return l.live.count(app, modes), nil
}

// Rank returns which one of the live recordings of its app a recording is that was
// claimed before, 1 for the oldest, and which one of those of the modes. All claims
// are in one order, the same for every node, and a recording whose rank is above a
// quota stays out: so however many start at once, the quota is never exceeded, and
// never left unused either. It waits until this node has seen the claim.
func (l *Ledger) Rank(ctx context.Context, rec Record, modes ...session.Mode) (all, ofModes int, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for {
		all, ofModes, wait := l.live.rank(rec, modes)
		if wait == nil {
			return all, ofModes, nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return 0, 0, fmt.Errorf("ledger: the claim of recording %s did not show: %w", rec.SID, ctx.Err())
		}
	}
}

func (l *Ledger) scan(ctx context.Context, keep func(Record) bool) ([]Record, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	w, err := l.kv.Watch(ctx, "sess.*", jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("ledger: list recordings: %w", err)
	}
	defer func() { _ = w.Stop() }()
	var out []Record
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("ledger: list recordings: %w", ctx.Err())
		case e, ok := <-w.Updates():
			if !ok || e == nil { // nil marks the end of what is stored now
				return out, nil
			}
			rec, err := Decode(e.Value())
			if err != nil { // one bad record must not hide the others
				l.log.Error("a record cannot be read and is left alone", "key", e.Key(), "error", err)
				continue
			}
			if keep(rec) {
				out = append(out, rec)
			}
		}
	}
}

// SetState moves a record to state, with the status that query shows then.
func (r *Record) SetState(next session.State, status session.Status) error {
	s, err := r.State.To(next)
	if err != nil {
		return err
	}
	r.State = s
	r.Status = max(r.Status, status)
	return nil
}
