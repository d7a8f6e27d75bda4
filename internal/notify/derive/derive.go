// Package derive turns what is known of a recording into events: the facts of
// its journal, the receipts of its uploads, and what the node that looks after
// it decides. It does no I/O and asks no clock. Deriving again from the same
// logs, after a crash at any moment, gives the events that are still missing,
// under the ids they would have had.
package derive

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tapedeck/internal/notify"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// Recording is what events say of the recording itself.
type Recording struct {
	Plan  session.Plan
	Epoch int // counts the nodes that have taken the recording over
	// Registered: event 13 is wanted.
	Registered bool
	// PushURL returns the address of a live output.
	PushURL func(output int) string
	// Seal hides details that hold a secret until they are sent.
	Seal func(details []byte) ([]byte, error)
}

// Deriver derives the events of one recording. It is not safe for concurrent use.
type Deriver struct {
	rec   Recording
	scene string
	marks notify.Marks
	seq   int64
	out   []notify.Event

	// What the journal says so far.
	zero    int64 // Unix µs of the timeline's zero
	opened  int64 // Unix µs when the first worker began
	ready   bool
	streams map[string]bool // playlists that have a slice
	hidden  map[string]bool // playlists that are in no list of files
}

// New returns a deriver that goes on behind the newest event of the recording;
// the zero Event stands for none.
func New(rec Recording, last notify.Event) *Deriver {
	d := &Deriver{rec: rec, scene: scene(rec.Plan), marks: last.Marks, streams: map[string]bool{}, hidden: map[string]bool{}}
	d.marks.Once = slices.Clone(last.Marks.Once)
	if last.ID != "" {
		d.seq = last.Seq + 1
	}
	if rec.Epoch > d.marks.Epoch {
		// The logs of another node are others.
		d.marks.Epoch, d.marks.Journal, d.marks.Receipts = rec.Epoch, notify.Mark{}, notify.Mark{}
	}
	return d
}

func scene(p session.Plan) string {
	switch {
	case p.Mode == session.Web:
		return notify.ScenePage
	case p.Postponed != nil:
		return notify.ScenePostponed
	case p.NoFiles:
		return notify.SceneSnapshot
	}
	return notify.SceneRecord
}

// Take returns the events derived since the last call.
func (d *Deriver) Take() []notify.Event {
	out := d.out
	d.out = nil
	return out
}

// web reports whether there is a page instead of a channel.
func (d *Deriver) web() bool { return d.rec.Plan.Mode == session.Web }

// add derives an event. source is the second part of its id: where it comes from.
func (d *Deriver) add(source string, at time.Time, details notify.Details) {
	p := d.rec.Plan
	e := notify.Event{
		ID: fmt.Sprintf("%s:%s:%d", p.SID, source, details.EventType()), App: p.AppID, CName: p.CName, UID: p.UID, SID: p.SID,
		Seq: d.seq, Type: details.EventType(), Scene: d.scene, At: at.UnixMilli(), Marks: d.marks,
	}
	e.Marks.Once = slices.Clone(d.marks.Once)
	b, err := notify.EncodeDetails(details)
	if err != nil {
		return // the types of the table can all be encoded
	}
	e.Details = b
	if push, ok := details.(notify.PushStatus); ok {
		e.Details, e.Sealed = d.hide(push, b)
	}
	d.seq++
	d.out = append(d.out, e)
}

// hide keeps the key in a push address out of the outbox. Without a seal the
// address is cut.
func (d *Deriver) hide(push notify.PushStatus, plain []byte) (details, sealed []byte) {
	if d.rec.Seal != nil {
		if sealed, err := d.rec.Seal(plain); err == nil {
			return nil, sealed
		}
	}
	scheme, rest, _ := strings.Cut(push.URL, "://")
	host, _, _ := strings.Cut(rest, "/")
	push.URL = scheme + "://" + host
	details, _ = notify.EncodeDetails(push)
	return details, nil
}

// once derives an event that a recording has one time at most.
func (d *Deriver) once(key string, at time.Time, details notify.Details) {
	if slices.Contains(d.marks.Once, key) {
		return
	}
	d.marks.Once = append(d.marks.Once, key)
	d.add(key, at, details)
}

// line derives the events of one line of a log: those behind its mark.
type line struct {
	d      *Deriver
	mark   *notify.Mark
	source string
	here   notify.Mark
}

func (l *line) add(at time.Time, details notify.Details) {
	l.here.N++
	if !l.mark.Before(l.here) {
		return // told before
	}
	*l.mark = l.here
	source := l.source
	if l.here.N > 1 {
		source = fmt.Sprintf("%s.%d", source, l.here.N)
	}
	l.d.add(source, at, details)
}

// line returns the line of a log at the given offset. Ids of another node's
// logs differ.
func (d *Deriver) line(letter string, mark *notify.Mark, offset int64) *line {
	if d.rec.Epoch > 0 {
		letter = fmt.Sprintf("%d%s", d.rec.Epoch, letter)
	}
	return &line{d: d, mark: mark, source: fmt.Sprintf("%s%d", letter, offset), here: notify.Mark{At: offset + 1}}
}

// Receipt is a line of receipts.log and where it begins.
type Receipt struct {
	spool.Receipt
	Offset int64
}

// Receipts derives the events of newly written receipts, in order. The facts
// of the files must have been given before.
func (d *Deriver) Receipts(all []Receipt) {
	for _, r := range all {
		d.receipt(r)
	}
}

func (d *Deriver) receipt(r Receipt) {
	at := time.UnixMicro(r.At)
	l := d.line("r", &d.marks.Receipts, r.Offset)
	switch {
	case r.State == spool.ReceiptRefused:
		d.once("error-file", at, notify.RecordingError{Module: moduleUploader, ErrorLevel: levelMajor, ErrorCode: codeFile, Stat: 1, ErrorMsg: r.Name + ": " + r.Note})
	case d.web():
	case strings.HasSuffix(r.Name, ".m3u8") && !d.hidden[r.Name]:
		d.once("playlist", at, notify.FileInfos{FileList: r.Key})
	case strings.HasSuffix(r.Name, ".jpg"):
		l.add(at, notify.SnapshotFile{FileName: r.Key})
	}
}
