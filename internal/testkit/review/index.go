package review

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tapedeck/internal/testkit/probe"
)

// tsBase is the PTS of a recording's zero in TS slices.
const tsBase = 10 * time.Second

// index is a playlist with what its slices hold.
type index struct {
	file   File
	dir    string
	list   probe.Playlist
	slices []slice
}

type slice struct {
	probe.Slice
	path         string
	ts           bool
	timed        bool        // its timestamps are those of the recording, as in TS
	video, audio *probe.Span // as the container's timestamps say
}

// start is the first timestamp in the slice.
func (s slice) start() time.Duration {
	switch {
	case s.video == nil:
		return s.audio.First
	case s.audio == nil:
		return s.video.First
	}
	return min(s.video.First, s.audio.First)
}

// main is the span that the slice's duration follows: the picture where there
// is one.
func (s slice) main() *probe.Span {
	if s.video != nil {
		return s.video
	}
	return s.audio
}

// readIndex loads the playlist name of folder dir and probes every slice.
func readIndex(ctx context.Context, dir, name string) (*index, error) {
	x := &index{dir: dir, file: File{Name: name}}
	var err error
	if x.list, err = probe.ReadPlaylist(filepath.Join(dir, name)); err != nil {
		return x, x.file.failed(ctx, err)
	}
	if !x.list.Ended {
		x.file.complain("the playlist does not end")
	}
	if len(x.list.Slices) == 0 {
		x.file.complain("the playlist is empty")
		return x, nil
	}
	x.file.Slices, x.file.Duration, x.file.Start = len(x.list.Slices), x.list.Sum(), x.list.Slices[0].UTC
	folder := filepath.Dir(filepath.Join(dir, name)) // slices lie beside their playlist
	for _, entry := range x.list.Slices {
		if err := x.scan(ctx, folder, entry); err != nil {
			return nil, err
		}
	}
	x.checkDurations()
	return x, nil
}

func (x *index) scan(ctx context.Context, folder string, entry probe.Slice) error {
	s := slice{Slice: entry, path: filepath.Join(folder, entry.Name), ts: strings.HasSuffix(entry.Name, ".ts")}
	info, packets, said, err := probe.Scan(ctx, s.path)
	if err != nil {
		return x.file.failed(ctx, err)
	}
	if len(said) > 0 {
		x.file.complain("ffprobe on %s: %s", entry.Name, strings.Join(said, " | "))
	}
	x.file.Codecs, x.file.Size = info.Codecs(), x.file.Size+info.Size
	if v, ok := probe.SpanOf(packets, "video"); ok {
		s.video = &v
		if !v.KeyFirst {
			x.file.complain("%s does not begin with a key frame", entry.Name)
		}
	}
	if a, ok := probe.SpanOf(packets, "audio"); ok {
		s.audio = &a
	}
	if s.main() == nil {
		x.file.complain("%s holds no packets", entry.Name)
		return nil
	}
	if s.UTC.IsZero() {
		x.file.complain("%s does not tell its start", entry.Name)
	}
	// WebM slices either count from their own start or from the recording's.
	s.timed = s.ts || s.start() > tsBase-time.Second
	x.slices = append(x.slices, s)
	return nil
}

// frame is the usual distance of two packets in s.
func (s slice) frame() time.Duration {
	m := s.main()
	if m.Packets < 2 {
		return m.Length()
	}
	return m.Length() / time.Duration(m.Packets)
}

// checkDurations compares what the playlist says with what the slices hold: each
// unbroken run of timed slices must sum up to the time its packets span, within
// one frame, and one slice must begin where the one before it ends.
func (x *index) checkDurations() {
	for _, run := range x.runs() {
		first, last := run[0], run[len(run)-1]
		var sum time.Duration
		for i, s := range run {
			sum += s.Duration
			if i == 0 || !s.timed {
				continue
			}
			if hole := s.main().First - (run[i-1].main().First + run[i-1].Duration); hole.Abs() > nameLimit {
				x.file.complain("%s begins %v after the end of the slice before it", s.Name, hole)
			}
		}
		if span := last.main().End - first.main().First; first.timed && (sum-span).Abs() > first.frame()+time.Millisecond {
			x.file.complain("slices from %s sum up to %v but hold %v", first.Name, sum, span)
		}
		for _, s := range run {
			if d := s.Duration - s.main().Length(); !s.timed && d.Abs() > 2*s.frame() {
				x.file.complain("%s is listed with %v but holds %v", s.Name, s.Duration, s.main().Length())
			}
		}
	}
}

// runs splits the slices at discontinuities.
func (x *index) runs() [][]slice {
	var out [][]slice
	for i, s := range x.slices {
		if i == 0 || s.Discontinuity {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], s)
	}
	return out
}

// zeroOf finds the UTC of the timeline's zero from the names of timed slices, and
// complains about names that do not agree with the rest.
func zeroOf(all []*index) time.Time {
	var zeros []time.Time
	for _, x := range all {
		for _, s := range x.slices {
			if s.timed && !s.UTC.IsZero() {
				zeros = append(zeros, s.zero())
			}
		}
	}
	if len(zeros) == 0 { // no clock in the files: the first slice's start is as good a zero as any
		for _, x := range all {
			for _, s := range x.slices {
				zeros = append(zeros, s.UTC)
			}
		}
		return slices.MinFunc(append(zeros, time.Now()), time.Time.Compare)
	}
	slices.SortFunc(zeros, time.Time.Compare)
	zero := zeros[len(zeros)/2]
	for _, x := range all {
		for _, s := range x.slices {
			if d := s.zero().Sub(zero); s.timed && d.Abs() > nameLimit {
				x.file.complain("the name of %s is %v off its content", s.Name, d)
			}
		}
	}
	return zero
}

// zero is the UTC of the timeline's zero as this timed slice has it.
func (s slice) zero() time.Time { return s.UTC.Add(-(s.main().First - tsBase)) }

// segments are what a decoder has to read to see the whole index on the
// timeline with the given zero.
func (x *index) segments(zero time.Time) []probe.Segment {
	var out []probe.Segment
	for _, run := range x.runs() {
		var paths []string
		for _, s := range run {
			switch {
			case s.ts:
				paths = append(paths, s.path)
			case s.timed:
				out = append(out, probe.Segment{Path: s.path, Shift: -tsBase})
			default:
				out = append(out, probe.Segment{Path: s.path, Shift: s.UTC.Sub(zero)})
			}
		}
		if len(paths) > 0 {
			segment := probe.Concat(paths)
			segment.Shift = -tsBase
			out = append(out, segment)
		}
	}
	return out
}

// watch decodes the index and complains about what the decoder says. What cannot
// be decoded shows nothing.
func (x *index) watch(ctx context.Context, zero time.Time, regions ...probe.Region) (*probe.Watched, error) {
	w, err := probe.Watch(ctx, x.segments(zero), regions...)
	if err != nil {
		return &probe.Watched{}, x.file.failed(ctx, err)
	}
	if len(w.Warnings) > 0 {
		x.file.complain("decoding: %s", strings.Join(w.Warnings, " | "))
	}
	for i := range regions {
		if at := w.Broken(i); len(at) > 0 {
			x.file.complain("%d broken pictures, the first at %v", len(at), at[0])
		}
	}
	return w, nil
}
