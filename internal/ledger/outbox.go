package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tapedeck/internal/notify"
)

// The outbox: events of recordings wait in one stream until every endpoint has
// had them, and some time longer, so that they can be sent again. Its stored
// form is described in docs/formats/outbox.md.
const (
	eventStream  = "tapedeck_events"
	deadStream   = "tapedeck_dead"
	logSubject   = "events.log."   // <app>.<sid>: the events of a recording, in order
	againSubject = "events.again." // <endpoint>.<sid>: to be sent to one endpoint once more
	deadSubject  = "events.dead."  // <endpoint>.<sid>
	dupWindow    = 2 * time.Minute
)

// OutboxOptions of OpenOutbox.
type OutboxOptions struct {
	Replicas int           // of the streams; 0 = 1
	Keep     time.Duration // how long an event is kept, delivered or not; 0 = 48 h
	KeepDead time.Duration // how long a dead letter is; 0 = 30 days
}

// Outbox keeps events. It implements notify.Store.
type Outbox struct {
	l            *Ledger
	events, dead jetstream.Stream
}

// OpenOutbox makes sure that the streams of the outbox exist.
func (l *Ledger) OpenOutbox(ctx context.Context, o OutboxOptions) (*Outbox, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if o.Replicas == 0 {
		o.Replicas = 1
	}
	if o.Keep == 0 {
		o.Keep = 48 * time.Hour
	}
	if o.KeepDead == 0 {
		o.KeepDead = 30 * 24 * time.Hour
	}
	b := &Outbox{l: l}
	for _, s := range []struct {
		stream   *jetstream.Stream
		name     string
		subjects []string
		keep     time.Duration
	}{
		{&b.events, eventStream, []string{logSubject + ">", againSubject + ">"}, o.Keep},
		{&b.dead, deadStream, []string{deadSubject + ">"}, o.KeepDead},
	} {
		var err error
		*s.stream, err = l.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
			Name: s.name, Subjects: s.subjects, Storage: jetstream.FileStorage, Replicas: o.Replicas,
			MaxAge: s.keep, MaxBytes: -1, MaxMsgSize: -1, Discard: jetstream.DiscardNew, Duplicates: min(dupWindow, s.keep),
			AllowDirect: false, // a node must see what another one has just written
		})
		if err != nil {
			return nil, fmt.Errorf("ledger: create the stream %s (is JetStream on, with %d server(s) for its replicas?): %w", s.name, o.Replicas, err)
		}
	}
	return b, nil
}

// appToken is an app's part of a subject, which may not hold everything that
// the name of an app may.
func appToken(app string) string {
	h := sha256.Sum256([]byte(app))
	return hex.EncodeToString(h[:8])
}

func eventSubject(app, sid string) string { return logSubject + appToken(app) + "." + sid }

func markKey(sid string) string    { return "mark." + sid }
func positionKey(ep string) string { return "hook." + ep }

// Last returns the newest event of a recording; rev 0 if there is none. Where
// it is not kept any more, what KeepMarks saved stands in for it.
func (b *Outbox) Last(ctx context.Context, app, sid string) (e notify.Event, rev uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	m, err := b.events.GetLastMsgForSubject(ctx, eventSubject(app, sid))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		saved, err := b.l.read(ctx, markKey(sid))
		if err != nil || saved.value == nil {
			return notify.Event{}, 0, err
		}
		e, err = notify.DecodeEvent(saved.value)
		return e, 0, err
	}
	if err != nil {
		return notify.Event{}, 0, fmt.Errorf("ledger: read the events of recording %s: %w", sid, err)
	}
	e, err = notify.DecodeEvent(m.Data)
	return e, m.Sequence, err
}

// Append makes an event durable behind the one with revision rev; 0 stands for
// none. ErrTaken of notify: another node has written meanwhile. After any other
// error it is not known whether the event was written: ask Last.
func (b *Outbox) Append(ctx context.Context, e notify.Event, rev uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	body, err := e.Encode()
	if err != nil {
		return 0, err
	}
	ack, err := b.l.js.PublishMsg(ctx, &nats.Msg{Subject: eventSubject(e.App, e.SID), Header: nats.Header{}, Data: body},
		jetstream.WithExpectLastSequencePerSubject(rev))
	switch {
	case err == nil:
		return ack.Sequence, nil
	case wrongRevision(err):
		return 0, notify.ErrTaken
	}
	return 0, fmt.Errorf("ledger: write event %s: %w", e.ID, err)
}

