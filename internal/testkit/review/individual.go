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
	var joints []session.File
	res := &Result{}
	for _, f := range files {
		if strings.Contains(f.Name, "__uid_e_av.") {
			joints = append(joints, f)
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
	for _, f := range joints {
		judge := func() error { return res.joint(ctx, dir, f, users) }
		if strings.HasSuffix(f.Name, ".mpd") {
			judge = func() error { return res.manifest(ctx, dir, f, users) }
		}
		if err := judge(); err != nil {
			return nil, err
		}
	}
	return res, nil
}

// joint judges a joint playlist, which refers to the slices of the others, as a
// player sees it: ffmpeg reads it as a whole, without a word.
func (r *Result) joint(ctx context.Context, dir string, entry session.File, users []User) error {
	f := File{Name: entry.Name}
	path := filepath.Join(dir, entry.Name)
	defer func() { r.Files = append(r.Files, f) }()
	info, said, err := probe.Inspect(ctx, path)
	if err != nil {
		return f.failed(ctx, err)
	}
	if said = serious(said); len(said) > 0 {
		f.complain("ffprobe: %s", strings.Join(said, " | "))
	}
	f.Codecs, f.Duration = info.Codecs(), info.Duration
	w, err := probe.Watch(ctx, []probe.Segment{{Path: path}})
	if err != nil {
		return f.failed(ctx, err)
	}
	if said = serious(w.Warnings); len(said) > 0 {
		f.complain("decoding: %s", strings.Join(said, " | "))
	}
	f.together(w, users)
	return nil
}

// serious leaves out what FFmpeg's HLS reader says where a playlist names another
// initialisation (EXT-X-MAP) of fragmented MP4: it hands it to the same reader of
// MP4, which knows one. The pictures are all there.
func serious(said []string) (rest []string) {
	left := false
	for _, line := range said {
		if strings.Contains(line, "Found duplicated MOOV Atom") || left && strings.Contains(line, "Last message repeated") {
			left = true
			continue
		}
		left = false
		rest = append(rest, line)
	}
	return rest
}

// together measures picture against sound of the user whose joint index this is.
func (f *File) together(w *probe.Watched, users []User) {
	for _, u := range users {
		if fmt.Sprint(u.UID) != uidOf(f.Name) {
			continue
		}
		sum, ok := probe.SyncOf(probe.Offsets(w.Flashes(0), w.Beeps(u.Tone)))
		if !ok {
			f.complain("picture and sound have only %d pairs of flash and beep", sum.Count)
			continue
		}
		f.Sync = append(f.Sync, UserSync{u.UID, sum})
		if err := sum.Within(SyncLimit); err != nil {
			f.complain("%v", err)
		}
	}
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
		if len(w.Frames) > 0 {
			pictures = x
			e.flashes = w.Flashes(0)
			seen.picture(u, w, 0, r.Zero, false)
			seen.holes(u, w, r.Zero)
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
