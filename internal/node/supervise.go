package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"tapedeck/internal/link"
	"tapedeck/internal/session"
)

// supervise keeps a worker running until the journal has ended. It adopts a
// living one, starts one where there is none, and starts another when one died
// before its end.
func (k *keeper) supervise(ctx context.Context, p *process) {
	var b budget
	var conn *link.Conn
	for {
		if p == nil {
			p, conn = k.find(ctx)
		}
		if p == nil && !k.isEnded() {
			if k.forsaken() {
				k.giveUp(ctx, "its worker died while nobody looked after it")
				return
			}
			p = k.spawn()
		}
		if p != nil {
			k.attend(ctx, p, conn)
			select {
			case <-p.gone:
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return
		}
		k.readJournal()
		if k.isEnded() {
			return
		}
		pause, ok := b.take(k.n.now())
		if !ok {
			k.giveUp(ctx, fmt.Sprintf("the worker died %d times within %v", restarts+1, restartsSpan))
			return
		}
		k.log.Warn("the worker died and is started again", "exit", p.how(), "worker_log", k.logPath())
		if !wait(ctx, pause) {
			return
		}
		p, conn = nil, nil
	}
}

// how says how a dead process ended.
func (p *process) how() string {
	switch {
	case p == nil:
		return "it could not be started"
	case p.exit != nil:
		return p.exit.Error()
	}
	return "unknown"
}

func (k *keeper) logPath() string { return filepath.Join(k.dir.Path(), logName) }

func (k *keeper) isEnded() bool {
	select {
	case <-k.ended:
		return true
	default:
		return false
	}
}

// forsaken: no worker is to be started for this recording any more.
func (k *keeper) forsaken() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.orphan || k.p.failure != ""
}

// find adopts the worker that lives in the spool folder, if there is one.
func (k *keeper) find(ctx context.Context) (*process, *link.Conn) {
	hello, cancel := context.WithTimeout(ctx, k.n.cfg.times.hello)
	defer cancel()
	p, conn, err := adopt(hello, k.dir.Path())
	if p != nil {
		go p.watch(ctx)
	}
	switch {
	case err == nil:
		k.log.Info("a worker that ran on is looked after again", "pid", p.pid)
	case errors.Is(err, link.ErrVersion):
		k.log.Warn("the worker is of another version: it is ended and a new one goes on", "pid", p.pid, "error", err)
		p.terminate(ctx, k.n.cfg.times.stop)
		return nil, nil
	case !errors.Is(err, errNoWorker):
		k.log.Warn("no worker is found", "error", err)
	}
	return p, conn
}

func (k *keeper) spawn() *process {
	p, err := spawn(k.n.cfg.Worker, k.n.cfg.Env, k.dir.Path())
	if err != nil {
		k.log.Error("the worker cannot be started", "error", err)
		return nil
	}
	k.log.Debug("a worker was started", "pid", p.pid)
	return p
}

// attend talks to a worker until it is dead or ctx ends. A link that breaks is
// mended; a worker that does not answer is ended.
func (k *keeper) attend(ctx context.Context, p *process, conn *link.Conn) {
	for {
		if conn == nil {
			var err error
			if conn, err = k.connect(ctx, p); err != nil {
				if ctx.Err() == nil && p.alive() {
					k.log.Error("the worker does not answer and is ended", "pid", p.pid, "error", err)
					p.terminate(ctx, k.n.cfg.times.exit)
				}
				return
			}
		}
		if !k.converse(ctx, p, conn) {
			return
		}
		conn = nil
	}
}

// connect dials until the worker p answers.
func (k *keeper) connect(ctx context.Context, p *process) (*link.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, k.n.cfg.times.hello)
	defer cancel()
	t := time.NewTicker(k.n.cfg.times.dial)
	defer t.Stop()
	for {
		conn, err := link.Dial(ctx, k.dir.Path())
		if err == nil {
			if err = greet(ctx, conn, p.pid); err == nil {
				return conn, nil
			}
			_ = conn.Close()
		}
		if errors.Is(err, link.ErrVersion) {
			return nil, fmt.Errorf("%w: install the tapedeck-worker that belongs to this tapedeck", err)
		}
		select {
		case <-p.gone:
			return nil, net.ErrClosed
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		case <-t.C:
		}
	}
}

// converse tells the worker what it has to know and gives orders. It returns
// true if only the link broke.
func (k *keeper) converse(ctx context.Context, p *process, conn *link.Conn) (again bool) {
	lost := make(chan struct{})
	go k.listen(conn, lost)
	defer func() {
		k.setConn(nil)
		_ = conn.Close()
		<-lost
	}()
	k.brief(conn)
	stop, ended := k.stop, k.ended
	token := time.NewTicker(k.n.cfg.times.token / 2)
	defer token.Stop()
	patience := time.NewTimer(k.n.cfg.times.stop)
	patience.Stop()
	defer patience.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-p.gone:
			return false
		case <-lost:
			return true
		case <-token.C:
			k.refresh(conn)
		case <-stop:
			stop = nil
			_ = conn.Send(link.Message{Type: link.Stop}) // a broken link shows as lost
			patience.Reset(k.n.cfg.times.stop)
		case <-ended:
			stop, ended = nil, nil
			_ = conn.Send(link.Message{Type: link.Done})
			patience.Reset(k.n.cfg.times.exit)
		case <-patience.C:
			k.log.Error("the worker does not end and is made to", "pid", p.pid)
			p.terminate(ctx, k.n.cfg.times.exit)
			return false
		}
	}
}

// brief gives a worker its job, or a fresh token if it has one already, and
// opens the link for orders.
func (k *keeper) brief(conn *link.Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	job, err := k.job()
	if err != nil {
		k.log.Error("the worker gets no job", "error", err)
	} else {
		k.url = job.Room.URL
		_ = conn.Send(link.Message{Type: link.Run, Job: &job})
		k.renewToken(conn, job.Room)
	}
	k.conn = conn
	if k.replan {
		k.sendPlan()
	}
}

// refresh sends a new token, for rejoins.
func (k *keeper) refresh(conn *link.Conn) {
	k.mu.Lock()
	plan := k.plan
	k.mu.Unlock()
	room, err := k.n.room(plan)
	if err != nil {
		k.log.Error("no fresh token for the room: the recorder cannot rejoin once the old one has expired", "error", err)
		return
	}
	k.renewToken(conn, room)
}

// sendPlan brings a running worker to the newest subscription and layout. A
// worker obeys once it records, so before that it is told again later. The
// caller holds mu.
func (k *keeper) sendPlan() {
	if k.conn == nil {
		return
	}
	sub := k.plan.Subscription
	_ = k.conn.Send(link.Message{Type: link.Subscribe, Subscription: &sub})
	if k.plan.Mixing != nil {
		layout := k.plan.Mixing.Layout
		_ = k.conn.Send(link.Message{Type: link.Layout, Layout: &layout})
	}
	k.sendLive()
}

func (k *keeper) setConn(c *link.Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.conn = c
}

// listen takes what the worker says as a hint to look into the journal.
func (k *keeper) listen(conn *link.Conn, lost chan<- struct{}) {
	defer close(lost)
	for {
		m, err := conn.Receive()
		if err != nil {
			return
		}
		if m.Type == link.Status {
			k.remark(m)
			wake(k.nudge)
		}
	}
}

func (k *keeper) remark(m link.Message) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if m.Note != "" {
		k.note = m.Note
	}
	if s := session.Status(m.Status); k.replan && (s == session.StatusReady || s == session.StatusProgress) {
		k.sendPlan()
		k.replan = false
	}
}
