package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tapedeck/internal/spool"
)

const shipPauseMax = 5 * time.Minute

// ship runs the uploads until everything has its receipt. shipCtx ends before
// ctx when they are given up.
func (k *keeper) ship(ctx, shipCtx context.Context, s Shipper) {
	pause := k.n.cfg.times.retry
	for {
		err := k.shipOnce(shipCtx, s)
		if err == nil {
			k.settle(func(p *progress) { p.shipped = true })
			return
		}
		if ctx.Err() != nil {
			return
		}
		if shipCtx.Err() != nil {
			k.log.Error("uploads are given up; the files stay in the spool and nothing removes them", "folder", k.dir.Path())
			k.settle(func(p *progress) {
				p.givenUp = fmt.Sprintf("uploads did not succeed within %v of the end", k.n.cfg.times.horizon)
			})
			return
		}
		k.log.Error("uploads failed, trying again", "error", err, "in", pause)
		if wait(shipCtx, pause) {
			pause = min(2*pause, shipPauseMax)
		}
		s = nil
	}
}

func (k *keeper) shipOnce(ctx context.Context, s Shipper) error {
	if s == nil {
		k.mu.Lock()
		rec := k.rec
		k.mu.Unlock()
		var err error
		if s, err = k.n.cfg.Shipper(k.dir, rec, k.shipped); err != nil {
			return err
		}
	}
	k.mu.Lock()
	k.shipper = s
	k.mu.Unlock()
	if err := s.Run(ctx); err != nil {
		return err
	}
	return ctx.Err()
}

// shipped takes in what the Shipper reports.
func (k *keeper) shipped(p ShipProgress) {
	k.mu.Lock()
	first := p.Uploaded > 0 && !k.p.uploaded
	k.mu.Unlock()
	if first {
		// The Shipper reads the journal by itself and may be ahead: the record
		// must name a file before it says that one has arrived.
		k.readJournal()
	}
	k.mu.Lock()
	k.shipping = p
	k.mu.Unlock()
	k.settle(func(mine *progress) {
		mine.uploaded = mine.uploaded || p.Uploaded > 0
		mine.backuped = p.Backuped // until all of it came home
	})
}

func (k *keeper) settle(change func(*progress)) {
	k.mu.Lock()
	change(&k.p)
	k.mu.Unlock()
	wake(k.changed)
}

// overdue gives up uploads that went on for too long after the end.
func (k *keeper) overdue(now time.Time) {
	k.mu.Lock()
	late := k.p.view.ended && !k.p.shipped && now.Sub(time.UnixMicro(k.p.view.endedAt)) > k.n.cfg.times.horizon
	k.mu.Unlock()
	if late {
		k.stopShip()
	}
}

// giveUp ends a recording whose worker cannot be kept alive. No worker runs
// now, so the end can be written into the journal in its stead; without it the
// uploads would wait for more.
func (k *keeper) giveUp(ctx context.Context, why string) {
	k.log.Error("the recording failed; what it has is uploaded", "cause", why, "worker_log", k.logPath())
	k.settle(func(p *progress) { p.failure = why })
	for {
		err := k.writeEnd()
		if err == nil {
			k.readJournal()
			return
		}
		k.log.Error("the end of the recording cannot be written, trying again", "error", err)
		if !wait(ctx, k.n.cfg.times.poll*10) {
			return
		}
	}
}

func (k *keeper) writeEnd() error {
	j, facts, err := k.dir.OpenJournal(k.n.now)
	if err != nil {
		return err
	}
	var v view
	for _, f := range facts {
		v.add(f)
	}
	if !v.ended {
		recorded := v.slices > 0 || len(v.files) > 0
		err = j.Append(spool.Fact{Type: spool.FactEnded, Note: spool.EndFault, Recorded: recorded})
	}
	return errors.Join(err, j.Close())
}

// explainEnd says in the log what an operator can do about an end that nobody
// asked for. The caller holds mu.
func (k *keeper) explainEnd() {
	v := &k.p.view
	log := k.log.With("recorded", v.recorded, "worker_log", k.logPath())
	if k.note != "" && k.note != v.reason {
		log = log.With("note", k.note)
	}
	switch v.reason {
	case spool.EndRefused:
		log.Error(fmt.Sprintf("LiveKit at %s refuses the key of app %s: check livekit.key and livekit.secret of that app", k.url, k.plan.AppID))
	case spool.EndUnreached:
		log.Error(fmt.Sprintf("LiveKit at %s cannot be reached: check livekit.url of app %s, and that the server runs", k.url, k.plan.AppID))
	case spool.EndFault:
		log.Error("the recording ended by a fault: the worker's log has it; a full spool is the usual cause")
	case spool.EndRemoved:
		log.Warn("the recorder was removed from the room, or another recorder with the same uid joined")
	case spool.EndIdle:
		log.Info("the recording ended: nobody was in the channel for maxIdleTime", "max_idle", k.plan.MaxIdle)
	case spool.EndRoom:
		log.Info("the recording ended: the room was closed")
	default:
		log.Info("the recording ended", "reason", v.reason)
	}
}