// KeepMarks saves the newest event of a recording that has been silent for
// longer than events are kept; it goes by itself after a month.
func (b *Outbox) KeepMarks(ctx context.Context, e notify.Event) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	body, err := e.Encode()
	if err != nil {
		return err
	}
	old, err := b.l.read(ctx, markKey(e.SID))
	if err != nil {
		return err
	}
	_, err = b.l.put(ctx, markKey(e.SID), body, old.rev, 31*24*time.Hour)
	return err
}

// Tail implements notify.Store.
func (b *Outbox) Tail(ctx context.Context, app string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if app != "" {
		m, err := b.events.GetLastMsgForSubject(ctx, eventSubject(app, "*"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return 0, nil
		}
		if err != nil {
			return 0, fmt.Errorf("ledger: look at the outbox: %w", err)
		}
		return m.Sequence, nil
	}
	info, err := b.events.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("ledger: look at the outbox: %w", err)
	}
	return info.State.LastSeq, nil
}

// Follow implements notify.Store.
func (b *Outbox) Follow(ctx context.Context, app, endpoint string, after uint64, use func(notify.Entry)) error {
	cons, err := b.l.js.OrderedConsumer(ctx, eventStream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{logSubject + appToken(app) + ".*", againSubject + endpoint + ".*"},
		DeliverPolicy:  jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1,
	})
	if err != nil {
		return fmt.Errorf("ledger: follow the outbox: %w", err)
	}
	msgs, err := cons.Messages(jetstream.PullMaxMessages(256))
	if err != nil {
		return fmt.Errorf("ledger: follow the outbox: %w", err)
	}
	defer msgs.Stop()
	for {
		m, err := msgs.Next(jetstream.NextContext(ctx))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("ledger: follow the outbox: %w", err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("ledger: follow the outbox: %w", err)
		}
		e, err := notify.DecodeEvent(m.Data())
		if err != nil { // one bad event must not hide the others
			b.l.log.Error("an event cannot be read and is passed over", "place", meta.Sequence.Stream, "error", err)
			continue
		}
		use(notify.Entry{Place: meta.Sequence.Stream, At: meta.Timestamp, Event: e})
	}
}

// Entry implements notify.Store.
func (b *Outbox) Entry(ctx context.Context, place uint64) (notify.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	m, err := b.events.GetMsg(ctx, place)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return notify.Entry{}, notify.ErrGone
	}
	if err != nil {
		return notify.Entry{}, fmt.Errorf("ledger: read event %d: %w", place, err)
	}
	e, err := notify.DecodeEvent(m.Data)
	return notify.Entry{Place: place, At: m.Time, Event: e}, err
}

// Position implements notify.Store.
func (b *Outbox) Position(ctx context.Context, endpoint string) (notify.Position, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	saved, err := b.l.read(ctx, positionKey(endpoint))
	if err != nil || saved.value == nil {
		return notify.Position{}, saved.rev, err
	}
	var p notify.Position
	if err := json.Unmarshal(saved.value, &p); err != nil {
		return p, 0, fmt.Errorf("ledger: bad position of endpoint %s: %w", endpoint, err)
	}
	if p.V != notify.PositionVersion {
		return p, 0, fmt.Errorf("ledger: the position of endpoint %s has version %d, this build reads %d", endpoint, p.V, notify.PositionVersion)
	}
	return p, saved.rev, nil
}

// SavePosition implements notify.Store.
func (b *Outbox) SavePosition(ctx context.Context, endpoint string, p notify.Position, rev uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	p.V = notify.PositionVersion
	body, err := json.Marshal(p)
	if err != nil {
		return 0, fmt.Errorf("ledger: encode the position of endpoint %s: %w", endpoint, err)
	}
	next, err := b.l.put(ctx, positionKey(endpoint), body, rev, 0)
	if errors.Is(err, errRevision) {
		return 0, notify.ErrTaken
	}
	return next, err
}
