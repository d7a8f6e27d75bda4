// Package review decides whether the files of a finished recording are right:
// it looks at everything a recording stored, with the eyes and ears of package
// probe, and knows what the participants (package clips) sent and when.
package review

import (
	"context"
	"fmt"
	"time"

	"tapedeck/internal/testkit/probe"
)

// Limits of what passes.
const (
	// SyncLimit is how far apart picture and sound may be, at the start, at the
	// end and in the middle.
	SyncLimit = 40 * time.Millisecond
	// LagLimit is how far the recorded moment of a flash or beep may lie from
	// the moment it was sent.
	LagLimit = 250 * time.Millisecond
	// GapLimit is how much the time a user was away may be stretched or cut.
	GapLimit = 40 * time.Millisecond
	// ClockLimit is how unevenly the marks of a stay may follow each other: one
	// frame and a little.
	ClockLimit = 50 * time.Millisecond
	// FreezeLimit is how long a moving picture may stand still, or be missing.
	FreezeLimit = 500 * time.Millisecond
	// nameLimit is how far a slice's name may be off its content: names are in ms.
	nameLimit = 2 * time.Millisecond
)

// User is what a participant sent.
type User struct {
	UID   uint32
	Tone  int    // Hz, 0 = no sound
	Color string // "#rrggbb", "" = no picture
	Stays []Stay
	Gaps  []Gap // what is known to be missing: nothing is looked for there
}

// Gap is a time from which something of a user is missing.
type Gap struct {
	Sound    bool // or pictures
	From, To time.Time
}

// Stay is one time that a user was in the room and sent.
type Stay struct {
	Origin time.Time // when the first frame of every clip was sent
	End    time.Time // when the last was
}

// File is what was found out about one stored output: a playlist with its
// slices, or an MP4.
type File struct {
	Name     string
	Slices   int
	Start    time.Time // of its first sample, as names say; zero for an MP4
	Duration time.Duration
	Codecs   string
	Size     int64 // bytes, all slices included
	Sync     []UserSync
	Problems []string
}

// UserSync is the A/V offset of one user.
type UserSync struct {
	UID uint32
	probe.Sync
}

// Seen is how one user is recorded in one output.
type Seen struct {
	UID      uint32
	Where    string // "mix", "mix mp4", "individual"
	Flashes  int
	Beeps    int
	Sync     *probe.Sync     // nil without a picture or without sound
	Lags     []time.Duration // per stay: recorded moment minus sent moment
	Problems []string
}

// Result is the judgement on one recording.
type Result struct {
	Zero  time.Time // UTC of the timeline's zero
	Files []File
	Users []Seen
}

// Problems lists everything that is wrong, named by file or user.
func (r *Result) Problems() []string {
	var all []string
	for _, f := range r.Files {
		for _, p := range f.Problems {
			all = append(all, f.Name+": "+p)
		}
	}
	for _, u := range r.Users {
		for _, p := range u.Problems {
			all = append(all, fmt.Sprintf("user %d in %s: %s", u.UID, u.Where, p))
		}
	}
	return all
}

// Worst returns the sync whose median is farthest from zero.
func (f *File) Worst() (UserSync, bool) {
	var worst UserSync
	for _, s := range f.Sync {
		if s.Median.Abs() >= worst.Median.Abs() {
			worst = s
		}
	}
	return worst, len(f.Sync) > 0
}

func (f *File) complain(format string, args ...any) {
	f.Problems = append(f.Problems, fmt.Sprintf(format, args...))
}

// failed notes that the file cannot be judged, unless the whole review was
// called off: then it returns why.
func (f *File) failed(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	f.complain("%v", err)
	return nil
}

func (s *Seen) complain(format string, args ...any) {
	s.Problems = append(s.Problems, fmt.Sprintf(format, args...))
}
