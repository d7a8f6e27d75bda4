// Package upload ships what a recording has written to where its caller wants
// it. The journal in the spool is the queue, the receipts are what was done:
// a shipper that is killed at any moment and started again goes on where the
// two say, and puts again what has no receipt.
package upload

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"tapedeck/internal/spool"
	"tapedeck/internal/upload/vendor"
)

// Config is what a Ship needs. Dir and Store are required.
type Config struct {
	Dir    *spool.Dir
	Store  vendor.Store
	Prefix string // "" or "d1/d2/": goes before names in object keys
	Backup Backup // where files go that Store does not take for the moment

	Gate     *Gate            // bounds the uploads of the whole node; nil = open
	Lane     string           // names the destination at the gate
	Parallel int              // files of this recording at a time; 0 = 3
	Backoff  Backoff          // zero = DefaultBackoff
	Poll     time.Duration    // how often the journal is looked at without a Nudge; 0 = 200 ms
	Now      func() time.Time // nil = time.Now
	Random   func() float64   // in [0, 1), for jitter; nil = math/rand
	// Progress is called from Run whenever something changed, never by two
	// goroutines at once. It should not block for long. A caller's fault is
	// reported as soon as it shows.
	Progress func(Progress)
	Log      *slog.Logger // nil = silent
}

// Ship ships one recording. Make one with New, start it with Run.
type Ship struct {
	cfg   Config
	nudge chan struct{}

	mu    sync.Mutex
	store vendor.Store
	fresh bool // the store was replaced

	// The rest belongs to Run.
	cargo     *cargo
	receipts  *spool.Receipts
	at        int64 // journal offset of the next fact
	running   map[kind]int
	breaker   breaker // of the caller's store
	refuge    breaker // of the backup store
	blind     bool    // the caller's key may not read
	changed   bool
	lastErr   error
	lastFault vendor.Fault
	waits     waits

	retries, backupRetries int
}

// New returns a shipper for a recording.
func New(cfg Config) *Ship {
	if cfg.Parallel <= 0 {
		cfg.Parallel = 3
	}
	if cfg.Backoff == (Backoff{}) {
		cfg.Backoff = DefaultBackoff()
	}
	if cfg.Poll <= 0 {
		cfg.Poll = 200 * time.Millisecond
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = rand.Float64
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	cfg.Log = cfg.Log.With("sid", cfg.Dir.SID())
	cfg.Backup = cfg.Backup.withDefaults()
	return &Ship{cfg: cfg, store: cfg.Store, nudge: make(chan struct{}, 1)}
}

// Nudge makes Run look at the journal now.
func (s *Ship) Nudge() {
	select {
	case s.nudge <- struct{}{}:
	default:
	}
}

// SetStore replaces the store for all that is sent from now on, and tries
// again at once: a caller has renewed its credentials.
func (s *Ship) SetStore(st vendor.Store) {
	s.mu.Lock()
	s.store, s.fresh = st, true
	s.mu.Unlock()
	s.Nudge()
}

func (s *Ship) currentStore() vendor.Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store
}

// Run ships until the worker has ended and everything is in the caller's store
// or, as far as that is out of order, in the backup store; then it returns nil.
// Called again later it moves home what the backup store has: the receipts say
// whether something is left (spool.Receipt.Backup). It returns ctx's error when ctx ends, spool.ErrBusy while
// another process ships this recording, and any error of the spool that keeps
// it from going on; it may be called again then.
func (s *Ship) Run(ctx context.Context) error {
	receipts, old, err := s.cfg.Dir.OpenReceipts(s.cfg.Now)
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	defer func() { _ = receipts.Close() }()
	s.receipts, s.cargo, s.at, s.running = receipts, newCargo(old, s.cfg.Prefix), 0, map[kind]int{}
	s.breaker, s.refuge, s.changed = breaker{}, breaker{}, true
	s.waits = waits{written: true} // by an earlier run, perhaps

	ctx, cancel := context.WithCancel(ctx)
	results := make(chan result, s.cfg.Parallel+2*backupParallel)
	var jobs sync.WaitGroup
	defer func() {
		cancel()
		jobs.Wait()
		s.harvest(ctx, results)
	}()
	for {
		if err := s.follow(); err != nil {
			return fmt.Errorf("upload: %w", err)
		}
		for _, j := range s.load() {
			jobs.Go(func() { results <- j.do(ctx, s.cfg.Dir, s.cfg.Gate, s.cfg.Lane) })
		}
		s.report()
		if s.cargo.ended && len(s.cargo.waiting) == 0 && s.idle() && !s.canReturn() {
			return nil
		}
		if err := s.wait(ctx, results); err != nil {
			return err
		}
	}
}

// wait returns when there is something to do: a result, time for a retry, the
// next look at the journal.
func (s *Ship) wait(ctx context.Context, results <-chan result) error {
	timer := time.NewTimer(s.cfg.Poll)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.nudge:
		s.hurry()
	case <-timer.C:
		if s.breaker.failures+s.refuge.failures > 0 && s.cfg.Dir.TakeRetry() {
			s.hurry()
		}
	case r := <-results:
		return s.settle(ctx, r)
	}
	return nil
}

// hurry makes everything that waits due. What fails again waits longer again.
func (s *Ship) hurry() {
	s.mu.Lock()
	if s.fresh {
		s.fresh, s.blind = false, false
	}
	s.mu.Unlock()
	s.breaker.until, s.refuge.until = time.Time{}, time.Time{}
	for _, list := range [][]*item{s.cargo.waiting, s.cargo.away} {
		for _, i := range list {
			i.notBefore = time.Time{}
		}
	}
}

func (s *Ship) idle() bool {
	for _, n := range s.running {
		if n > 0 {
			return false
		}
	}
	return true
}

// follow reads the journal to its end.
func (s *Ship) follow() error {
	for {
		facts, next, err := s.cfg.Dir.ReadJournal(s.at)
		if err != nil || next == s.at {
			return err
		}
		s.at, s.changed = next, true
		for _, f := range facts {
			s.take(f)
		}
	}
}

func (s *Ship) take(f spool.Fact) {
	named := f.Type == spool.FactClosed || f.Type == spool.FactIndex
	switch {
	case f.Type == spool.FactUnreadable:
		s.cfg.Log.Error("a line of the journal cannot be read; the disk may be failing", "line", f.Note)
	case named && !spool.ValidName(f.Name):
		s.cfg.Log.Error("the journal names a file that cannot be in the spool; ignored", "file", f.Name)
	default:
		if s.cargo.add(f) {
			s.drop(f.Name) // its receipt was written, then the process was killed
		}
	}
}

// drop removes a file that the store has.
func (s *Ship) drop(name string) {
	if err := s.cfg.Dir.RemoveFile(name); err != nil {
		s.cfg.Log.Warn("a file that was uploaded could not be removed from the spool", "file", name, "err", err)
	}
}

// harvest notes what arrived while Run was being ended.
func (s *Ship) harvest(ctx context.Context, results chan result) {
	close(results)
	for r := range results {
		if r.err == nil && s.settle(ctx, r) != nil {
			return
		}
	}
}
