package derive

import (
	"slices"
	"strings"
	"time"

	"tapedeck/internal/notify"
)

// keyJobOver names event 1001 in the marks.
const keyJobOver = "job-over"

// JobOver reports whether event 1001 has been derived.
func (d *Deriver) JobOver() bool { return slices.Contains(d.marks.Once, keyJobOver) }

// JobStarted derives event 80.
func (d *Deriver) JobStarted(now time.Time) {
	d.scene = notify.SceneTranscode
	d.once("job-started", now, notify.TranscoderStarted{})
}

// JobMissing derives event 90: files of the recording are nowhere to be had.
func (d *Deriver) JobMissing(vendor, region int, bucket string, names []string, now time.Time) {
	d.scene = notify.SceneTranscode
	all := strings.Join(names, ";")
	d.once("job-missing", now, notify.DownloadFailed{Vendor: vendor, Region: region, Bucket: bucket, FileName: all, Filename: all})
}

// JobMade derives event 81: what became of each user. Nobody at all is a failure.
func (d *Deriver) JobMade(users []notify.JobUser, now time.Time) {
	d.scene = notify.SceneTranscode
	done := notify.TranscoderCompleted{Result: outcomeOf(users, "all_success", "fail"), UIDs: users}
	if done.UIDs == nil {
		done.UIDs = []notify.JobUser{}
	}
	d.once("job-made", now, done)
}

// JobShipped derives event 1001: every file of the job is in the storage.
func (d *Deriver) JobShipped(users []notify.JobUser, now time.Time) {
	d.scene = notify.SceneTranscode
	over := notify.PostponedResult{Result: outcomeOf(users, "total_success", "failed"), FileList: []notify.JobFile{}}
	for _, u := range users {
		over.FileList = append(over.FileList, u.FileList...)
	}
	d.once(keyJobOver, now, over)
}

// outcomeOf sums users up: all, some or none of them have files.
func outcomeOf(users []notify.JobUser, all, none string) string {
	good := 0
	for _, u := range users {
		if len(u.FileList) > 0 {
			good++
		}
	}
	switch {
	case good == 0:
		return none
	case good < len(users):
		return "partial_success"
	}
	return all
}
