// Package postpone does the work that a recording asked for after its end: it
// takes jobs from the ledger's queue, brings a recording's slices back from the
// spool or from the caller's store, has a worker program make the files, and
// ships them (spec/files.md 9). A job may be killed at any moment: the next
// run, on any node, goes on with what is done.
package postpone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"tapedeck/internal/ledger"
	"tapedeck/internal/notify"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// Queue hands out jobs. *ledger.Jobs is one.
type Queue interface {
	Take(ctx context.Context) (*ledger.Job, error)
}

// Source reads a recording's files back from the caller's store.
type Source interface {
	Get(ctx context.Context, key string) (io.ReadCloser, error)
}

// Shipper brings the files of one job to their destination, as a node's does.
type Shipper interface {
	Run(ctx context.Context) error
}

// Outbox keeps events until they are delivered.
type Outbox interface {
	Last(ctx context.Context, app, sid string) (notify.Event, uint64, error)
	Append(ctx context.Context, e notify.Event, rev uint64) (uint64, error)
}

// Config is what a Runner needs.
type Config struct {
	Root   string   // folder of the jobs' folders
	Spool  string   // folder of the recordings' spool folders
	Worker []string // program and leading arguments; "-job <folder>" follows
	Env    []string // NAME=value

	Queue   Queue
	Records func(ctx context.Context, sid string) (ledger.Record, error)
	// Open opens the caller's store of a recording.
	Open func(rec ledger.Record) (Source, session.Target, error)
	// Keys opens the keys of a recording; nil: none has any.
	Keys func(rec ledger.Record) (Keys, error)
	// Gone reports whether an error of a Source means that the file is not there.
	Gone func(error) bool
	// Ship makes the shipper of a job's folder.
	Ship func(dir *spool.Dir, rec ledger.Record) (Shipper, error)

	Outbox Outbox // nil: nobody is told
	Wanted func(app string) bool

	Now func() time.Time
	Log *slog.Logger

	// Beat is how often a job's node says that it is alive; 0: 15 s.
	Beat time.Duration
	// Tries is how often a job is begun before it is given up; 0: 8.
	Tries int
	// Patience is how long uploads of a job's files may take; 0: 24 h.
	Patience time.Duration
}

// Keys are those of one recording; nil: it is not encrypted in that way.
type Keys struct {
	Spool   []byte // of the files on this node's disk, the job's included
	Content []byte // of the slices, for players
}

// Runner does one job at a time.
type Runner struct {
	cfg Config
	log *slog.Logger
}

// New prepares a Runner.
func New(cfg Config) *Runner {
	if cfg.Beat == 0 {
		cfg.Beat = 15 * time.Second
	}
	if cfg.Tries == 0 {
		cfg.Tries = 8
	}
	if cfg.Patience == 0 {
		cfg.Patience = 24 * time.Hour
	}
	return &Runner{cfg: cfg, log: cfg.Log}
}

// pause is what lies between two attempts, from the first failure on.
func pause(attempt int) time.Duration {
	return min(10*time.Second<<min(max(attempt-1, 0), 9), time.Hour)
}

// Run takes and does jobs until ctx ends.
func (r *Runner) Run(ctx context.Context) {
	for ctx.Err() == nil {
		job, err := r.cfg.Queue.Take(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			r.log.Warn("no job can be taken, trying again", "error", err)
			wait(ctx, time.Second)
		default:
			r.take(ctx, job)
		}
	}
}

// take does one job and says what becomes of it.
func (r *Runner) take(ctx context.Context, job *ledger.Job) {
	log := r.log.With("sid", job.SID, "attempt", job.Attempt)
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	go r.beat(work, job, cancel)
	err := r.do(work, job, job.Attempt >= r.cfg.Tries)
	switch {
	case err == nil:
		if err := job.Done(context.WithoutCancel(ctx)); err != nil {
			log.Warn("a finished job stays in the queue and is looked at again", "error", err)
		}
	case errors.Is(err, errEarly):
		_ = job.Later(2 * time.Second)
	case ctx.Err() != nil:
		_ = job.Later(0) // another node may go on at once
	default:
		log.Error("postponed work failed and is tried again", "error", err, "in", pause(job.Attempt))
		_ = job.Later(pause(job.Attempt))
	}
}

// beat tells the queue that the job is worked on, and ends the work when that
// cannot be told any more: another node may have it by then.
func (r *Runner) beat(ctx context.Context, job *ledger.Job, giveUp func()) {
	t := time.NewTicker(r.cfg.Beat)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if err := job.Working(); err != nil {
				r.log.Warn("the queue of jobs cannot be reached: the job is let go", "sid", job.SID, "error", err)
				giveUp()
				return
			}
		}
	}
}

