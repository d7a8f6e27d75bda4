package review

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"tapedeck/internal/testkit/probe"
)

// MixRequest says what a mix is expected to hold.
type MixRequest struct {
	Dir      string   // where names lead
	Playlist string   // name of the M3U8
	MP4s     []string // names
	W, H     int      // canvas in pixels
	Users    []User   // in the order of joining; all take part in the layout
	// Regions are the users' places on the canvas, one per user.
	Regions []probe.Region
	// From and To bracket the recording on the wall clock: the slices must end
	// between them (stop was asked, stop was answered).
	From, To time.Time
}

// BestFit returns the regions of up to four users in the best fit layout.
func BestFit(n int) []probe.Region {
	switch n {
	case 1:
		return []probe.Region{probe.Whole()}
	case 2:
		return []probe.Region{{X: 0, Y: 0, W: 0.5, H: 1}, {X: 0.5, Y: 0, W: 0.5, H: 1}}
	}
	return []probe.Region{{X: 0, Y: 0, W: 0.5, H: 0.5}, {X: 0.5, Y: 0, W: 0.5, H: 0.5}, {X: 0, Y: 0.5, W: 0.5, H: 0.5}, {X: 0.5, Y: 0.5, W: 0.5, H: 0.5}}[:n]
}

// Mix judges a mix recording. The error says that it could not be judged.
func Mix(ctx context.Context, q MixRequest) (*Result, error) {
	x, err := readIndex(ctx, q.Dir, q.Playlist)
	if err != nil {
		return nil, err
	}
	res := &Result{Zero: zeroOf([]*index{x})}
	if len(x.slices) > 0 {
		x.size(q.W, q.H)
		x.wall(q.From, q.To)
		w, err := x.watch(ctx, res.Zero, q.Regions...)
		if err != nil {
			return nil, err
		}
		first, last := x.slices[0], x.slices[len(x.slices)-1]
		q.users(res, &x.file, "mix", w, first.main().First-tsBase, last.main().End-tsBase)
	}
	res.Files = append(res.Files, x.file)
	for _, name := range q.MP4s {
		if err := q.mp4(ctx, res, name, x); err != nil {
			return nil, err
		}
	}
	return res, nil
}

func (x *index) size(w, h int) {
	for _, s := range x.slices {
		if s.video == nil || s.audio == nil {
			x.file.complain("%s lacks a picture or sound", s.Name)
		}
	}
	info, _, err := probe.Inspect(context.Background(), x.slices[0].path)
	if v, ok := info.Stream("video"); err != nil || !ok || v.W != w || v.H != h {
		x.file.complain("the picture is %dx%d, asked was %dx%d", v.W, v.H, w, h)
	}
}

// wall compares the end of the slices with the wall clock.
func (x *index) wall(from, to time.Time) {
	last := x.slices[len(x.slices)-1]
	end := last.UTC.Add(last.Duration)
	frame := last.frame()
	if end.Before(from.Add(-frame)) || end.After(to.Add(frame)) {
		x.file.complain("the slices end %v after stop was asked and %v before it was answered", end.Sub(from), to.Sub(end))
	}
}

// mp4 judges one MP4. Its own clock starts at zero, so it is laid beside the
// playlist: the first MP4 begins with the recording.
func (q MixRequest) mp4(ctx context.Context, res *Result, name string, x *index) error {
	path := filepath.Join(q.Dir, name)
	f := File{Name: name}
	info, packets, said, err := probe.Scan(ctx, path)
	if err != nil {
		err = f.failed(ctx, err)
		res.Files = append(res.Files, f)
		return err
	}
	if len(said) > 0 {
		f.complain("ffprobe: %s", strings.Join(said, " | "))
	}
	f.Codecs, f.Size, f.Duration = info.Codecs(), info.Size, info.Duration
	if v, ok := probe.SpanOf(packets, "video"); !ok || !v.KeyFirst {
		f.complain("does not begin with a key frame")
	}
	if len(q.MP4s) == 1 && len(x.slices) > 0 && (f.Duration-x.file.Duration).Abs() > 2*x.slices[0].frame() {
		f.complain("lasts %v, the playlist %v", f.Duration, x.file.Duration)
	}
	shift := time.Duration(0)
	if len(x.slices) > 0 {
		shift = x.slices[0].main().First - tsBase
	}
	w, err := probe.Watch(ctx, []probe.Segment{{Path: path, Shift: shift}}, q.Regions...)
	if err != nil {
		err = f.failed(ctx, err)
		res.Files = append(res.Files, f)
		return err
	}
	if len(w.Warnings) > 0 {
		f.complain("decoding: %s", strings.Join(w.Warnings, " | "))
	}
	if len(q.MP4s) == 1 { // of several none holds everything
		q.users(res, &f, "mix mp4", w, shift, shift+f.Duration)
	}
	res.Files = append(res.Files, f)
	return nil
}

func (q MixRequest) users(res *Result, f *File, where string, w *probe.Watched, begin, end time.Duration) {
	for i, u := range q.Users {
		seen := Seen{UID: u.UID, Where: where}
		e := evidence{zero: res.Zero, begin: begin, end: end}
		if u.Tone != 0 {
			e.beeps = w.Beeps(u.Tone)
		}
		if u.Color != "" {
			e.flashes = w.Flashes(i)
			seen.picture(u, w, i, res.Zero, true)
		}
		seen.judge(u, e)
		if seen.Sync != nil {
			f.Sync = append(f.Sync, UserSync{u.UID, *seen.Sync})
		}
		res.Users = append(res.Users, seen)
	}
}
