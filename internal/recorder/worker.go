// Package recorder is the worker: it joins one room, turns what the users send
// into files in the spool, and ends. One file per mode shows the whole wiring.
package recorder

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tapedeck/internal/link"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// nodeWait bounds how long a new worker waits for its job. A node dials at
// once; a worker that nobody claims must not stay behind.
const nodeWait = 30 * time.Second

// doneWait bounds how long a worker whose files are final waits for the node
// to take note, before it ends by itself. The journal has it all by then.
const doneWait = 10 * time.Second

// Worker is one run of the tapedeck-worker program.
type Worker struct {
	dir string
	log *slog.Logger
	now func() time.Time

	settings Settings

	job  chan link.Job
	stop chan string // reasons: spool.EndStop
	done chan struct{}

	once  sync.Once
	mu    sync.Mutex
	conns map[*link.Conn]struct{}
	live  controls
	early []link.Message // orders that came before there was something to order
	last  link.Message   // the newest status, told to every node that connects
}

// controls is what a running recording obeys.
type controls interface {
	Subscribe(s session.Subscription)
	Layout(l session.Layout)
	SetToken(token string)
	Hold(on bool)
	PushTo(urls []string)
}

// NewWorker prepares a worker for the spool folder dir.
func NewWorker(dir string, log *slog.Logger, now func() time.Time) *Worker {
	return &Worker{
		dir: dir, log: log, now: now,
		job: make(chan link.Job, 1), stop: make(chan string, 1), done: make(chan struct{}),
		conns: map[*link.Conn]struct{}{},
	}
}

// Configure sets what the operator wants of all workers. It is called before Run.
func (w *Worker) Configure(s Settings) { w.settings = s }

// Run serves the link, waits for the job, records until it is told to stop or
// the channel ends, and returns when every file is final. Cancelling ctx is a
// stop: the files are closed all the same.
func (w *Worker) Run(ctx context.Context) error {
	l, err := link.Listen(w.dir)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(filepath.Join(w.dir, link.SocketName)) }()
	defer func() { _ = l.Close() }()
	go w.accept(l)

	var job link.Job
	select {
	case job = <-w.job:
	case <-time.After(nodeWait):
		return errors.New("recorder: no node gave this worker a job")
	case <-ctx.Done():
		return nil
	}
	dir, err := folder(w.dir, job)
	if err != nil {
		return err
	}
	go func() {
		<-ctx.Done()
		w.requestStop(spool.EndStop)
	}()
	err = w.record(job, dir)
	select {
	case <-w.done:
	case <-time.After(doneWait):
	case <-ctx.Done():
	}
	return err
}

// folder opens the spool folder at path, with the data key that the job may have.
func folder(path string, job link.Job) (*spool.Dir, error) {
	dir, err := spool.Open(filepath.Dir(path), filepath.Base(path))
	if err != nil || job.Private == nil {
		return dir, err
	}
	return dir.WithKey(job.Private.SpoolKey)
}

func (w *Worker) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go w.serve(link.NewConn(c))
	}
}

// serve talks to one node. A second node may connect while the first hangs:
// orders are idempotent, so both are obeyed.
func (w *Worker) serve(c *link.Conn) {
	defer func() { _ = c.Close() }()
	if _, err := c.Handshake(os.Getpid()); err != nil {
		w.log.Warn("a node that connected was turned away", "err", err)
		return
	}
	w.mu.Lock()
	w.conns[c] = struct{}{}
	last := w.last
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		delete(w.conns, c)
		w.mu.Unlock()
	}()
	if last.Type != "" {
		_ = c.Send(last)
	}
	for {
		m, err := c.Receive()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				w.log.Warn("the link to the node broke", "err", err)
			}
			return
		}
		w.obey(m)
	}
}

func (w *Worker) obey(m link.Message) {
	switch m.Type {
	case link.Run:
		if m.Job != nil {
			select {
			case w.job <- *m.Job:
			default:
			}
		}
	case link.Stop:
		w.requestStop(spool.EndStop)
	case link.Done:
		w.once.Do(func() { close(w.done) })
	case link.Token, link.Subscribe, link.Layout, link.Hold, link.PushTo:
		w.command(m)
	}
}

// command obeys an order about the recording, or keeps it until there is one.
func (w *Worker) command(m link.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.live == nil {
		w.early = append(w.early, m)
		return
	}
	order(w.live, m)
}

// order passes on what a running recording can obey.
func order(live controls, m link.Message) {
	switch {
	case m.Type == link.Token && m.Token != "":
		live.SetToken(m.Token)
	case m.Type == link.Subscribe && m.Subscription != nil:
		live.Subscribe(*m.Subscription)
	case m.Type == link.Layout && m.Layout != nil:
		live.Layout(*m.Layout)
	case m.Type == link.Hold:
		live.Hold(m.OnHold)
	case m.Type == link.PushTo:
		live.PushTo(m.Push)
	}
}

func (w *Worker) requestStop(reason string) {
	select {
	case w.stop <- reason:
	default:
	}
}

// tell sends a status to every connected node and keeps it for later ones.
func (w *Worker) tell(status session.Status, note string) {
	m := link.Message{Type: link.Status, Status: int(status), Note: note}
	w.mu.Lock()
	w.last = m
	conns := make([]*link.Conn, 0, len(w.conns))
	for c := range w.conns {
		conns = append(conns, c)
	}
	w.mu.Unlock()
	for _, c := range conns {
		_ = c.Send(m) // a broken link is the node's to mend
	}
}

// setLive hands orders to c from now on, first those that came before it.
func (w *Worker) setLive(c controls) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.live = c
	if c == nil {
		return
	}
	for _, m := range w.early {
		order(c, m)
	}
	w.early = nil
}
