package node

import (
	"time"

	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// view is what a journal says so far, in the terms of the session record.
type view struct {
	zero     int64 // Unix µs of the timeline's zero
	readyAt  int64 // Unix µs, 0 before the recorder was in the channel
	slices   int
	images   int
	first    int64 // Unix µs of the first slice
	files    []listed
	starts   map[string]int64 // index → Unix µs of its first slice
	ended    bool
	endedAt  int64 // Unix µs
	reason   string
	recorded bool
	push     []string // state of each live output
}

// listed is an entry of the file list.
type listed struct {
	name, track, uid string
	playable         bool
	start            int64 // Unix µs
}

// add takes in one fact. Facts that a list of files or a status does not need
// are passed over.
func (v *view) add(f spool.Fact) {
	switch f.Type {
	case spool.FactOpened:
		v.zero = f.ZeroMicro
		v.ended = false
	case spool.FactStatus:
		if session.Status(f.Status) == session.StatusReady && v.readyAt == 0 {
			v.readyAt = f.At
		}
	case spool.FactClosed:
		v.close(f)
	case spool.FactIndex:
		v.index(f)
	case spool.FactPush:
		v.pushed(f)
	case spool.FactEnded:
		v.ended, v.endedAt, v.reason, v.recorded = true, f.At, f.Note, f.Recorded
	}
}

func (v *view) close(f spool.Fact) {
	start := v.zero + f.StartMicro
	switch f.Kind {
	case spool.KindSlice:
		v.slices++
		if v.first == 0 || start < v.first {
			v.first = start
		}
		if f.Index == "" {
			return
		}
		if v.starts == nil {
			v.starts = map[string]int64{}
		}
		if at, ok := v.starts[f.Index]; !ok || start < at {
			v.starts[f.Index] = start
		}
	case spool.KindImage:
		v.images++
		if v.first == 0 || start < v.first {
			v.first = start
		}
	case spool.KindMP4:
		v.put(listed{name: f.Name, track: f.Track, uid: f.UID, playable: true, start: start})
	}
}

func (v *view) index(f spool.Fact) {
	if f.Unlisted {
		return
	}
	start, ok := v.starts[f.Name]
	if !ok {
		start = v.zero + f.StartMicro
	}
	v.put(listed{name: f.Name, track: f.Track, uid: f.UID, playable: f.Playable, start: start})
}

func (v *view) put(l listed) {
	for i := range v.files {
		if v.files[i].name == l.name {
			v.files[i] = l
			return
		}
	}
	v.files = append(v.files, l)
}

// maxOutputs bounds what a journal may say about live outputs.
const maxOutputs = 64

// pushed notes the state of a live output.
func (v *view) pushed(f spool.Fact) {
	if f.Output < 0 || f.Output >= maxOutputs {
		return
	}
	for len(v.push) <= f.Output {
		v.push = append(v.push, "")
	}
	v.push[f.Output] = f.Note
}

// failed reports whether the recording ended in a way that shows as a failure:
// it never got anything and not because nobody sent anything.
func (v *view) failed() bool {
	if !v.ended || v.recorded {
		return false
	}
	switch v.reason {
	case spool.EndRefused, spool.EndUnreached, spool.EndFault, spool.EndEngine, spool.EndPageAccess, spool.EndPageReady:
		return true
	}
	return false
}

func (v *view) list(p session.Plan) []session.File {
	out := make([]session.File, 0, len(v.files))
	for _, l := range v.files {
		f := session.File{
			Name: p.FilePrefix + l.name, Track: l.track, UID: l.uid,
			Mixed: p.Mode == session.Mix, Playable: l.playable, StartMilli: l.start / 1000,
		}
		if f.Mixed {
			f.UID = "0"
		}
		out = append(out, f)
	}
	return out
}

// progress is everything that changes a record, but for what a caller orders.
type progress struct {
	view     view
	failure  string // the node gave the worker up; why
	uploaded bool   // a first file arrived at its destination
	shipped  bool   // every file did
	backuped bool   // some went to the backup store
	stranded bool   // stop has waited for files that no store takes
	givenUp  string // uploads were given up; why
}

// over reports that nothing will change any more.
func (p *progress) over() bool { return p.view.ended && (p.shipped || p.givenUp != "") }

// apply brings a record up to date. It only ever moves it forward, so it may be
// applied to any older state, any number of times.
func (p *progress) apply(r *ledger.Record) {
	v := &p.view
	if state, status := p.state(); state != "" {
		// A step down is refused: a stop that was ordered stays ordered.
		_ = r.SetState(state, status)
	}
	// A slice may arrive before its playlist is written; whoever sees 5 wants
	// to see a file as well.
	if p.uploaded && len(v.files)+v.images > 0 && !v.ended && r.State == session.Recording {
		r.Status = max(r.Status, session.StatusProgress)
	}
	if v.readyAt != 0 && r.Started.IsZero() {
		r.Started = time.UnixMicro(v.readyAt).UTC()
	}
	if v.ended && r.StoppedAt.IsZero() {
		r.StoppedAt = time.UnixMicro(v.endedAt).UTC()
	}
	r.Recorded = v.recorded || v.slices > 0
	r.SliceStart = v.first / 1000
	r.Files = v.list(r.Plan)
	if len(v.push) > 0 {
		r.Push = append([]string(nil), v.push...)
	}
	p.reason(r)
	p.uploading(r)
}

func (p *progress) state() (session.State, session.Status) {
	v := &p.view
	switch {
	case p.failure != "" || p.givenUp != "" || v.failed():
		return session.Failed, session.StatusAbnormal
	case v.ended && p.shipped:
		return session.Done, session.StatusExit
	case v.ended:
		return session.Uploading, session.StatusStopped
	case v.readyAt != 0:
		return session.Recording, session.StatusReady
	}
	return "", 0
}

func (p *progress) reason(r *ledger.Record) {
	switch {
	case p.failure != "":
		r.Reason = p.failure
	case p.givenUp != "":
		r.Reason = p.givenUp
	case p.view.ended:
		r.Reason = p.view.reason
	}
}

func (p *progress) uploading(r *ledger.Record) {
	switch {
	case !p.view.ended:
	case !p.shipped && r.Plan.Mode == session.Raw && (p.stranded || p.givenUp != ""):
		r.Uploading = session.UploadStranded
	case !p.shipped:
		r.Uploading = session.UploadUnknown
	case p.backuped:
		r.Uploading = session.UploadBackuped
	default:
		r.Uploading = session.UploadUploaded
	}
}
