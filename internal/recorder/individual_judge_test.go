package recorder

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/probe"
)

// check judges every file of the folder: names, syntax, ffprobe, what the
// journal says of it.
func (d *deck) check() {
	d.t.Helper()
	left, err := filepath.Glob(filepath.Join(d.dir.Path(), "files", "*"))
	if err != nil {
		d.t.Fatal(err)
	}
	closed, final := map[string]spool.Fact{}, map[string]spool.Fact{}
	listed := map[string]bool{}
	for _, f := range d.facts() {
		switch f.Type {
		case spool.FactClosed:
			closed[f.Name] = f
		case spool.FactIndex:
			final[f.Name] = f
		}
	}
	name := regexp.MustCompile(`^[0-9a-f]{32}_my_room__uid_s_\d+__uid_e_(audio|video|screen|av)(_\d{17}\.(ts|webm|mp4)|\.m3u8|\.mpd)$`)
	for _, path := range left {
		base := filepath.Base(path)
		f, isSlice := closed[base]
		i, isIndex := final[base]
		if !name.MatchString(base) && !i.Unlisted && !f.Unlisted {
			d.t.Errorf("name %s", base)
		}
		switch {
		case f.Kind == spool.KindReport, f.Kind == spool.KindKey:
			continue
		case isSlice:
			if !strings.HasPrefix(base, strings.TrimSuffix(f.Index, ".m3u8")+"_") {
				d.t.Errorf("%s is listed in %s", base, f.Index)
			}
		case isIndex:
			if !i.Final {
				d.t.Errorf("%s was never made final", base)
			}
			if filepath.Ext(base) == ".m3u8" && !strings.Contains(base, "uid_e_av") {
				d.checkPlaylist(base, closed, listed)
			}
		default:
			d.t.Errorf("%s is in no fact", base)
		}
	}
	for n, f := range closed {
		if !listed[n] && f.Kind == spool.KindSlice {
			d.t.Errorf("%s is in no playlist", n)
		}
	}
}

func (d *deck) checkPlaylist(name string, closed map[string]spool.Fact, listed map[string]bool) {
	d.t.Helper()
	p := d.playlist(name)
	version := 3
	if filepath.Ext(p.Slices[0].Name) == extMP4 {
		version = 6
	}
	if !p.Ended || p.Version != version || p.Sequence != 0 {
		d.t.Errorf("%s: %+v", name, p)
	}
	if !p.Slices[0].Discontinuity {
		d.t.Errorf("%s does not begin with a discontinuity", name)
	}
	d.decodes(p)
	for i, s := range p.Slices {
		listed[s.Name] = true
		f := closed[s.Name]
		if f.Index != name || f.DurMicro != s.Duration.Microseconds() || s.Duration > time.Duration(p.Target)*time.Second {
			d.t.Errorf("%s: slice %d: %+v, fact %+v", name, i, s, f)
		}
		if start := d.out.At(media.Time(f.StartMicro)); start.Sub(s.UTC) < 0 || start.Sub(s.UTC) > 2*time.Millisecond {
			d.t.Errorf("%s: slice %d starts at %v", name, i, start)
		}
		if i > 0 && !s.Discontinuity {
			// The rule of the official tools: adjacent within a millisecond.
			if gap := s.UTC.Sub(p.Slices[i-1].UTC) - p.Slices[i-1].Duration; gap.Abs() > time.Millisecond {
				d.t.Errorf("%s: slice %d begins %v after the one before", name, i, gap)
			}
		}
	}
}

// decodes lets one ffmpeg decode all runs of a playlist; it must not complain.
func (d *deck) decodes(p probe.Playlist) {
	d.t.Helper()
	args := []string{"-hide_banner", "-nostdin", "-v", "warning"}
	var maps []string
	for i, run := range d.runs(p) {
		args = append(args, "-i", run.Path)
		maps = append(maps, "-map", strconv.Itoa(i))
	}
	out, err := exec.Command("ffmpeg", append(append(args, maps...), "-f", "null", "-")...).CombinedOutput()
	if err != nil || len(out) > 0 {
		d.t.Errorf("ffmpeg: %v: %s", err, out)
	}
}

// runs returns what of a playlist is contiguous, TS slices joined byte by byte.
func (d *deck) runs(p probe.Playlist) (out []probe.Segment) {
	var run []string
	flush := func() {
		if len(run) > 0 {
			out = append(out, probe.Concat(run))
			run = nil
		}
	}
	for _, s := range p.Slices {
		if s.Discontinuity || filepath.Ext(s.Name) != extTS {
			flush()
		}
		run = append(run, d.path(s.Name))
	}
	flush()
	return out
}

// cleanOneByOne judges each slice of a playlist by itself.
func (d *deck) cleanOneByOne(name string) {
	d.t.Helper()
	for _, s := range d.playlist(name).Slices {
		if err := probe.Clean(context.Background(), d.path(s.Name)); err != nil {
			d.t.Error(err)
		}
	}
}

// watch decodes playlists onto one timeline.
func (d *deck) watch(playlists ...string) *probe.Watched {
	d.t.Helper()
	var segments []probe.Segment
	for _, name := range playlists {
		segments = append(segments, d.runs(d.playlist(name))...)
	}
	w, err := probe.Watch(context.Background(), segments)
	if err != nil {
		d.t.Fatal(err)
	}
	return w
}
