package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"tapedeck/internal/session"
)

const (
	placeSubject = "node.place"
	placeQueue   = "nodes"

	// A full node refuses; the queue group then picks another with luck.
	placeTries = 3

	unserveTimeout = 2 * time.Second
)

func ownerSubject(sid string) string { return "rec.sess." + sid }

// Kinds of commands.
const (
	CommandStop   = "stop"
	CommandUpdate = "update"
	CommandLayout = "layout"
	CommandHold   = "hold"    // pause or go on
	CommandPush   = "push"    // other live push outputs
	CommandStore  = "storage" // fresh storage credentials
	CommandMisfit = "misfit"  // a call did not fit the recording's state; nothing changes
)

// Command is a question to the owner of a recording.
type Command struct {
	Kind         string                `json:"kind"`
	Async        bool                  `json:"async,omitempty"` // stop: answer at once
	Subscription *session.Subscription `json:"subscription,omitempty"`
	Layout       *session.Layout       `json:"layout,omitempty"`
	OnHold       bool                  `json:"onhold,omitempty"`
	Private      []byte                `json:"private,omitempty"` // push: the sealed session.Private that takes the place of the record's
	Storage      []byte                `json:"storage,omitempty"` // storage: the sealed target that takes the place of the record's
}

// Reply is the owner's answer. Code is 0 or a code of spec/errors.md 3.
type Reply struct {
	Code   int     `json:"code"`
	Record *Record `json:"record,omitempty"`
}

type placeReply struct {
	Node   string `json:"node"`
	Reason string `json:"reason,omitempty"` // of a refusal
}

// subjectOf is where the nodes of a place are asked (session.PlaceAny, ...).
func subjectOf(place string) string {
	switch place {
	case session.PlaceAny:
		return placeSubject
	case session.PlaceUnnamed:
		return placeSubject + ".none"
	}
	return placeSubject + "." + place
}

// Place asks the nodes to take the recording sid, which was claimed before: those
// of the places, one place after the other, or any when none is named. When it
// returns nil, a worker was started for it. Errors: ErrNoNode at once when no node
// is there; *ErrRefused.
func (l *Ledger) Place(ctx context.Context, sid string, places ...string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if len(places) == 0 {
		places = []string{session.PlaceAny}
	}
	var refusal *ErrRefused
	for _, place := range places {
		err := l.placeIn(ctx, sid, place)
		if err == nil || !errors.Is(err, ErrNoNode) && !errors.As(err, &refusal) {
			return err
		}
	}
	if refusal != nil {
		return refusal
	}
	return ErrNoNode
}

func (l *Ledger) placeIn(ctx context.Context, sid, place string) error {
	var refusal *ErrRefused
	for range placeTries {
		m, err := l.nc.RequestWithContext(ctx, subjectOf(place), []byte(sid))
		if errors.Is(err, nats.ErrNoResponders) {
			if refusal != nil {
				return refusal
			}
			return ErrNoNode
		}
		if err != nil {
			return fmt.Errorf("ledger: place recording %s: %w", sid, err)
		}
		var r placeReply
		if err := json.Unmarshal(m.Data, &r); err != nil {
			return fmt.Errorf("ledger: place recording %s: bad answer: %w", sid, err)
		}
		if r.Reason == "" {
			return nil
		}
		again := refusal != nil && refusal.Node == r.Node
		refusal = &ErrRefused{Node: r.Node, Reason: r.Reason}
		if again {
			break
		}
	}
	return refusal
}

// ServePlace answers Place for the node called name, which has no region. An
// error of take is the reason of the refusal, which operators read. unsub waits
// for calls under way.
func (l *Ledger) ServePlace(name string, take func(ctx context.Context, sid string) error) (unsub func(), err error) {
	return l.ServePlaceIn(session.PlaceUnnamed, name, take)
}

// ServePlaceIn is ServePlace for a node of a region.
func (l *Ledger) ServePlaceIn(region, name string, take func(ctx context.Context, sid string) error) (unsub func(), err error) {
	answer := func(ctx context.Context, m []byte) any {
		r := placeReply{Node: name}
		if err := take(ctx, string(m)); err != nil {
			r.Reason = err.Error()
		}
		return r
	}
	own, err := l.serve(subjectOf(region), placeQueue, answer)
	if err != nil {
		return nil, err
	}
	anywhere, err := l.serve(subjectOf(session.PlaceAny), placeQueue, answer)
	if err != nil {
		own()
		return nil, err
	}
	return func() { own(); anywhere() }, nil
}

// Ask puts a command to the owner of sid and waits for the answer as long as
// ctx allows. ErrNoOwner comes at once when nobody serves the recording.
func (l *Ledger) Ask(ctx context.Context, sid string, c Command) (Reply, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return Reply{}, fmt.Errorf("ledger: encode command: %w", err)
	}
	m, err := l.nc.RequestWithContext(ctx, ownerSubject(sid), body)
	if errors.Is(err, nats.ErrNoResponders) {
		return Reply{}, ErrNoOwner
	}
	if err != nil {
		return Reply{}, fmt.Errorf("ledger: ask the owner of recording %s: %w", sid, err)
	}
	var r Reply
	if err := json.Unmarshal(m.Data, &r); err != nil {
		return Reply{}, fmt.Errorf("ledger: answer of the owner of recording %s: %w", sid, err)
	}
	return r, nil
}

// ServeSession answers Ask for sid; calls run side by side. unsub ends the
// contexts of calls under way and waits for them, so answer must not call it.
func (l *Ledger) ServeSession(sid string, answer func(context.Context, Command) Reply) (unsub func(), err error) {
	return l.serve(ownerSubject(sid), "", func(ctx context.Context, m []byte) any {
		var c Command
		if err := json.Unmarshal(m, &c); err != nil {
			l.log.Error("a command cannot be read", "sid", sid, "error", err)
			return Reply{Code: codeBad}
		}
		return answer(ctx, c)
	})
}

// codeBad answers a command that this build cannot read (errors.md 3, code 62).
const codeBad = 62

func (l *Ledger) serve(subject, queue string, answer func(context.Context, []byte) any) (func(), error) {
	ctx, cancel := context.WithCancel(context.Background())
	var calls sync.WaitGroup
	handle := func(m *nats.Msg) {
		calls.Go(func() {
			body, err := json.Marshal(answer(ctx, m.Data))
			if err == nil {
				err = m.Respond(body)
			}
			if err != nil {
				l.log.Warn("cannot answer", "subject", subject, "error", err)
			}
		})
	}
	var sub *nats.Subscription
	var err error
	if queue == "" {
		sub, err = l.nc.Subscribe(subject, handle)
	} else {
		sub, err = l.nc.QueueSubscribe(subject, queue, handle)
	}
	if err == nil {
		err = l.nc.Flush() // the server knows of it before anybody is told
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("ledger: serve %s: %w", subject, err)
	}
	closed := make(chan struct{})
	sub.SetClosedHandler(func(string) { close(closed) })
	return func() {
		// What the server has sent already is still answered; a question that
		// comes later finds nobody at once instead of waiting in vain.
		_ = sub.Drain()
		_ = l.nc.FlushTimeout(unserveTimeout)
		select {
		case <-closed:
		case <-time.After(unserveTimeout): // the connection is down
		}
		cancel()
		calls.Wait()
	}, nil
}
