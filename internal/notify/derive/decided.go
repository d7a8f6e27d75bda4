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

// Uploads is what a shipper reports.
type Uploads struct {
	Bytes, Total  int64 // uploaded of recorded
	Retried       bool  // towards the caller's store
	RetriedBackup bool  // towards the backup store
	Refused       error // the caller's store refuses, and only the caller can mend it
}

// Trouble derives what an integrator should know of uploads that do not go well.
// Each kind is told once.
func (d *Deriver) Trouble(u Uploads, now time.Time) {
	if d.exited() {
		return
	}
	if u.Refused != nil {
		d.once("error-storage", now, notify.RecordingError{Module: moduleUploader, ErrorLevel: levelMajor, ErrorCode: codeStorage, Stat: 1, ErrorMsg: u.Refused.Error()})
	}
	if d.web() {
		return // warnings are not known there
	}
	if u.Retried {
		d.once("retry", now, notify.RecordingWarning{Module: moduleUploader, WarnCode: warnRetry})
	}
	if u.RetriedBackup {
		d.once("retry-backup", now, notify.RecordingWarning{Module: moduleUploader, WarnCode: warnBackup})
	}
}

// progressFull is a whole of event 33.
const progressFull = 10000

// Minute derives event 33 when a minute has passed since the last one. Minutes
// in which nobody looked are not made up for.
func (d *Deriver) Minute(u Uploads, now time.Time) {
	if d.opened == 0 || d.web() || d.exited() {
		return
	}
	n := int64(now.Sub(time.UnixMicro(d.opened)) / time.Minute)
	if n <= d.marks.Minute {
		return
	}
	d.marks.Minute = n
	share := int64(progressFull)
	if u.Total > 0 {
		share = min(max(u.Bytes*progressFull/u.Total, 0), progressFull)
	}
	d.add(fmt.Sprintf("m%d", n), now, notify.UploadingProgress{Progress: int(share)})
}

// Misfit derives event 3: a call of the API did not fit the state.
func (d *Deriver) Misfit(status session.Status, files []session.File, now time.Time) {
	if d.exited() {
		return
	}
	s := notify.StatusUpdate{Status: int(status)}
	if d.rec.Plan.Mode == session.Individual {
		s.RecordingMode = 1
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name, ".m3u8") {
			s.FileList = f.Name
			break
		}
	}
	d.add(fmt.Sprintf("call%d", d.seq), now, s)
}

// Failover derives event 12: this node took the recording over. The plan has
// the new uid.
func (d *Deriver) Failover(now time.Time) {
	if d.rec.Epoch > 0 && !d.web() {
		d.once(fmt.Sprintf("takeover%d", d.rec.Epoch), now, notify.SessionFailover{NewUID: d.rec.Plan.UID})
	}
}

// GivenUp derives the error of a recording whose worker could not be kept alive.
func (d *Deriver) GivenUp(why string, now time.Time) {
	if d.exited() {
		return
	}
	module := moduleRecorder
	if d.web() {
		module = modulePage
	}
	d.once("error-worker", now, notify.RecordingError{Module: module, ErrorLevel: levelFatal, ErrorCode: codeFault, Stat: 1, ErrorMsg: why})
}

// End is how everything came out.
type End struct {
	Files    []session.File
	Backuped bool   // something is in the backup store only
	Failed   bool   // it shows as a failure
	Unsent   string // uploads were given up: why
}

// keyExit names event 11 in the marks.
const keyExit = "exit"

// exited: nothing of the recording itself follows event 11.
func (d *Deriver) exited() bool { return slices.Contains(d.marks.Once, keyExit) }

// Exit derives the last events: 31 or 32 where there are files or where it
// ended well without any, then 11.
func (d *Deriver) Exit(e End, now time.Time) {
	if d.exited() {
		return
	}
	switch {
	case e.Unsent != "":
		d.once("error-upload", now, notify.RecordingError{Module: moduleUploader, ErrorLevel: levelFatal, ErrorCode: codeUpload, Stat: 1, ErrorMsg: e.Unsent})
	case e.Failed && len(e.Files) == 0:
	case e.Backuped:
		d.once("uploaded", now, notify.Backuped{FileList: d.list(e.Files)})
	default:
		d.once("uploaded", now, notify.Uploaded{FileList: d.list(e.Files)})
	}
	exit := notify.SessionExit{}
	if e.Failed || e.Unsent != "" {
		exit.ExitStatus = 1
	}
	d.once(keyExit, now, exit)
}

// list is the file list of 31 and 32: MP4s and sound files before playlists.
// With web pages event 71 has had it.
func (d *Deriver) list(files []session.File) []notify.File {
	if d.web() {
		return nil
	}
	out := make([]notify.File, 0, len(files))
	for _, f := range files {
		out = append(out, notify.File{
			FileName: f.Name, TrackType: f.Track, UID: f.UID, MixedAllUser: f.Mixed, IsPlayable: f.Playable, SliceStartTime: f.StartMilli,
		})
	}
	slices.SortStableFunc(out, func(a, b notify.File) int { return indexRank(a.FileName) - indexRank(b.FileName) })
	return out
}

func indexRank(name string) int {
	if strings.HasSuffix(name, ".m3u8") || strings.HasSuffix(name, ".mpd") {
		return 1
	}
	return 0
}

// pageStopped is event 71 of an end with the given reason.
func pageStopped(p session.Plan, reason string, files []session.File) notify.PageStopped {
	s := notify.PageStopped{FileList: []notify.PageFile{}}
	switch reason {
	case spool.EndStop:
		s.Message, s.Details = "ok", "stopped by the user"
	case spool.EndMaxLength:
		s.Code, s.Message, s.Details = 1, reason, fmt.Sprintf("max recording hour is %d", pageHours(p))
	case spool.EndCapability:
		s.Code, s.Message, s.Details = 2, reason, "the page uses something that cannot be recorded"
	case spool.EndEngine:
		s.Code, s.Message, s.Details = 3, reason, "the recorder could not start"
	case spool.EndPageReady:
		s.Code, s.Message, s.Details = 4, reason, "the page did not say that it is ready"
	case spool.EndPageAccess:
		s.Code, s.Message, s.Details = 5, reason, "the page could not be opened"
	default:
		s.Code, s.Message, s.Details = 6, "recorder_error", "the recorder failed"
	}
	for _, f := range files {
		s.FileList = append(s.FileList, notify.PageFile{FileName: f.Name, Filename: f.Name, SliceStartTime: f.StartMilli})
	}
	slices.SortStableFunc(s.FileList, func(a, b notify.PageFile) int { return indexRank(b.FileName) - indexRank(a.FileName) })
	return s
}

func pageHours(p session.Plan) int {
	if p.Page == nil {
		return 0
	}
	return int(p.Page.MaxLength / time.Hour)
}
