package derive

import (
	"time"

	"tapedeck/internal/notify"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// Journal derives the events of newly written facts, in order. files is the
// file list that they lead to; it matters to the fact that ends a web page.
func (d *Deriver) Journal(facts []spool.Fact, files []session.File) {
	for _, f := range facts {
		l := d.line("j", &d.marks.Journal, f.Offset)
		at := time.UnixMicro(f.At)
		switch f.Type {
		case spool.FactOpened:
			d.open(l, at, f)
		case spool.FactStatus:
			d.status(l, at, f)
		case spool.FactBegun:
			d.begun(l, at, f)
		case spool.FactIndex:
			if f.Unlisted {
				d.hidden[f.Name] = true
			}
		case spool.FactStream:
			d.stream(l, at, f)
		case spool.FactPage:
			d.page(l, at, f)
		case spool.FactPush:
			d.push(l, at, f)
		case spool.FactWarn:
			if !d.web() {
				l.add(at, notify.RecordingWarning{Module: moduleRecorder, WarnCode: f.Status})
			}
		case spool.FactEnded:
			d.ended(l, at, f, files)
		}
	}
}

// open: with the first worker the uploads begin, too.
func (d *Deriver) open(l *line, at time.Time, f spool.Fact) {
	d.zero = f.ZeroMicro
	if d.opened != 0 {
		return
	}
	d.opened = f.At
	if !d.web() && d.rec.Epoch == 0 {
		l.add(at, notify.UploaderStarted{})
	}
}

func (d *Deriver) status(l *line, at time.Time, f spool.Fact) {
	if session.Status(f.Status) != session.StatusReady || d.ready || d.web() {
		return
	}
	d.ready = true
	l.add(at, notify.RecorderStarted{})
	if d.rec.Registered {
		l.add(at, notify.SessionRegistered{})
	}
}

// begun: a slice was opened. The first of a stream is told, and the first one
// after an interruption.
func (d *Deriver) begun(l *line, at time.Time, f spool.Fact) {
	if f.Kind != spool.KindSlice || d.web() || d.rec.Plan.NoFiles {
		return
	}
	start := (d.zero + f.StartMicro) / 1000
	broken := start
	if d.streams[f.Index] {
		if f.BrokenMicro == 0 || f.BrokenMicro >= f.StartMicro {
			return
		}
		broken = (d.zero + f.BrokenMicro) / 1000
	}
	d.streams[f.Index] = true
	l.add(at, notify.RecorderSliceStart{
		StartUTC: start, DiscontinueUTC: broken, MixedAllUser: d.rec.Plan.Mode == session.Mix, StreamUID: d.user(f.UID), TrackType: f.Track,
	})
}

// user names whose stream it is.
func (d *Deriver) user(uid string) string {
	if d.rec.Plan.Mode == session.Mix {
		return "0"
	}
	return uid
}

func (d *Deriver) stream(l *line, at time.Time, f spool.Fact) {
	ms := at.UnixMilli()
	switch {
	case d.web():
	case f.Track == session.TrackAudio:
		l.add(at, notify.AudioStreamState{StreamUID: d.user(f.UID), State: f.Status, UTC: ms})
	case f.Track == session.TrackVideo:
		l.add(at, notify.VideoStreamState{StreamUID: d.user(f.UID), State: f.Status, UTC: ms})
	}
}

func (d *Deriver) page(l *line, at time.Time, f spool.Fact) {
	switch f.Note {
	case "started":
		l.add(at, notify.PageStarted{RecorderStartTime: at.UnixMilli()})
	case "reload":
		l.add(at, notify.PageReload{Reason: f.Reason})
	case "limit":
		l.add(at, notify.PageLimit{LimitType: f.Reason})
	}
}

func (d *Deriver) push(l *line, at time.Time, f spool.Fact) {
	url := ""
	if d.rec.PushURL != nil {
		url = d.rec.PushURL(f.Output)
	}
	l.add(at, notify.PushStatus{URL: url, Status: f.Note})
}

// ended: the worker wrote everything.
func (d *Deriver) ended(l *line, at time.Time, f spool.Fact, files []session.File) {
	if e, ok := d.fault(f); ok {
		d.once("error-worker", at, e)
	}
	if d.web() {
		l.add(at, pageStopped(d.rec.Plan, f.Note, files))
		return
	}
	l.add(at, notify.RecorderLeave{LeaveCode: leaveCode(f.Note, d.ready)})
}

// Bits of leaveCode (events.md 5.2, 41).
const (
	leaveInit   = 0
	leaveSignal = 2 // ended from outside
	leaveIdle   = 4
	leaveCalled = 16
)

// leaveCode tells why the recorder left. One that was never in the channel
// could not begin, whatever ended it, unless that was a stop or the idle time.
func leaveCode(reason string, ready bool) int {
	switch reason {
	case spool.EndStop:
		return leaveCalled
	case spool.EndIdle:
		return leaveIdle
	case spool.EndRoom: // the room was closed, so nobody is in it
		return leaveSignal | leaveIdle
	}
	if !ready {
		return leaveInit
	}
	return leaveSignal
}

// Values of event 1 (events.md 5.1).
const (
	moduleRecorder = 0
	moduleUploader = 1
	moduleControl  = 2
	modulePage     = 6

	levelMajor = 4
	levelFatal = 5

	codeStorage = 32  // storage configuration wrong
	codeUpload  = 47  // upload failed
	codeFile    = 51  // file operation failed while uploading
	codeStart   = 52  // recording service start timeout
	codeToken   = 110 // token invalid
	codeFault   = 65  // request not completed

	warnRetry  = 31
	warnBackup = 32
)

// fault returns the error event of an end that nobody asked for.
func (d *Deriver) fault(f spool.Fact) (notify.RecordingError, bool) {
	e := notify.RecordingError{Module: moduleRecorder, ErrorLevel: levelFatal, Stat: 1}
	if d.web() {
		e.Module = modulePage
	}
	switch f.Note {
	case spool.EndRefused:
		e.ErrorCode, e.ErrorMsg = codeToken, "the room does not let the recorder in"
	case spool.EndUnreached:
		e.ErrorCode, e.ErrorMsg = codeFault, "the connection to the room was lost and did not come back"
		if !d.ready {
			e.Module, e.ErrorCode, e.ErrorMsg = moduleControl, codeStart, "the room cannot be reached"
		}
	case spool.EndFault:
		e.ErrorCode, e.ErrorMsg = codeFault, "the recorder failed; what it had recorded is uploaded"
	default:
		return e, false
	}
	return e, true
}
