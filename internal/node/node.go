// Package node runs the recordings of one machine: it takes those that fit,
// starts a worker process for each, watches it, starts it again when it died,
// tells the ledger what the worker's journal says, and sees to it that every
// file is shipped. Workers outlive it: after a restart it finds them again by
// the sockets in their spool folders.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"tapedeck/internal/ledger"
	"tapedeck/internal/link"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// Minter says how the recorder of a plan joins its room. The LiveKit key stays
// with it; the token in the answer is valid for ttl at least.
type Minter interface {
	Room(plan session.Plan, ttl time.Duration) (link.Room, error)
}

// Shipper brings the files of one recording to their destination. Run returns
// nil when the journal has ended and everything in it has its receipt; any
// other return makes the node start it again after a while. If it has a method
// Nudge(), that is called when the journal has ended.
type Shipper interface {
	Run(ctx context.Context) error
}

// ShipProgress is what a Shipper reports.
type ShipProgress struct {
	Uploaded int  // files that arrived at the caller's store
	Waiting  int  // files that are known and are neither there nor in the backup store
	Backuped bool // some are in the operator's backup store and not in the caller's
	Lost     int  // files that the spool could not give any more

	// Bytes of Total bytes recorded so far are in the caller's store or in the
	// backup store: what event 33 tells as a share (events.md).
	Bytes, Total int64
	// Retries and BackupRetries count failed attempts at the caller's and at the
	// backup store: warnings 31 and 32.
	Retries, BackupRetries int

	LastError error // of the newest attempt; nil when it did not fail; free of credentials
	// CallersFault: only the caller can mend LastError, by another key or bucket.
	CallersFault bool
}

// NewShipper makes the Shipper of a recording. rec.Storage is still sealed.
// An error at the start of a recording refuses the start.
type NewShipper func(dir *spool.Dir, rec ledger.Record, report func(ShipProgress)) (Shipper, error)

// Config is what a node needs. Members without a default are required.
type Config struct {
	Data   string   // folder of the file node-id
	Spool  string   // folder of the spool folders
	Worker []string // program and leading arguments; "-dir <spool folder>" follows
	Env    []string // NAME=value, for the worker, beside the few harmless ones it inherits

	Ledger  *ledger.Ledger
	Region  string // CN, AP, EU, NA or none: recordings of other regions are not taken
	Rooms   Minter
	Shipper NewShipper
	Unseal  Unseal // nil: recordings with secrets are refused
	Keys    SpoolKeys
	Events  Events // zero: nobody is told
	// Postpone makes the work durable that a recording asked for after its end;
	// nil: none is done. It may be called twice for one recording.
	Postpone func(ctx context.Context, sid string) error

	Cores   float64       // processor cores given to recordings; 0: all
	Costs   Costs         // zero: DefaultCosts
	MinFree uint64        // bytes; no new recording below this much free space
	MaxUsed uint64        // bytes that the spool may hold before new recordings are refused; 0: no bound
	Keep    time.Duration // how long journals of finished recordings stay; 0: 24 h

	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // nil: none

	times times
}

// times are the patience of a node; tests shorten it.
type times struct {
	poll     time.Duration // between looks at a journal
	dial     time.Duration // between attempts to reach a new worker
	hello    time.Duration // for a new worker to answer
	stop     time.Duration // for a stopped worker to end, before it is terminated
	exit     time.Duration // for an ended worker to exit, and from SIGTERM to SIGKILL
	answer   time.Duration // for a synchronous stop (rest-api.md 9.1: 20 s)
	token    time.Duration // validity of room tokens
	sweep    time.Duration // between looks at the whole
	unplaced time.Duration // age at which a recording that nobody took is taken
	lost     time.Duration // age at which it is given up; clients wait 90 s (errors.md 6.2)
	retry    time.Duration // first pause before a failed thing is tried again
	horizon  time.Duration // from the end until uploads are given up
	minute   time.Duration // between looks whether event 33 is due
	forward  time.Duration // first pause before the backup store's files are moved home
}

func (t times) withDefaults() times {
	def := times{
		poll: 200 * time.Millisecond, dial: 10 * time.Millisecond, hello: 10 * time.Second,
		stop: 30 * time.Second, exit: 5 * time.Second, answer: 20 * time.Second,
		token: 6 * time.Hour, sweep: 15 * time.Second, unplaced: 15 * time.Second,
		lost: 90 * time.Second, retry: time.Second, horizon: 24 * time.Hour, minute: 5 * time.Second, forward: time.Minute,
	}
	for _, p := range []struct{ v, d *time.Duration }{
		{&t.poll, &def.poll}, {&t.dial, &def.dial}, {&t.hello, &def.hello}, {&t.stop, &def.stop},
		{&t.exit, &def.exit}, {&t.answer, &def.answer}, {&t.token, &def.token}, {&t.sweep, &def.sweep},
		{&t.unplaced, &def.unplaced}, {&t.lost, &def.lost}, {&t.retry, &def.retry}, {&t.horizon, &def.horizon}, {&t.minute, &def.minute},
		{&t.forward, &def.forward},
	} {
		if *p.v == 0 {
			*p.v = *p.d
		}
	}
	return t
}

