package node

import (
	"context"
	"errors"
	"time"

	"tapedeck/internal/ledger"
	"tapedeck/internal/notify"
	"tapedeck/internal/notify/derive"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// Outbox is where the events of recordings are kept until they are delivered.
type Outbox interface {
	// Last returns the newest event of a recording and its revision, 0 if it
	// is not kept any more or there is none.
	Last(ctx context.Context, app, sid string) (notify.Event, uint64, error)
	// Append makes an event durable behind the one with revision rev, or
	// returns notify.ErrTaken. After any other error ask Last.
	Append(ctx context.Context, e notify.Event, rev uint64) (uint64, error)
	// KeepMarks saves the newest event of a recording that was long silent.
	KeepMarks(ctx context.Context, e notify.Event) error
}

// Events is what a node needs to tell callers what happens to their recordings.
type Events struct {
	Outbox Outbox
	// Wanted reports whether an app wants to be told, and whether it wants
	// event 13.
	Wanted func(app string) (told, registered bool)
	// Seal hides details of a recording that hold a secret.
	Seal func(sid string, details []byte) ([]byte, error)
	// Written is called for each event that was written; nil: nobody counts.
	Written func(notify.Type)
}

// silence is how long a recording may have no event before its marks are saved
// beside the outbox, which forgets.
const silence = time.Hour

// teller writes the events of one recording. Only publish uses it.
type teller struct {
	k    *keeper
	plan session.Plan // as it was at the start; orders change nothing that events tell

	d        *derive.Deriver // nil: nobody has been told yet
	journal  int64           // offsets up to which the logs were read
	receipts int64
	shipped  []derive.Receipt // read, nothing derived from them yet
	pending  []notify.Event   // derived, not written
	rev      uint64
	unsure   bool // the newest write may or may not have happened
	last     notify.Event
	lastAt   time.Time
	silenced bool // the marks of last are saved
}

func (k *keeper) newTeller() *teller {
	k.mu.Lock()
	defer k.mu.Unlock()
	return &teller{k: k, plan: k.plan}
}

// outcome is what events must have told before a record may say it.
type outcome struct {
	state    session.State
	over     bool
	uploaded bool
}

// outcome of the present. The caller holds mu.
func (k *keeper) outcome() outcome {
	state, _ := k.p.state()
	return outcome{state: state, over: k.p.over(), uploaded: k.p.uploaded && len(k.p.view.files) > 0}
}

var errMoreToTell = errors.New("node: something happened that has to be told first")

// tell writes every event that is due. When it returns nil, the outbox has
// told what came of the recording up to the returned outcome.
func (t *teller) tell(ctx context.Context) (outcome, error) {
	k := t.k
	k.mu.Lock()
	now := k.outcome()
	orphan := k.orphan
	k.mu.Unlock()
	if orphan || k.n.cfg.Events.Outbox == nil {
		return now, nil
	}
	told, registered := k.n.cfg.Events.Wanted(t.plan.AppID)
	if !told && t.d == nil {
		return now, nil
	}
	if t.d == nil {
		if err := t.begin(ctx, registered); err != nil {
			return now, err
		}
	}
	if err := t.derive(now); err != nil {
		return now, err
	}
	return now, t.write(ctx)
}

// begin goes on behind what an earlier run has told.
func (t *teller) begin(ctx context.Context, registered bool) error {
	k := t.k
	last, rev, err := k.n.cfg.Events.Outbox.Last(ctx, t.plan.AppID, k.sid)
	if err != nil {
		return err
	}
	t.rev, t.last, t.lastAt = rev, last, k.n.now()
	t.d = derive.New(derive.Recording{
		Plan: t.plan, Registered: registered, PushURL: k.pushURL,
		Seal: func(details []byte) ([]byte, error) { return k.n.cfg.Events.Seal(k.sid, details) },
	}, last)
	return nil
}

// pushURL returns the address of a live output.
func (k *keeper) pushURL(output int) string {
	k.mu.Lock()
	sealed := k.rec.Private
	k.mu.Unlock()
	private, err := k.n.cfg.Unseal(k.sid, sealed)
	if err != nil || output < 0 || output >= len(private.Push) {
		return ""
	}
	return private.Push[output]
}

// derive takes in what is new. The receipts are read before the journal: then
// the fact that a receipt is about has been read, too.
func (t *teller) derive(now outcome) error {
	k := t.k
	if err := t.readReceipts(); err != nil {
		return err
	}
	k.readJournal()
	n := k.news()
	if err := t.readJournal(n); err != nil {
		return err
	}
	t.d.Receipts(t.shipped)
	t.shipped = nil
	t.d.Trouble(n.uploads, k.n.now())
	if n.failure != "" {
		t.d.GivenUp(n.failure, k.n.now())
	}
	for _, status := range n.misfits {
		t.d.Misfit(status, n.end.Files, k.n.now())
	}
	if now.over {
		t.d.Exit(n.end, k.n.now())
	} else {
		t.d.Minute(n.uploads, k.n.now())
	}
	t.pending = append(t.pending, t.d.Take()...)
	return nil
}

// news is what events tell beside the logs.
type news struct {
	offset  int64 // up to which the journal is in end.Files
	uploads derive.Uploads
	failure string
	misfits []session.Status
	end     derive.End
}

func (k *keeper) news() news {
	k.reading.Lock()
	defer k.reading.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	n := news{offset: k.offset, uploads: k.uploads(), failure: k.p.failure, misfits: k.misfits}
	n.end = derive.End{
		Files: k.p.view.list(k.plan), Backuped: k.p.backuped, Failed: k.p.failure != "" || k.p.view.failed(), Unsent: k.p.givenUp,
	}
	k.misfits = nil
	return n
}

func (t *teller) readReceipts() error {
	for {
		next, err := t.k.dir.FollowReceipts(t.receipts, func(r spool.Receipt, offset int64) {
			t.shipped = append(t.shipped, derive.Receipt{Receipt: r, Offset: offset})
		})
		if err != nil || next == t.receipts {
			return err
		}
		t.receipts = next
	}
}

// readJournal derives from the facts that are in the news already.
func (t *teller) readJournal(n news) error {
	for t.journal < n.offset {
		facts, next, err := t.k.dir.ReadJournal(t.journal)
		if err != nil {
			return err
		}
		if next == t.journal {
			return nil
		}
		for i, f := range facts {
			if f.Offset >= n.offset {
				facts, next = facts[:i], f.Offset
				break
			}
		}
		t.journal = next
		t.d.Journal(facts, n.end.Files)
	}
	return nil
}

// uploads is the Shipper's newest report, as events tell it. The caller holds mu.
func (k *keeper) uploads() derive.Uploads {
	s := k.shipping
	u := derive.Uploads{Bytes: s.Bytes, Total: s.Total, Retried: s.Retries > 0, RetriedBackup: s.BackupRetries > 0}
	if s.CallersFault {
		u.Refused = s.LastError
	}
	return u
}

// write puts the pending events into the outbox, in order.
func (t *teller) write(ctx context.Context) error {
	events := t.k.n.cfg.Events
	for len(t.pending) > 0 {
		if t.unsure {
			if err := t.look(ctx); err != nil {
				return err
			}
			continue
		}
		e := t.pending[0]
		rev, err := events.Outbox.Append(ctx, e, t.rev)
		if err != nil {
			// ErrTaken, too, may be the answer to a write of our own that came twice.
			t.unsure = true
			if errors.Is(err, notify.ErrTaken) {
				continue
			}
			return err
		}
		t.wrote(e, rev)
	}
	if quiet := t.k.n.now().Sub(t.lastAt); t.last.ID != "" && !t.silenced && quiet > silence {
		if err := events.Outbox.KeepMarks(ctx, t.last); err != nil {
			return err
		}
		t.silenced = true
	}
	return nil
}

func (t *teller) wrote(e notify.Event, rev uint64) {
	t.pending = t.pending[1:]
	t.rev, t.last, t.lastAt, t.silenced, t.unsure = rev, e, t.k.n.now(), false, false
	if w := t.k.n.cfg.Events.Written; w != nil {
		w(e.Type)
	}
}

// look finds out whether the first pending event was written.
func (t *teller) look(ctx context.Context) error {
	last, rev, err := t.k.n.cfg.Events.Outbox.Last(ctx, t.plan.AppID, t.k.sid)
	if err != nil {
		return err
	}
	switch last.ID {
	case t.pending[0].ID:
		t.wrote(last, rev)
	case t.last.ID:
		t.rev, t.unsure = rev, false
	default:
		// Somebody else tells of this recording, so it cannot be ours any more.
		t.k.disown(errNotOurs)
		t.pending = nil
	}
	return nil
}

// misfit notes that a call of the API did not fit the state of the recording.
func (k *keeper) misfit(r ledger.Record) {
	k.mu.Lock()
	if len(k.misfits) < maxMisfits {
		k.misfits = append(k.misfits, r.Status)
	}
	k.mu.Unlock()
	wake(k.changed)
}

// answerMisfit tells what another node found: a call that does not fit.
func (k *keeper) answerMisfit() ledger.Reply {
	k.mu.Lock()
	rec := k.rec
	k.mu.Unlock()
	k.misfit(rec)
	return ledger.Reply{}
}

// maxMisfits bounds what a caller who calls in a loop is told of it.
const maxMisfits = 16

// minutes wakes publish now and then: event 33 comes by the clock alone.
func (k *keeper) minutes(ctx context.Context) {
	t := time.NewTicker(k.n.cfg.times.minute)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.final:
			return
		case <-t.C:
			wake(k.changed)
		}
	}
}

// tellLost tells the end of a recording that nobody looks after and that has
// nothing to be told of.
func (n *Node) tellLost(ctx context.Context, rec ledger.Record, why string) error {
	if n.cfg.Events.Outbox == nil {
		return nil
	}
	if told, _ := n.cfg.Events.Wanted(rec.App); !told {
		return nil
	}
	last, rev, err := n.cfg.Events.Outbox.Last(ctx, rec.App, rec.SID)
	if err != nil {
		return err
	}
	d := derive.New(derive.Recording{Plan: rec.Plan}, last)
	d.GivenUp(why, n.now())
	d.Exit(derive.End{Failed: true}, n.now())
	for _, e := range d.Take() {
		if rev, err = n.cfg.Events.Outbox.Append(ctx, e, rev); err != nil {
			return err // what was written is known the next time
		}
	}
	return nil
}
