package review

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/testkit/probe"
)

// Individual judges an individual recording: the files of its list, which lie
// in dir under their names.
func Individual(ctx context.Context, dir string, files []session.File, users []User) (*Result, error) {
	tracks := map[string][]*index{} // by uid
	var all []*index
	res := &Result{}
	for _, f := range files {
		if filepath.Ext(f.Name) != ".m3u8" {
			if err := res.manifest(ctx, dir, f.Name); err != nil {
				return nil, err
			}
			continue
		}
		x, err := readIndex(ctx, dir, f.Name)
		if err != nil {
			return nil, err
		}
		x.listed(f)
		tracks[f.UID] = append(tracks[f.UID], x)
		all = append(all, x)
	}
	if len(all) == 0 {
		return res, nil
	}
	res.Zero = zeroOf(all)
	for _, u := range users {
		uid := fmt.Sprint(u.UID)
		if err := res.user(ctx, u, tracks[uid]); err != nil {
			return nil, err
		}
		delete(tracks, uid)
	}
	for _, x := range all {
		if len(tracks) > 0 && tracks[uidOf(x.file.Name)] != nil {
			x.file.complain("belongs to nobody who was in the room")
		}
		res.Files = append(res.Files, x.file)
	}
	return res, nil
}

// manifest judges an MPD: ffprobe has to read it without a word.
func (r *Result) manifest(ctx context.Context, dir, name string) error {
	f := File{Name: name}
	info, said, err := probe.Inspect(ctx, filepath.Join(dir, name))
	if err != nil {
		return err
	}
	if len(said) > 0 {
		f.complain("ffprobe: %s", strings.Join(said, " | "))
	}
	f.Codecs, f.Duration = info.Codecs(), info.Duration
	r.Files = append(r.Files, f)
	return nil
}

// listed compares an entry of the file list with the file.
func (x *index) listed(f session.File) {
	if uid := uidOf(f.Name); uid != f.UID {
		x.file.complain("is listed for uid %s", f.UID)
	}
	var v, a bool
	for _, s := range x.slices {
		v, a = v || s.video != nil, a || s.audio != nil
	}
	want := map[string][2]bool{session.TrackVideo: {true, false}, session.TrackAudio: {false, true}, session.TrackBoth: {true, true}}[f.Track]
	if want != [2]bool{v, a} {
		x.file.complain("is listed as %q but holds picture %v, sound %v", f.Track, v, a)
	}
	if d := x.file.Start.Sub(time.UnixMilli(f.StartMilli)); d.Abs() > nameLimit {
		x.file.complain("is listed with a start %v off its first slice", d)
	}
}

// uidOf returns the user id in a file name of individual mode (files.md 2).
func uidOf(name string) string {
	_, rest, _ := strings.Cut(name, "__uid_s_")
	uid, _, _ := strings.Cut(rest, "__uid_e_")
	return uid
}

// user judges what one user's indexes hold together.
func (r *Result) user(ctx context.Context, u User, tracks []*index) error {
	seen := Seen{UID: u.UID, Where: "individual"}
	e := evidence{zero: r.Zero, begin: 1 << 62}
	var pictures *index
	for _, x := range tracks {
		if len(x.slices) == 0 {
			continue
		}
		w, err := x.watch(ctx, r.Zero, probe.Whole())
		if err != nil {
			return err
		}
		for _, s := range x.slices {
			start := s.start() - tsBase
			if !s.timed {
				start = s.UTC.Sub(r.Zero)
			}
			e.begin, e.end = min(e.begin, start), max(e.end, start+s.Duration)
		}
		if len(w.Frames) > 0 && len(w.Sound) > 0 { // a joint index is judged by itself
			x.joint(u, w)
			continue
		}
		if len(w.Frames) > 0 {
			pictures = x
			e.flashes = w.Flashes(0)
			seen.picture(u, w, 0, r.Zero, false)
		}
		if len(w.Sound) > 0 && u.Tone != 0 {
			e.beeps = w.Beeps(u.Tone)
		}
	}
	if e.end == 0 {
		seen.complain("nothing was recorded")
	} else {
		seen.judge(u, e)
	}
	if pictures != nil && seen.Sync != nil {
		pictures.file.Sync = append(pictures.file.Sync, UserSync{u.UID, *seen.Sync})
	}
	r.Users = append(r.Users, seen)
	return nil
}

// joint judges an index with picture and sound.
func (x *index) joint(u User, w *probe.Watched) {
	sum, ok := probe.SyncOf(probe.Offsets(w.Flashes(0), w.Beeps(u.Tone)))
	if !ok {
		x.file.complain("picture and sound have only %d pairs of flash and beep", sum.Count)
		return
	}
	x.file.Sync = append(x.file.Sync, UserSync{u.UID, sum})
	if err := sum.Within(SyncLimit); err != nil {
		x.file.complain("%v", err)
	}
}
