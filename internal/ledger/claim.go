package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Claim makes rec the recording of its resource id and of its (app, cname,
// uid), and stores it. It is all or nothing: what it took is given back when a
// later step fails. Errors: *ErrUsed, ErrConflict.
func (l *Ledger) Claim(ctx context.Context, rec Record) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	body, err := rec.Encode()
	if err != nil {
		return err
	}
	other, err := l.take(ctx, usedKey(rec.RID), rec, l.usedTTL(rec), l.abandoned)
	if err != nil {
		return err
	}
	if other != "" {
		return &ErrUsed{SID: other}
	}
	other, err = l.take(ctx, rec.instance(), rec, 0, l.dead)
	if err == nil && other != "" {
		err = ErrConflict
	}
	if err == nil {
		_, err = l.put(ctx, sessKey(rec.SID), body, 0, 0)
	}
	if err != nil {
		return errors.Join(err, l.undo(rec))
	}
	return nil
}

// usedTTL: a spent id has to be known as long as questions about it are answered.
func (l *Ledger) usedTTL(rec Record) time.Duration {
	return max(rec.ExpiresAt.Sub(l.now()), l.retention)
}

// take makes key ours. It returns the recording that holds it instead, if one
// does and stale does not say that its claim is void.
func (l *Ledger) take(ctx context.Context, key string, rec Record, ttl time.Duration, stale func(context.Context, string, time.Time) (bool, error)) (string, error) {
	value, err := json.Marshal(holder{SID: rec.SID, App: rec.App, Mode: rec.Mode})
	if err != nil {
		return "", err
	}
	var rev uint64
	for {
		if _, err := l.put(ctx, key, value, rev, ttl); !errors.Is(err, errRevision) {
			return "", err
		}
		e, h, err := l.holder(ctx, key)
		if err != nil {
			return "", err
		}
		if h.SID == rec.SID { // our own write, whose acknowledgement was lost
			return "", nil
		}
		if rev = e.rev; h.SID == "" {
			continue
		}
		if void, err := stale(ctx, h.SID, e.created); err != nil || !void {
			return h.SID, err
		}
	}
}

// abandoned: the claim never got as far as a record, and its caller had time for it.
func (l *Ledger) abandoned(ctx context.Context, sid string, since time.Time) (bool, error) {
	_, _, err := l.Get(ctx, sid)
	if errors.Is(err, ErrNotFound) {
		return l.now().Sub(since) > claimGrace, nil
	}
	return false, err
}

// dead: as abandoned, or the recording has left the channel and whoever wrote
// that died before it freed the slot.
func (l *Ledger) dead(ctx context.Context, sid string, since time.Time) (bool, error) {
	rec, _, err := l.Get(ctx, sid)
	if errors.Is(err, ErrNotFound) {
		return l.now().Sub(since) > claimGrace, nil
	}
	return err == nil && !rec.State.Live(), err
}

// holder reads who holds key; its SID is empty when nobody does.
func (l *Ledger) holder(ctx context.Context, key string) (entry, holder, error) {
	var h holder
	e, err := l.read(ctx, key)
	if err != nil || e.value == nil {
		return e, h, err
	}
	if err := json.Unmarshal(e.value, &h); err != nil {
		return e, h, fmt.Errorf("ledger: bad entry %s: %w", key, err)
	}
	return e, h, nil
}

// Release undoes the claim of a start that failed: the resource id may be
// used again. A node that took the recording meanwhile finds its record gone
// and gives it up.
func (l *Ledger) Release(ctx context.Context, rec Record) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return l.release(ctx, rec)
}

// undo runs on a context of its own: the caller's may be what failed.
func (l *Ledger) undo(rec Record) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	return l.release(ctx, rec)
}

// The record goes first: as long as it stands, the two others are in use.
func (l *Ledger) release(ctx context.Context, rec Record) error {
	for {
		_, rev, err := l.Get(ctx, rec.SID)
		if errors.Is(err, ErrNotFound) {
			break
		}
		if err == nil {
			err = l.remove(ctx, sessKey(rec.SID), rev)
		}
		if err != nil && !errors.Is(err, errRevision) {
			return err
		}
	}
	return errors.Join(l.free(ctx, rec.instance(), rec.SID), l.free(ctx, usedKey(rec.RID), rec.SID))
}

// free gives key back if sid holds it.
func (l *Ledger) free(ctx context.Context, key, sid string) error {
	e, h, err := l.holder(ctx, key)
	if err != nil || h.SID != sid {
		return err
	}
	if err := l.remove(ctx, key, e.rev); err != nil && !errors.Is(err, errRevision) {
		return err
	}
	return nil
}
