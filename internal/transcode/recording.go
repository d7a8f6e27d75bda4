// Package transcode makes other files out of finished recordings: one MP4 for
// each user, one sound file of everybody, one composed picture. It reads the
// playlists and slices of a folder, keeps what can be kept without encoding it
// again, and puts everything on the recording's own timeline, gaps included.
// Memory does not grow with the length of a recording. Only tapedeck-worker
// links it (docs/adr/0011-postponed-work.md).
package transcode

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/playlist"
)

// Recording is a folder with the playlists and slices of one recording.
type Recording struct {
	Stem    string   // <sid>_<cname>, what all names begin with
	Users   []*User  // by uid; one with the uid "0" for a mix or a web page
	Missing []string // listed slices that are not in the folder

	in         Input
	zero       time.Time  // UTC of the timeline's zero
	start, end media.Time // of all media
}

// User is one user's media, in order of time. A video that a user sent beside
// the first, such as a shared screen, is a User of its own without sound
// (docs/formats/individual.md).
type User struct {
	UID   string
	Extra string // "", or the type in the names of a further video: screen, video2, ...
	Sound []Slice
	Video []Slice
}

// Slice is one entry of a playlist.
type Slice struct {
	Name   string
	Start  time.Time  // from its name, whole milliseconds
	Dur    media.Time // as listed
	Rotate int        // degrees anticlockwise to turn the picture by: 0, 90, 180, 270
	Bytes  int64

	at media.Time // Start on the timeline
}

// ErrNothing: the folder holds no playlist of a recording, or no slice of one.
var ErrNothing = errors.New("transcode: no recording here")

// maxPlaylist bounds a playlist, bytes: a month of slices is far below.
const maxPlaylist = 64 << 20

// names of playlists: <stem>__uid_s_<uid>__uid_e_<type>.m3u8, <stem>.m3u8, either
// with bak<n>_ after a fail-over (files.md 2).
var userList = regexp.MustCompile(`^(?:bak\d+_)?(.+)__uid_s_([^/]+)__uid_e_([a-z0-9-]+)\.m3u8$`)
var further = regexp.MustCompile(`^(?:screen\d*|video\d+)$`)
var mixList = regexp.MustCompile(`^(?:bak\d+_)?(.+)\.m3u8$`)

// Open reads the playlists of a folder and finds what each user has. Where the
// folder has several recordings, sid says which; it may be empty.
func Open(dir, sid string) (*Recording, error) { return OpenInput(Dir(dir), sid) }

// OpenInput is Open for files that do not lie in a plain folder.
func OpenInput(in Input, sid string) (*Recording, error) {
	names, err := in.Names()
	if err != nil {
		return nil, fmt.Errorf("transcode: %w", err)
	}
	r := &Recording{in: in}
	for _, name := range names {
		if !strings.HasSuffix(name, ".m3u8") || !strings.Contains(name, sid) {
			continue
		}
		if err := r.takeList(name); err != nil {
			return nil, err
		}
	}
	for _, u := range r.Users {
		u.Sound, u.Video = r.settle(u.Sound), r.settle(u.Video)
	}
	r.Users = slices.DeleteFunc(r.Users, func(u *User) bool { return len(u.Sound)+len(u.Video) == 0 })
	if len(r.Users) == 0 {
		return nil, ErrNothing
	}
	sort.Slice(r.Users, func(a, b int) bool {
		x, y := r.Users[a], r.Users[b]
		return x.UID == y.UID && x.Extra < y.Extra || x.UID != y.UID && less(x.UID, y.UID)
	})
	slices.Sort(r.Missing)
	r.Missing = slices.Compact(r.Missing)
	return r, r.place()
}

func less(a, b string) bool {
	x, errA := strconv.ParseUint(a, 10, 32)
	y, errB := strconv.ParseUint(b, 10, 32)
	if errA != nil || errB != nil || x == y {
		return a < b
	}
	return x < y
}

