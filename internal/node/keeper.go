package node

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"tapedeck/internal/ledger"
	"tapedeck/internal/link"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// keeper looks after one recording from its placement until its last file is
// shipped. Four loops share the work: supervise runs the worker, follow reads
// its journal, ship runs the uploads and publish brings all of it into the
// record. They meet in progress and in the channels below.
type keeper struct {
	n   *Node
	sid string
	dir *spool.Dir
	log *slog.Logger

	cancel  context.CancelFunc // lets go of everything, ends nothing
	changed chan struct{}      // something is to be published; buffered
	nudge   chan struct{}      // the journal may have grown; buffered
	stop    chan struct{}      // closed: the worker has to end
	ended   chan struct{}      // closed: the journal has its ended fact
	final   chan struct{}      // closed: everything is shipped and published
	gone    chan struct{}      // closed: all loops have returned

	reading sync.Mutex // one reader of the journal at a time
	offset  int64      // where it goes on

	mu       sync.Mutex
	p        progress
	plan     session.Plan     // newest
	replan   bool             // the worker was started with an older one
	shipping ShipProgress     // newest report of the Shipper
	misfits  []session.Status // of the record, at calls that did not fit it; to be told
	orphan   bool             // there is no record of ours to publish to
	stopping bool
	conn     *link.Conn // to the worker, nil while there is none
	note     string     // last remark of the worker
	rec      ledger.Record
	url      string // of the room, for messages
	shipper  Shipper
	unserve  func()
	stopShip context.CancelFunc
}

func (n *Node) newKeeper(rec ledger.Record, dir *spool.Dir) *keeper {
	return &keeper{
		n: n, sid: rec.SID, dir: dir, rec: rec, plan: rec.Plan,
		log:     n.log.With("sid", rec.SID, "app", rec.App, "mode", string(rec.Mode)),
		changed: make(chan struct{}, 1), nudge: make(chan struct{}, 1),
		stop: make(chan struct{}), ended: make(chan struct{}), final: make(chan struct{}), gone: make(chan struct{}),
	}
}

// start registers the keeper and runs its loops. first and ship may be nil.
func (n *Node) start(k *keeper, first *process, ship Shipper) {
	ctx, cancel := context.WithCancel(context.Background())
	shipCtx, stopShip := context.WithCancel(ctx)
	k.cancel, k.stopShip = cancel, stopShip
	n.mu.Lock()
	n.keepers[k.sid] = k
	n.mu.Unlock()
	var loops sync.WaitGroup
	loops.Go(func() {
		k.supervise(ctx, first)
		n.admit.release(k.sid)
	})
	loops.Go(func() { k.follow(ctx) })
	loops.Go(func() { k.ship(ctx, shipCtx, ship) })
	loops.Go(func() { k.publish(ctx) })
	loops.Go(func() { k.minutes(ctx) })
	go func() {
		defer close(k.gone)
		defer cancel()
		loops.Wait()
		n.retire(k)
	}()
}

// retire forgets a keeper whose loops have ended. If everything was shipped,
// what is left of the folder gets a date.
func (n *Node) retire(k *keeper) {
	if k.unserve != nil {
		k.unserve()
	}
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.keepers, k.sid)
	}()
	k.mu.Lock()
	p, orphan := k.p, k.orphan
	k.mu.Unlock()
	if !p.over() {
		return
	}
	if orphan && !p.view.recorded && p.view.slices == 0 {
		k.log.Info("a recording that nobody wants any more is removed")
		n.remove(k.dir)
		return
	}
	n.keep(k.dir, p)
}

// wake wakes a loop; one that is awake already looks again anyway.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// follow reads the journal whenever the worker hints at news, and now and then
// in any case, until it has ended.
func (k *keeper) follow(ctx context.Context) {
	t := time.NewTicker(k.n.cfg.times.poll)
	defer t.Stop()
	for {
		k.readJournal()
		select {
		case <-ctx.Done():
			return
		case <-k.ended:
			return
		case <-k.nudge:
		case <-t.C:
		}
	}
}

