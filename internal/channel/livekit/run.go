package livekit

import (
	"context"
	"errors"
	"fmt"
	"time"

	lk "github.com/livekit/protocol/livekit"

	"tapedeck/internal/channel"
	"tapedeck/internal/channel/livekit/sdk"
)

// Back-off between attempts to join.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
)

// afterRoom lets the server finish with a room that it ended. Who joins at once
// gets into the old room, which nobody else will enter.
const afterRoom = time.Second

// echo bounds how long a connection that was given up can disturb the next.
const echo = 30 * time.Second

// Run implements channel.Source. It may be called once.
//
// A connection that breaks is made again for RejoinTimeout, with the latest
// token. A room that the server closes because nobody is in it, or deletes, is
// joined again too, which makes it anew: when to stop waiting for users is not
// decided here.
func (s *Source) Run(ctx context.Context, handle func(channel.Event)) error {
	if s.fault != nil {
		return &channel.EndError{End: channel.EndRefused, Err: s.fault}
	}
	sdk.Prepare()
	end := make(chan error, 1)
	go func() { end <- s.attend(ctx) }()
	for {
		for _, ev := range s.queue.take() {
			handle(ev)
		}
		select {
		case <-s.queue.wake:
		case err := <-end:
			for _, ev := range s.queue.take() {
				handle(ev)
			}
			return err
		}
	}
}

// attend keeps us in the room until ctx ends or there is no way back.
func (s *Source) attend(ctx context.Context) error {
	var lost time.Time // when we last gave a connection up
	for again := false; ; again = true {
		v, err := s.enter(ctx, again)
		if err != nil || v == nil {
			return err
		}
		reason := v.stay(ctx)
		s.setVisit(nil)
		left := "other"
		if closed(reason) {
			left = "room-deleted"
		}
		v.close(left, ctx.Err() != nil)
		if ctx.Err() != nil {
			return nil
		}
		switch reason {
		case lk.DisconnectReason_PARTICIPANT_REMOVED:
			return &channel.EndError{End: channel.EndRemoved, Err: errors.New("the recorder was removed from the room")}
		case lk.DisconnectReason_DUPLICATE_IDENTITY:
			// An attempt of the library that was under way when we gave its
			// connection up may have come through after ours.
			// Once: two recorders must not push each other out for ever.
			if s.cfg.Now().Sub(lost) < echo {
				lost = time.Time{}
				break
			}
			return &channel.EndError{End: channel.EndRemoved, Err: fmt.Errorf("another recorder joined as %q", s.cfg.Room.Identity)}
		}
		if reason == lk.DisconnectReason_SIGNAL_CLOSE {
			lost = s.cfg.Now()
		}
		cause := fmt.Errorf("livekit: the connection ended: %s", reason)
		s.cfg.Log.Warn("lost the room, joining again", "recorder", s.cfg.Room.Identity, "reason", reason.String())
		s.queue.push(channel.Disconnected{At: s.cfg.Clock.At(s.cfg.Now()), Err: cause})
		if closed(reason) && !sleep(ctx, afterRoom) {
			return nil
		}
	}
}

// enter joins, and tries for as long as patience lasts. It returns no visit and
// no error when ctx ends. A token that has expired since the first join may be
// replaced: only then is a refusal not the end.
func (s *Source) enter(ctx context.Context, again bool) (*visit, error) {
	patience := s.cfg.JoinTimeout
	if again {
		patience = s.cfg.RejoinTimeout
	}
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		s.mu.Lock()
		token, fresh := s.token, s.fresh
		s.mu.Unlock()
		v, err := s.join(ctx, token)
		if err == nil {
			return v, nil
		}
		if ctx.Err() != nil {
			return nil, nil
		}
		status := s.ask(ctx, token)
		s.cfg.Log.Info("could not join the room", "err", err, "answer", status.String())
		if status.refused() && (!again || !expired(token, s.cfg.Now())) {
			return nil, &channel.EndError{End: channel.EndRefused, Err: status.err(s.cfg.Room.URL)}
		}
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil, nil
		case <-limit.C:
			wait.Stop()
			return nil, status.end(s.cfg.Room.URL, patience, err)
		case <-fresh:
			wait.Stop()
		case <-wait.C:
		}
	}
}

func (s *Source) setVisit(v *visit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.visit = v
}

// sleep waits, and reports false when ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// closed reports that the server ended the room.
func closed(r lk.DisconnectReason) bool {
	return r == lk.DisconnectReason_ROOM_CLOSED || r == lk.DisconnectReason_ROOM_DELETED
}

// leftReason says why a user is gone.
func leftReason(r lk.DisconnectReason) string {
	switch r {
	case lk.DisconnectReason_CLIENT_INITIATED:
		return "client"
	case lk.DisconnectReason_CONNECTION_TIMEOUT, lk.DisconnectReason_SIGNAL_CLOSE:
		return "timeout"
	case lk.DisconnectReason_PARTICIPANT_REMOVED:
		return "removed"
	case lk.DisconnectReason_ROOM_DELETED, lk.DisconnectReason_ROOM_CLOSED:
		return "room-deleted"
	case lk.DisconnectReason_DUPLICATE_IDENTITY:
		return "replaced"
	}
	return "other"
}
