package demo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/testkit/clips"
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/review"
)

// shot is one picture of the contact sheet.
type shot struct {
	path  string
	at    time.Duration // from the start of the file
	label string
}

// sheet writes the contact sheet: the mix at four moments, then each user of
// the individual recording.
func (d *demo) sheet(ctx context.Context, results []*review.Result) error {
	var shots []shot
	for i, t := range d.tasks {
		for _, f := range results[i].Files {
			switch {
			case t.Mode == session.Mix && filepath.Ext(f.Name) == ".mp4":
				shots = append(shots, d.mixShots(d.path(f.Name), results[i].Files[0].Start, f.Duration)...)
			case t.Mode == session.Individual && strings.HasSuffix(f.Name, "_video.m3u8"):
				more, err := d.userShots(d.path(f.Name))
				if err != nil {
					return err
				}
				shots = append(shots, more...)
			}
		}
	}
	work, err := os.MkdirTemp("", "tapedeck-sheet-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work) //nolint:errcheck,forbidigo // the temporary folder made above
	for i, s := range shots {
		if err := s.take(ctx, filepath.Join(work, fmt.Sprintf("%02d.png", i))); err != nil {
			return err
		}
	}
	const columns = 4
	rows := (len(shots) + columns - 1) / columns
	return ffmpeg(ctx, "-framerate", "1", "-i", filepath.Join(work, "%02d.png"), "-frames:v", "1",
		"-vf", fmt.Sprintf("tile=%dx%d:padding=4:margin=4:color=0x404040", columns, rows), filepath.Join(d.opts.Out, sheetName))
}

func (d *demo) path(name string) string { return filepath.Join(d.opts.Out, name) }

func (d *demo) mixShots(path string, start time.Time, length time.Duration) []shot {
	var out []shot
	for _, eighth := range []time.Duration{1, 2, 4, 7} { // all, all, one away, back again
		at := d.calm(start, length*eighth/8)
		out = append(out, shot{path, at, fmt.Sprintf("mix %.1f s", at.Seconds())})
	}
	return out
}

// userShots takes the first and the last of a user's pictures. Slices of less
// than two seconds (a size that lasted a moment) are passed over.
func (d *demo) userShots(playlist string) ([]shot, error) {
	p, err := probe.ReadPlaylist(playlist)
	if err != nil || len(p.Slices) == 0 {
		return nil, err
	}
	_, uid, _ := strings.Cut(strings.TrimSuffix(playlist, "__uid_e_video.m3u8"), "__uid_s_")
	var long []shot
	for i, s := range p.Slices {
		if s.Duration < 2*time.Second {
			continue
		}
		at := d.calm(s.UTC, s.Duration/2-time.Second/2)
		long = append(long, shot{filepath.Join(filepath.Dir(playlist), s.Name), at, fmt.Sprintf("individual %s, slice %d of %d", uid, i+1, len(p.Slices))})
	}
	if len(long) < 2 {
		return long, nil
	}
	return []shot{long[0], long[len(long)-1]}, nil
}

// calm returns a time soon after at in a file that starts at start, when nobody
// flashes.
func (d *demo) calm(start time.Time, at time.Duration) time.Duration {
	const margin = 60 * time.Millisecond
	flashes := func(t time.Time) bool {
		for _, u := range d.cast.Users() {
			for _, s := range u.Stays {
				since := t.Sub(s.Origin) - clips.FirstFlash + margin
				if u.Color != "" && since > 0 && t.Before(s.End) && since%time.Second < clips.FlashLength+2*margin {
					return true
				}
			}
		}
		return false
	}
	for step := time.Duration(0); step < time.Second; step += 20 * time.Millisecond {
		if !flashes(start.Add(at + step)) {
			return at + step
		}
	}
	return at
}

func (s shot) take(ctx context.Context, to string) error {
	label := fmt.Sprintf("scale=480:270:force_original_aspect_ratio=decrease,pad=480:300:(ow-iw)/2:0:color=0x202020,"+
		"drawtext=font=DejaVu Sans:fontsize=16:fontcolor=white:x=(w-tw)/2:y=276:text='%s',setsar=1,format=rgb24", s.label)
	return ffmpeg(ctx, "-ss", fmt.Sprintf("%.3f", s.at.Seconds()), "-i", s.path, "-frames:v", "1", "-vf", label, to)
}

func ffmpeg(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "ffmpeg", append([]string{"-hide_banner", "-nostdin", "-v", "error", "-y"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ffmpeg: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
