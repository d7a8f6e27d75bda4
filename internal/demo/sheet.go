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
				shots = append(shots, mixShots(d.path(f.Name), f.Duration)...)
			case t.Mode == session.Individual && strings.HasSuffix(f.Name, "_video.m3u8"):
				more, err := userShots(d.path(f.Name))
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

func mixShots(path string, length time.Duration) []shot {
	var out []shot
	for _, eighth := range []time.Duration{1, 3, 5, 7} { // all, one about to leave, away, back
		at := length * eighth / 8
		out = append(out, shot{path, at, fmt.Sprintf("mix %.1f s", at.Seconds())})
	}
	return out
}

// userShots takes the first and the last slice of a user's pictures.
func userShots(playlist string) ([]shot, error) {
	p, err := probe.ReadPlaylist(playlist)
	if err != nil || len(p.Slices) == 0 {
		return nil, err
	}
	_, uid, _ := strings.Cut(strings.TrimSuffix(playlist, "__uid_e_video.m3u8"), "__uid_s_")
	var out []shot
	for i, s := range p.Slices {
		if i == 0 || i == len(p.Slices)-1 {
			out = append(out, shot{filepath.Join(filepath.Dir(playlist), s.Name), s.Duration / 2, fmt.Sprintf("individual %s, slice %d", uid, i+1)})
		}
	}
	return out, nil
}

func (s shot) take(ctx context.Context, to string) error {
	label := fmt.Sprintf("scale=480:270:force_original_aspect_ratio=decrease,pad=480:300:(ow-iw)/2:0:color=0x202020,"+
		"drawtext=font=DejaVu Sans:fontsize=16:fontcolor=white:x=(w-tw)/2:y=276:text='%s'", s.label)
	return ffmpeg(ctx, "-ss", fmt.Sprintf("%.3f", s.at.Seconds()), "-i", s.path, "-frames:v", "1", "-vf", label, to)
}

func ffmpeg(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "ffmpeg", append([]string{"-hide_banner", "-nostdin", "-v", "error", "-y"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ffmpeg: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
