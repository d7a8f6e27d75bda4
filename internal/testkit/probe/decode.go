package probe

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Segment is one file of a recording. Shift is added to its timestamps, so
// that files with clocks of their own come onto one timeline.
type Segment struct {
	Path  string
	Shift time.Duration
}

// Watched is what decoding a recording showed.
type Watched struct {
	Frames   []Frame
	Sound    []Run
	Warnings []string // lines ffmpeg printed at level "warning" or worse
}

// Concat returns the segment that reads TS slices as one file, byte after byte,
// so that no decoder starts anew at a cut.
func Concat(paths []string) Segment {
	if len(paths) == 1 {
		return Segment{Path: paths[0]}
	}
	return Segment{Path: "concat:" + strings.Join(paths, "|")}
}

// Run is a stretch of decoded sound without a hole: mono, 48 kHz.
type Run struct {
	Start   time.Duration
	Samples []float32
}

const (
	rate = 48000
	// Pictures are judged after shrinking to this size.
	gridW, gridH = 160, 90
)

// Watch decodes the segments one after the other and looks at the given
// regions of each picture (none = the whole picture).
func Watch(ctx context.Context, segments []Segment, regions ...Region) (*Watched, error) {
	if len(regions) == 0 {
		regions = []Region{Whole()}
	}
	w := &Watched{}
	for _, s := range segments {
		if err := w.add(ctx, s, newEye(regions)); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// stamp is one line of ffmpeg's framecrc output.
type stamp struct {
	at    time.Duration
	bytes int
}

func (w *Watched) add(ctx context.Context, s Segment, eye *eye) error {
	info, _, err := Inspect(ctx, s.Path)
	if err != nil {
		return err
	}
	_, hasVideo := info.Stream("video")
	_, hasAudio := info.Stream("audio")
	d := decoding{args: []string{"-hide_banner", "-nostdin", "-v", "warning", "-copyts", "-i", s.Path}}
	defer d.close()
	var pictures, sounds []stamp
	var sights []Frame
	var samples []float32
	if hasVideo {
		look := fmt.Sprintf("scale=%d:%d:flags=area,format=yuv444p,split[p][q]", gridW, gridH)
		d.args = append(d.args, "-filter_complex", "[0:v:0]"+look)
		mode := []string{"-fps_mode", "passthrough", "-enc_time_base", "1:90000"}
		d.output(func(r io.Reader) (err error) { sights, err = eye.read(r); return err }, append([]string{"-map", "[p]", "-f", "rawvideo"}, mode...)...)
		d.output(func(r io.Reader) (err error) { pictures, err = stamps(r); return err }, append([]string{"-map", "[q]", "-f", "framecrc"}, mode...)...)
	}
	if hasAudio {
		d.args = append(d.args, "-filter_complex", "[0:a:0]aresample="+strconv.Itoa(rate)+",aformat=sample_fmts=flt:channel_layouts=mono,asplit[r][s]")
		d.output(func(r io.Reader) (err error) { samples, err = floats(r); return err }, "-map", "[r]", "-c:a", "pcm_f32le", "-f", "f32le")
		d.output(func(r io.Reader) (err error) { sounds, err = stamps(r); return err }, "-map", "[s]", "-c:a", "pcm_f32le", "-f", "framecrc")
	}
	said, err := d.run(ctx)
	w.Warnings = append(w.Warnings, said...)
	if err != nil {
		return fmt.Errorf("probe: decode %s: %w", s.Path, err)
	}
	if len(pictures) != len(sights) {
		return fmt.Errorf("probe: decode %s: %d pictures but %d timestamps", s.Path, len(sights), len(pictures))
	}
	for i := range sights {
		sights[i].At = pictures[i].at + s.Shift
	}
	w.Frames = append(w.Frames, sights...)
	return w.hear(s, sounds, samples)
}

// hear puts decoded samples onto the timeline, joining what is contiguous.
func (w *Watched) hear(s Segment, sounds []stamp, samples []float32) error {
	for _, f := range sounds {
		n := f.bytes / 4
		if n > len(samples) {
			return fmt.Errorf("probe: decode %s: %d samples are missing", s.Path, n-len(samples))
		}
		part := samples[:n]
		samples = samples[n:]
		at := f.at + s.Shift
		if k := len(w.Sound) - 1; k >= 0 {
			last := &w.Sound[k]
			gap := at - (last.Start + time.Duration(len(last.Samples))*time.Second/rate)
			if gap.Abs() < time.Millisecond/2 {
				last.Samples = append(last.Samples, part...)
				continue
			}
		}
		w.Sound = append(w.Sound, Run{Start: at, Samples: append([]float32(nil), part...)})
	}
	return nil
}

// decoding is one ffmpeg process with several outputs on pipes.
type decoding struct {
	args    []string
	writers []*os.File
	readers []*os.File
	jobs    []func(io.Reader) error
	err     error
}

// output adds an output; read gets its bytes while ffmpeg runs.
func (d *decoding) output(read func(io.Reader) error, args ...string) {
	r, w, err := os.Pipe()
	if err != nil {
		d.err = errors.Join(d.err, err)
		return
	}
	d.readers, d.writers, d.jobs = append(d.readers, r), append(d.writers, w), append(d.jobs, read)
	d.args = append(d.args, args...)
	d.args = append(d.args, "pipe:"+strconv.Itoa(2+len(d.writers)))
}

func (d *decoding) close() {
	for _, f := range append(d.readers, d.writers...) {
		_ = f.Close() // the writers are closed already when ffmpeg was started
	}
}

func (d *decoding) run(ctx context.Context) ([]string, error) {
	if d.err != nil || len(d.jobs) == 0 {
		return nil, errors.Join(d.err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ffmpeg", d.args...)
	cmd.ExtraFiles = d.writers
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for _, w := range d.writers {
		_ = w.Close() // ffmpeg has its own copy
	}
	errs := make([]error, len(d.jobs))
	var wg sync.WaitGroup
	for i, job := range d.jobs {
		wg.Go(func() {
			errs[i] = job(bufio.NewReaderSize(d.readers[i], 1<<16))
			_, _ = io.Copy(io.Discard, d.readers[i]) // lets ffmpeg go on when job gave up
		})
	}
	wg.Wait()
	err := cmd.Wait()
	said := lines(complaint.String())
	if err != nil {
		err = fmt.Errorf("%w: %s", err, strings.Join(said, " | "))
	}
	return said, errors.Join(append(errs, err)...)
}

// stamps parses framecrc: "#tb 0: <num>/<den>", then "0, dts, pts, duration, bytes, crc".
func stamps(r io.Reader) ([]stamp, error) {
	var out []stamp
	num, den := int64(1), int64(1)
	in := bufio.NewScanner(r)
	for in.Scan() {
		line := in.Text()
		if strings.HasPrefix(line, "#") {
			if tb, ok := strings.CutPrefix(line, "#tb 0: "); ok {
				if _, err := fmt.Sscanf(tb, "%d/%d", &num, &den); err != nil || den <= 0 {
					return nil, fmt.Errorf("time base %q", tb)
				}
			}
			continue
		}
		fields := strings.Split(line, ",")
		if len(fields) < 6 {
			return nil, fmt.Errorf("framecrc line %q", line)
		}
		pts, err1 := strconv.ParseInt(strings.TrimSpace(fields[2]), 10, 64)
		size, err2 := strconv.Atoi(strings.TrimSpace(fields[4]))
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("framecrc line %q: %w", line, err)
		}
		out = append(out, stamp{time.Duration(math.Round(float64(pts*num) * 1e9 / float64(den))), size})
	}
	return out, in.Err()
}

func floats(r io.Reader) ([]float32, error) {
	b, err := io.ReadAll(r)
	out := make([]float32, len(b)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return out, err
}