// Node is one running node.
type Node struct {
	cfg   Config
	id    string
	log   *slog.Logger
	now   func() time.Time
	admit *admission

	stopServing func()
	stopSweep   context.CancelFunc
	sweeping    sync.WaitGroup

	placing  sync.Mutex // one placement at a time
	homeward forwarder

	mu       sync.Mutex
	closing  bool
	keepers  map[string]*keeper
	finished map[string]time.Time // sid → when its folder may go
}

// Open takes up what an earlier run of this node left, then offers the node to
// the ledger. The node works until Close; ctx bounds Open itself.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	cfg = cfg.withDefaults()
	if len(cfg.Worker) == 0 || cfg.Ledger == nil || cfg.Rooms == nil || cfg.Shipper == nil {
		return nil, errors.New("node: incomplete configuration")
	}
	id, err := loadID(cfg.Data)
	if err != nil {
		return nil, err
	}
	n := &Node{
		cfg: cfg, id: id, log: cfg.Log.With("node", id), now: cfg.Now,
		admit:   newAdmission(cfg.Costs, cfg.Cores),
		keepers: map[string]*keeper{}, finished: map[string]time.Time{},
	}
	if err := spool.Writable(cfg.Spool); err != nil {
		n.log.Error("the spool takes no files: recordings will be refused until this is mended", "error", err)
	}
	if err := n.recover(ctx); err != nil {
		n.detach()
		return nil, err
	}
	if n.stopServing, err = n.serve(ctx); err != nil {
		n.detach()
		return nil, err
	}
	sweepCtx, stop := context.WithCancel(context.Background())
	n.stopSweep = stop
	n.sweeping.Go(func() { n.sweepLoop(sweepCtx) })
	return n, nil
}

func (c Config) withDefaults() Config {
	if c.Unseal == nil {
		c.Unseal = noSecrets
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Keep == 0 {
		c.Keep = 24 * time.Hour
	}
	if c.Cores == 0 {
		c.Cores = float64(runtime.NumCPU())
	}
	if c.Costs == (Costs{}) {
		c.Costs = DefaultCosts()
	}
	c.times = c.times.withDefaults()
	return c
}

// serve offers the node to those who place recordings.
func (n *Node) serve(ctx context.Context) (stop func(), err error) {
	unserve, err := n.cfg.Ledger.ServePlaceIn(n.cfg.Region, n.id, n.take)
	if err != nil {
		return nil, err
	}
	leave, err := n.cfg.Ledger.Announce(ctx, n.cfg.Region, n.id)
	if err != nil {
		unserve()
		return nil, err
	}
	return func() { leave(); unserve() }, nil
}

// ID returns the node's name, which it keeps over restarts.
func (n *Node) ID() string { return n.id }

// Stats is what a node is busy with.
type Stats struct {
	Live      int     // recordings with a worker
	Uploading int     // recordings that only have files on their way
	Used      float64 // cores, by the cost table
	Capacity  float64 // cores
}

// Stats returns the present figures.
func (n *Node) Stats() Stats {
	s := Stats{Capacity: n.admit.capacity}
	s.Live, s.Used = n.admit.used()
	n.mu.Lock()
	defer n.mu.Unlock()
	s.Uploading = max(0, len(n.keepers)-s.Live)
	return s
}

// Close takes no more recordings. With finish it stops the running ones and
// waits until their files are shipped or ctx ends; what is not shipped then
// stays in the spool and goes on at the next start. Without, the workers go on
// recording alone and the next start finds them.
func (n *Node) Close(ctx context.Context, finish bool) error {
	n.placing.Lock() // a placement under way gets its keeper first
	n.mu.Lock()
	n.closing = true
	keepers := n.snapshot()
	n.mu.Unlock()
	n.placing.Unlock()
	n.stopSweep()
	n.sweeping.Wait()
	n.homeward.jobs.Wait()
	var err error
	if finish {
		err = n.finishAll(ctx, keepers)
	}
	n.stopServing()
	n.detach()
	return err
}

func (n *Node) snapshot() []*keeper {
	all := make([]*keeper, 0, len(n.keepers))
	for _, k := range n.keepers {
		all = append(all, k)
	}
	return all
}

func (n *Node) finishAll(ctx context.Context, keepers []*keeper) error {
	var all sync.WaitGroup
	for _, k := range keepers {
		all.Go(func() {
			_, _ = k.requestStop(ctx) // one that is leaving already is as good
			k.wantStop()
		})
	}
	all.Wait()
	left := 0
	for _, k := range keepers {
		select {
		case <-k.gone: // its worker, too
		case <-ctx.Done():
			left++
		}
	}
	if left > 0 {
		return fmt.Errorf("node: %d recording(s) still have files to close or to upload; they stay in %s and go on at the next start", left, n.cfg.Spool)
	}
	return nil
}

// detach lets go of everything without ending it.
func (n *Node) detach() {
	n.mu.Lock()
	keepers := n.snapshot()
	n.mu.Unlock()
	for _, k := range keepers {
		k.cancel()
	}
	for _, k := range keepers {
		<-k.gone
	}
}