// readJournal takes in what the journal has grown by.
func (k *keeper) readJournal() {
	k.reading.Lock()
	defer k.reading.Unlock()
	for {
		facts, next, err := k.dir.ReadJournal(k.offset)
		if err != nil && !errors.Is(err, spool.ErrNotFound) {
			k.log.Error("the journal cannot be read", "error", err)
			return
		}
		if len(facts) == 0 {
			return
		}
		k.offset = next
		k.takeIn(facts)
	}
}

func (k *keeper) takeIn(facts []spool.Fact) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, f := range facts {
		k.p.view.add(f)
		if f.Type == spool.FactUnreadable {
			k.log.Error("a line of the journal cannot be read; the disk may be failing", "where", f.Note)
		}
	}
	if k.p.view.ended && !k.isEnded() {
		if k.rec.State.Live() { // else an earlier run said so
			k.explainEnd()
		}
		close(k.ended)
		if s, ok := k.shipper.(interface{ Nudge() }); ok {
			s.Nudge() // somebody may be waiting for the last files
		}
	}
	wake(k.changed)
}

// publish brings progress into the record until the recording is over. A
// ledger that does not answer delays only this.
func (k *keeper) publish(ctx context.Context) {
	pause := k.n.cfg.times.retry
	t := k.newTeller()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.changed:
		}
		over, err := k.publishOnce(ctx, t)
		switch {
		case err == nil:
			pause = k.n.cfg.times.retry
		case ctx.Err() != nil:
			return
		default:
			k.log.Warn("the record cannot be written, trying again", "error", err, "in", pause)
			if !wait(ctx, pause) {
				return
			}
			pause = min(2*pause, time.Minute)
			wake(k.changed)
		}
		if over {
			close(k.final)
			return
		}
	}
}

var (
	errUnchanged = errors.New("node: nothing to write")
	errNotOurs   = errors.New("node: another node has the recording")
)

// publishOnce tells first and writes the record then: what an event follows
// from is in the outbox before a record says it.
func (k *keeper) publishOnce(ctx context.Context, t *teller) (over bool, err error) {
	now, err := t.tell(ctx)
	if err != nil {
		return false, err
	}
	k.mu.Lock()
	orphan := k.orphan
	k.mu.Unlock()
	if orphan {
		return now.over, nil
	}
	if err := k.postpone(ctx, now); err != nil {
		return false, err
	}
	rec, err := k.update(ctx, func(r *ledger.Record) error {
		before, err := r.Encode()
		if err != nil {
			return err
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.outcome() != now {
			return errMoreToTell
		}
		k.p.apply(r)
		if after, err := r.Encode(); err == nil && string(after) == string(before) {
			return errUnchanged
		}
		return nil
	})
	switch {
	case errors.Is(err, errUnchanged), err == nil:
		k.mu.Lock()
		k.rec = rec
		k.mu.Unlock()
		return now.over, nil
	case errors.Is(err, errMoreToTell):
		wake(k.changed)
		return false, nil
	case errors.Is(err, ledger.ErrNotFound), errors.Is(err, errNotOurs):
		return now.over, nil
	}
	return false, err
}

// update changes the record if it is still ours. If it is not, the recording
// ends.
func (k *keeper) update(ctx context.Context, change func(*ledger.Record) error) (ledger.Record, error) {
	rec, err := k.n.cfg.Ledger.Update(ctx, k.sid, func(r *ledger.Record) error {
		if r.Node != k.n.id {
			return errNotOurs
		}
		return change(r)
	})
	if errors.Is(err, ledger.ErrNotFound) || errors.Is(err, errNotOurs) {
		k.disown(err)
	}
	return rec, err
}

// disown ends a recording whose record is gone or has another owner. What it
// has recorded is shipped all the same.
func (k *keeper) disown(why error) {
	k.mu.Lock()
	first := !k.orphan
	k.orphan = true
	k.mu.Unlock()
	if first {
		k.log.Warn("the recording is no longer ours and ends", "cause", why)
	}
	k.wantStop()
	wake(k.changed)
}

// wantStop tells the supervisor to end the worker.
func (k *keeper) wantStop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.stopping {
		k.stopping = true
		close(k.stop)
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
