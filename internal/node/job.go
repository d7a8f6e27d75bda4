package node

import (
	"context"
	"errors"

	"tapedeck/internal/link"
	"tapedeck/internal/session"
)

// Unseal opens ledger.Record.Private of the recording sid. Nothing sealed is the
// zero value.
type Unseal func(sid string, sealed []byte) (session.Private, error)

// noSecrets is the Unseal of a node that was given none.
func noSecrets(sid string, sealed []byte) (session.Private, error) {
	if len(sealed) > 0 {
		return session.Private{}, errors.New("node: recording " + sid + " has secrets that this node cannot open")
	}
	return session.Private{}, nil
}

// room says how the recorder of a plan joins; web pages need none.
func (n *Node) room(plan session.Plan) (link.Room, error) {
	if plan.Mode == session.Web {
		return link.Room{}, nil
	}
	return n.cfg.Rooms.Room(plan, n.cfg.times.token)
}

// job is what a worker is told to do. The caller holds mu.
func (k *keeper) job() (link.Job, error) {
	private, err := k.n.cfg.Unseal(k.sid, k.rec.Private)
	if err != nil {
		return link.Job{}, err
	}
	room, err := k.n.room(k.plan)
	if err != nil {
		return link.Job{}, err
	}
	if private.SpoolKey, err = k.n.cfg.Keys.open(k.rec); err != nil {
		return link.Job{}, err
	}
	return link.Job{Plan: k.plan, Room: room, Private: &private}, nil
}

// postpone queues what is to be made of the files, before the record says that
// the recording is over.
func (k *keeper) postpone(ctx context.Context, now outcome) error {
	k.mu.Lock()
	due := now.over && k.plan.Postponed != nil && k.p.view.recorded
	k.mu.Unlock()
	if !due || k.n.cfg.Postpone == nil {
		return nil
	}
	return k.n.cfg.Postpone(ctx, k.sid)
}

// sendLive brings a running worker to what was ordered of its pause and its live
// outputs. The caller holds mu.
func (k *keeper) sendLive() {
	switch {
	case k.plan.Page != nil:
		_ = k.conn.Send(link.Message{Type: link.Hold, OnHold: k.plan.Page.OnHold})
	case k.plan.Mixing != nil:
		_ = k.conn.Send(link.Message{Type: link.Hold, OnHold: k.plan.Mixing.OnHold})
	}
	if k.plan.Push == 0 {
		return
	}
	private, err := k.n.cfg.Unseal(k.sid, k.rec.Private)
	if err != nil {
		k.log.Error("the live outputs stay as they are", "error", err)
		return
	}
	_ = k.conn.Send(link.Message{Type: link.PushTo, Push: private.Push})
}

// renewToken hands over a token for rejoins, where there is a room.
func (k *keeper) renewToken(conn *link.Conn, room link.Room) {
	if room.Token != "" {
		_ = conn.Send(link.Message{Type: link.Token, Token: room.Token})
	}
}
