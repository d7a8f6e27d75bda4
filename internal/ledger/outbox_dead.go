package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tapedeck/internal/notify"
)

// Bury implements notify.Store. The same event is buried once for a while,
// should it be tried twice.
func (b *Outbox) Bury(ctx context.Context, d notify.Dead) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	d.V = notify.DeadVersion
	d.Event.V = notify.EventVersion
	body, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("ledger: encode a dead letter: %w", err)
	}
	if _, err := b.l.js.PublishMsg(ctx, &nats.Msg{Subject: deadSubject + d.Endpoint + "." + d.Event.SID, Header: nats.Header{}, Data: body}); err != nil {
		return fmt.Errorf("ledger: write a dead letter: %w", err)
	}
	return nil
}

// DeadLetters returns the oldest dead letters behind a place, most of them at
// most; endpoint and sid choose, where they are not empty.
func (b *Outbox) DeadLetters(ctx context.Context, endpoint, sid string, after uint64, most int) ([]notify.DeadEntry, error) {
	var out []notify.DeadEntry
	err := b.scan(ctx, b.dead, deadSubject+orAny(endpoint)+"."+orAny(sid), after, most, func(m *jetstream.RawStreamMsg) error {
		var d notify.Dead
		if err := json.Unmarshal(m.Data, &d); err != nil || d.V != notify.DeadVersion {
			b.l.log.Error("a dead letter cannot be read", "place", m.Sequence, "version", d.V, "error", err)
			return nil
		}
		out = append(out, notify.DeadEntry{Place: m.Sequence, Dead: d})
		return nil
	})
	return out, err
}

// Events returns the oldest events behind a place, most of them at most; app
// and sid choose, where they are not empty.
func (b *Outbox) Events(ctx context.Context, app, sid string, after uint64, most int) ([]notify.Entry, error) {
	token := "*"
	if app != "" {
		token = appToken(app)
	}
	var out []notify.Entry
	err := b.scan(ctx, b.events, logSubject+token+"."+orAny(sid), after, most, func(m *jetstream.RawStreamMsg) error {
		e, err := notify.DecodeEvent(m.Data)
		if err != nil {
			b.l.log.Error("an event cannot be read", "place", m.Sequence, "error", err)
			return nil
		}
		out = append(out, notify.Entry{Place: m.Sequence, At: m.Time, Event: e})
		return nil
	})
	return out, err
}

func orAny(s string) string {
	if s == "" {
		return "*"
	}
	return s
}

func (b *Outbox) scan(ctx context.Context, s jetstream.Stream, subject string, after uint64, most int, use func(*jetstream.RawStreamMsg) error) error {
	for n := 0; n < most; n++ {
		call, cancel := context.WithTimeout(ctx, callTimeout)
		m, err := s.GetMsg(call, after+1, jetstream.WithGetMsgSubject(subject))
		cancel()
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("ledger: list events: %w", err)
		}
		if err := use(m); err != nil {
			return err
		}
		after = m.Sequence
	}
	return nil
}

// Again puts an event into the outbox once more, for one endpoint.
func (b *Outbox) Again(ctx context.Context, endpoint string, e notify.Event) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	body, err := e.Encode()
	if err != nil {
		return err
	}
	if _, err := b.l.js.PublishMsg(ctx, &nats.Msg{Subject: againSubject + endpoint + "." + e.SID, Header: nats.Header{}, Data: body}); err != nil {
		return fmt.Errorf("ledger: put event %s into the outbox again: %w", e.ID, err)
	}
	return nil
}

// Revive puts a dead letter into the outbox again and removes it from the dead
// ones. notify.ErrGone: there is none at this place.
func (b *Outbox) Revive(ctx context.Context, place uint64) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	m, err := b.dead.GetMsg(ctx, place)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return notify.ErrGone
	}
	if err != nil {
		return fmt.Errorf("ledger: read a dead letter: %w", err)
	}
	var d notify.Dead
	if err := json.Unmarshal(m.Data, &d); err != nil {
		return fmt.Errorf("ledger: bad dead letter: %w", err)
	}
	if err := b.Again(ctx, d.Endpoint, d.Event); err != nil {
		return err
	}
	if err := b.dead.DeleteMsg(ctx, place); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("ledger: remove a dead letter: %w", err)
	}
	return nil
}