// errEarly: the job is durable before the record says that the recording is over.
var errEarly = errors.New("postpone: the recording is not over yet")

// do brings one job as far as it goes. Nil means that nothing is left to do.
func (r *Runner) do(ctx context.Context, job *ledger.Job, last bool) error {
	rec, err := r.cfg.Records(ctx, job.SID)
	if errors.Is(err, ledger.ErrNotFound) {
		r.log.Error("postponed work of a recording without a record is dropped", "sid", job.SID)
		return nil
	}
	if err != nil {
		return err
	}
	if !rec.State.Ended() {
		return errEarly
	}
	if rec.Plan.Postponed == nil || !rec.Recorded {
		return nil
	}
	keys, err := r.keys(rec)
	if err != nil {
		return err
	}
	dir, in, err := folders(r.cfg.Root, rec.SID, keys.Spool)
	if err != nil {
		return err
	}
	tell, err := r.teller(ctx, rec)
	if err != nil {
		return err
	}
	if tell.finished() {
		return r.clear(dir, in)
	}
	if err := tell.started(ctx); err != nil {
		return err
	}
	res, err := r.make(ctx, rec, keys, dir, in, tell)
	if err != nil && !last {
		return err
	}
	if err != nil {
		r.log.Error("postponed work is given up; its folder stays for an operator", "sid", rec.SID, "folder", dir.Path(), "error", err)
		return tell.failed(ctx, err)
	}
	if err := tell.made(ctx, res); err != nil {
		return err
	}
	if err := r.ship(ctx, rec, dir); err != nil {
		return err
	}
	if err := tell.shipped(ctx, res); err != nil {
		return err
	}
	r.log.Info("postponed work is done", "sid", rec.SID, "kind", rec.Plan.Postponed.Kind, "files", len(res.all()))
	return r.clear(dir, in)
}

func (r *Runner) keys(rec ledger.Record) (Keys, error) {
	if r.cfg.Keys == nil {
		return Keys{}, nil
	}
	return r.cfg.Keys(rec)
}

// inName is the spool folder of a job's input, in the job's own.
const inName = "in"

// folders opens, or makes, the folder of a job and that of its input, encrypted
// like its recording's.
func folders(root, sid string, key []byte) (dir, in *spool.Dir, err error) {
	if dir, err = spool.Create(root, sid); err != nil {
		return nil, nil, err
	}
	if in, err = spool.Create(dir.Path(), inName); err != nil {
		return nil, nil, err
	}
	if dir, err = dir.WithKey(key); err != nil {
		return nil, nil, err
	}
	in, err = in.WithKey(key)
	return dir, in, err
}

// make fetches the input and has the worker make the files.
func (r *Runner) make(ctx context.Context, rec ledger.Record, keys Keys, dir, in *spool.Dir, tell *teller) (result, error) {
	if res, err := readResult(dir); err == nil {
		return res, nil // an earlier run got this far
	}
	src, target, err := r.cfg.Open(rec)
	if err != nil {
		return result{}, err
	}
	f := fetch{r: r, rec: rec, keys: keys, src: src, prefix: target.Prefix, to: in}
	missing, err := f.all(ctx)
	if err != nil {
		return result{}, err
	}
	if err := tell.missing(ctx, target, missing); err != nil {
		return result{}, err
	}
	if err := writeJob(dir, in, rec); err != nil {
		return result{}, err
	}
	if err := r.work(ctx, dir, keys.Spool); err != nil {
		return result{}, err
	}
	return readResult(dir)
}

// ship waits until the caller's store has everything.
func (r *Runner) ship(ctx context.Context, rec ledger.Record, dir *spool.Dir) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Patience)
	defer cancel()
	s, err := r.cfg.Ship(dir, rec)
	if err != nil {
		return err
	}
	if err := s.Run(ctx); err != nil {
		return err
	}
	return ctx.Err()
}

// clear takes away the folder of a job whose files have arrived, and what was
// fetched for it: copies of what the caller's store has.
func (r *Runner) clear(dir, in *spool.Dir) error {
	if err := in.Remove(); err != nil {
		return err
	}
	for _, name := range []string{jobName, resultName, logName} {
		if err := os.Remove(filepath.Join(dir.Path(), name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("postpone: %w", err)
		}
	}
	return dir.Remove()
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
