package recorder

import (
	"errors"
	"fmt"
	"log/slog"
	"sort"
	"sync"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/media/timing"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// journalVersion is the format of the facts that this worker writes.
const journalVersion = 1

// ErrEnded: the journal says that this recording is over; nothing may follow.
var ErrEnded = errors.New("recorder: this recording has ended already")

// Output is where a recording's files and facts go. It owns the spool folder,
// the journal, the zero of the timeline, the names and the playlists, and puts
// back in order what an earlier worker left behind. Its methods may be called by
// many goroutines.
type Output struct {
	dir     *spool.Dir
	journal *spool.Journal
	plan    session.Plan
	now     func() time.Time
	log     *slog.Logger
	names   names
	zero    time.Time
	clock   *timing.Clock
	inc     int

	tally tally
	crypt *crypt // nil: slices are not encrypted

	aiding sync.Mutex
	aids   map[string]bool // files that players need beside the slices, stored already

	mu       sync.Mutex
	indexes  map[string]*Index
	mp4s     int             // MP4 files begun so far
	begun    map[string]bool // names of all files begun so far
	recorded bool
	known    map[string]uint32 // uids of identities, from earlier incarnations
}

// OpenOutput opens the spool folder of a recording. The first time it fixes
// the timeline's zero, now in whole milliseconds. When an earlier worker was
// killed it keeps the zero, closes every .part with what is whole in it, and
// brings the playlists up to date.
func OpenOutput(dir *spool.Dir, plan session.Plan, now func() time.Time, log *slog.Logger) (*Output, error) {
	return OpenEncrypted(dir, plan, nil, now, log)
}

// OpenEncrypted is OpenOutput with the content key that slices are encrypted
// with where the plan wants that.
func OpenEncrypted(dir *spool.Dir, plan session.Plan, key []byte, now func() time.Time, log *slog.Logger) (*Output, error) {
	crypt, err := newCrypt(plan, key)
	if err != nil {
		return nil, err
	}
	journal, facts, err := dir.OpenJournal(now)
	if err != nil {
		return nil, err
	}
	o := &Output{
		dir: dir, journal: journal, plan: plan, now: now, log: log,
		names: newNames(plan), indexes: map[string]*Index{}, crypt: crypt,
	}
	if err := o.resume(facts); err != nil {
		return nil, errors.Join(err, journal.Close())
	}
	return o, nil
}

func (o *Output) resume(facts []spool.Fact) error {
	h, err := readHistory(facts)
	if err != nil {
		return err
	}
	o.inc, o.mp4s, o.recorded, o.known = h.incarnation+1, h.mp4s, h.recorded, h.identities
	o.aids = h.aids
	o.clock = timing.NewClock(h.zero, o.now)
	o.zero = o.clock.Zero()
	if err := o.append(spool.Fact{
		Type: spool.FactOpened, Version: journalVersion, SID: o.plan.SID,
		Incarnation: o.inc, ZeroMicro: o.zero.UnixMicro(),
	}); err != nil {
		return err
	}
	for _, r := range h.indexes {
		o.indexes[r.cfg.Name] = o.reviveIndex(r)
	}
	o.begun = map[string]bool{}
	for name := range h.begun {
		o.begun[name] = true
	}
	if err := o.recoverParts(h.begun); err != nil {
		return err
	}
	for _, i := range o.sorted() {
		if err := i.refresh(); err != nil {
			return err
		}
	}
	return nil
}

// Close gives the journal back. It does not end the recording.
func (o *Output) Close() error { return o.journal.Close() }

// Zero returns the UTC instant of the timeline's zero.
func (o *Output) Zero() time.Time { return o.zero }

// Clock returns the recording's clock, which starts at Zero.
func (o *Output) Clock() *timing.Clock { return o.clock }

// Incarnation counts the workers that have run this recording, from 1.
func (o *Output) Incarnation() int { return o.inc }

// At returns the UTC instant of a point on the timeline.
func (o *Output) At(t media.Time) time.Time { return at(o.zero, t) }

// Recorded reports whether a slice or an MP4 has been closed.
func (o *Output) Recorded() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.recorded
}

// Status notes the recorder's status.
func (o *Output) Status(s session.Status) {
	o.note(spool.Fact{Type: spool.FactStatus, Status: int(s)})
}

// Gap notes that something was lost or left out. uid is decimal, or "" when it
// concerns everybody.
func (o *Output) Gap(uid, note string) {
	o.note(spool.Fact{Type: spool.FactGap, UID: uid, Note: note})
}

// note writes a fact whose loss does not harm a file.
func (o *Output) note(f spool.Fact) {
	if err := o.append(f); err != nil {
		o.log.Error("a fact could not be written to the journal: is the spool's disk full or gone?", "fact", string(f.Type), "err", err)
	}
}

func (o *Output) append(f spool.Fact) error {
	if err := o.journal.Append(f); err != nil {
		return fmt.Errorf("recorder: journal: %w", err)
	}
	return nil
}

// Ended makes every playlist final and notes that nothing follows. reason is
// one of spool.End....
func (o *Output) Ended(reason string, recorded bool) error {
	all := o.sorted()
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	gate := make(chan struct{}, 8) // each costs a few syncs of the disk: overlap them
	for n, i := range all {
		wg.Add(1)
		gate <- struct{}{}
		go func() {
			defer wg.Done()
			errs[n] = i.Finish()
			<-gate
		}()
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if o.Recorded() {
		if err := o.writeReceipt(reason); err != nil {
			o.log.Error("the quality receipt could not be written", "err", err)
		}
	}
	return o.append(spool.Fact{Type: spool.FactEnded, Note: reason, Recorded: recorded})
}

// sorted returns all playlists by name.
func (o *Output) sorted() []*Index {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]*Index, 0, len(o.indexes))
	for _, i := range o.indexes {
		all = append(all, i)
	}
	sort.Slice(all, func(a, b int) bool { return all[a].cfg.Name < all[b].cfg.Name })
	return all
}

// closed notes a finished file and that the recording has something to show.
func (o *Output) closed(f spool.Fact, info spool.FileInfo) error {
	f.Type, f.Size, f.SHA256, f.MD5 = spool.FactClosed, info.Size, info.SHA256, info.MD5
	if err := o.append(f); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.recorded = true
	return nil
}

// replace writes a document that changes as a whole, such as a playlist, and notes it.
func (o *Output) replace(f spool.Fact, content []byte) error {
	info, err := o.dir.Replace(f.Name, content)
	if err != nil {
		return err
	}
	f.Type, f.Size, f.SHA256, f.MD5 = spool.FactIndex, info.Size, info.SHA256, info.MD5
	return o.append(f)
}