// takeList adds a playlist's slices to its user.
func (r *Recording) takeList(name string) error {
	stem, uid, kind := "", "0", "both"
	if m := userList.FindStringSubmatch(name); m != nil {
		stem, uid, kind = m[1], m[2], m[3]
	} else if m := mixList.FindStringSubmatch(name); m != nil {
		stem = m[1]
	}
	if kind == "av" || strings.HasPrefix(kind, "av-") {
		return nil // joint indexes list what the others list
	}
	if r.Stem == "" {
		r.Stem = stem
	}
	if stem != r.Stem {
		return fmt.Errorf("transcode: two recordings in one folder, say which: %s and %s", r.Stem, stem)
	}
	f, err := r.in.Open(name)
	if err != nil {
		return fmt.Errorf("transcode: %w", err)
	}
	defer func() { _ = f.Close() }()
	list, err := readList(f)
	if err != nil {
		return fmt.Errorf("transcode: %s: %w", name, err)
	}
	extra := ""
	if further.MatchString(kind) {
		extra, kind = kind, "video"
	}
	u := r.user(uid, extra)
	if kind != "video" {
		u.Sound = append(u.Sound, list...)
	}
	if kind != "audio" {
		u.Video = append(u.Video, list...)
	}
	return nil
}

func (r *Recording) user(uid, extra string) *User {
	for _, u := range r.Users {
		if u.UID == uid && u.Extra == extra {
			return u
		}
	}
	u := &User{UID: uid, Extra: extra}
	r.Users = append(r.Users, u)
	return u
}

// settle orders slices and takes out those that are not there.
func (r *Recording) settle(list []Slice) []Slice {
	there := list[:0]
	for _, s := range list {
		f, err := r.in.Open(s.Name)
		if err == nil {
			s.Bytes, err = f.Size()
			_ = f.Close()
		}
		if err != nil {
			r.Missing = append(r.Missing, s.Name)
			continue
		}
		there = append(there, s)
	}
	list = there
	slices.SortStableFunc(list, func(a, b Slice) int { return a.Start.Compare(b.Start) })
	return slices.CompactFunc(list, func(a, b Slice) bool { return a.Name == b.Name })
}

// place finds the zero of the timeline and how long it is.
func (r *Recording) place() error {
	var first *Slice
	for s := range r.all() {
		if first == nil || s.Start.Before(first.Start) {
			first = s
		}
	}
	r.zero = first.Start
	for s := range r.all() {
		if zero, ok := r.zeroOf(*s); ok {
			r.zero = zero
			break
		}
	}
	begun := false
	for s := range r.all() {
		s.at = media.Time(s.Start.Sub(r.zero).Microseconds())
		if !begun || s.at < r.start {
			r.start = s.at
		}
		begun = true
		r.end = max(r.end, s.at+s.Dur)
	}
	if r.end <= r.start {
		return fmt.Errorf("%w: its playlists list no time", ErrNothing)
	}
	return nil
}

// Length returns from the first to the last media of anybody.
func (r *Recording) Length() media.Time { return r.end - r.start }

// Began returns the UTC of the first media of anybody, where all outputs begin.
func (r *Recording) Began() time.Time {
	return r.zero.Add(time.Duration(r.start) * time.Microsecond)
}

// Bytes returns the size of all slices with sound, and of those with pictures.
func (r *Recording) Bytes(pictures bool) int64 {
	n := int64(0)
	for _, u := range r.Users {
		for _, s := range u.Sound {
			n += s.Bytes
		}
		for _, s := range u.Video {
			if pictures {
				n += s.Bytes
			}
		}
	}
	return n
}

// all yields every slice; one of a merged playlist twice.
func (r *Recording) all() func(func(*Slice) bool) {
	return func(yield func(*Slice) bool) {
		for _, u := range r.Users {
			for _, list := range [][]Slice{u.Sound, u.Video} {
				for i := range list {
					if !yield(&list[i]) {
						return
					}
				}
			}
		}
	}
}

// stampOf reads the time in a slice's name: the last 17 digits before the
// extension, with a codec's name after them in raw mode.
func stampOf(name string) (time.Time, bool) {
	for _, part := range slices.Backward(strings.Split(strings.TrimSuffix(name, filepath.Ext(name)), "_")) {
		if t, err := playlist.ParseStamp(part); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
