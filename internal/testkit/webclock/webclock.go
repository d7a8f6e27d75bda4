// Package webclock reads back what a recording holds of the test page that
// shows a millisecond clock as a bar of 32 bits at its top and bottom, and
// beeps at every whole second (internal/webpage/testdata).
package webclock

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"math"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// Frame is one picture.
type Frame struct {
	At    float64 // s in the file
	Clock int     // ms of the page, modulo 16 000 000
	OK    bool    // the bars can be read
	Torn  bool    // top and bottom differ
}

// Result is what a file holds.
type Result struct {
	Frames []Frame
	Beeps  []float64 // s in the file
	// Offsets are how late each beep is, in ms, by the clock in the pictures.
	Offsets []float64
	Peak    float64 // largest sample
}

// Read looks at a file or playlist.
func Read(ctx context.Context, path string) (*Result, error) {
	r := &Result{}
	var err error
	if r.Frames, err = frames(ctx, path); err != nil {
		return nil, err
	}
	if err := r.sound(ctx, path); err != nil {
		return nil, err
	}
	r.compare()
	return r, nil
}

// times lists when a stream's frames are shown.
func times(ctx context.Context, path, stream string) ([]float64, error) {
	out, err := exec.CommandContext(ctx, "ffprobe", "-v", "error", "-select_streams", stream, "-show_entries",
		"frame=best_effort_timestamp_time", "-of", "csv=p=0", path).Output()
	if err != nil {
		return nil, fmt.Errorf("webclock: %w", err)
	}
	c := csv.NewReader(bytes.NewReader(out))
	c.FieldsPerRecord = -1
	rows, err := c.ReadAll()
	var list []float64
	for _, row := range rows {
		if t, err := strconv.ParseFloat(strings.TrimSpace(row[0]), 64); err == nil {
			list = append(list, t)
		}
	}
	return list, err
}

func frames(ctx context.Context, path string) ([]Frame, error) {
	at, err := times(ctx, path, "v:0")
	if err != nil {
		return nil, err
	}
	const filter = "split[a][b];[a]crop=iw:16:0:4,scale=32:1:flags=area[t];[b]crop=iw:16:0:ih-20,scale=32:1:flags=area[u];[t][u]vstack,format=gray"
	out, err := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-i", path, "-an", "-filter_complex", filter, "-vsync", "passthrough", "-f", "rawvideo", "-").Output()
	if err != nil {
		return nil, fmt.Errorf("webclock: decode %s: %w", path, err)
	}
	if len(out) != 64*len(at) {
		return nil, fmt.Errorf("webclock: %d pictures and %d times in %s", len(out)/64, len(at), path)
	}
	list := make([]Frame, len(at))
	for i := range list {
		a, okA := bits(out[64*i:][:32])
		b, okB := bits(out[64*i+32:][:32])
		list[i] = Frame{At: at[i], Clock: a, OK: okA && okB, Torn: okA && okB && a != b}
	}
	return list, nil
}

// bits reads a bar: 24 bits of clock, 8 of checksum.
func bits(row []byte) (ms int, ok bool) {
	var v uint32
	for _, g := range row {
		v <<= 1
		if g > 127 {
			v |= 1
		}
	}
	n := v >> 8
	return int(n), byte(v) == 0x5a^byte(n)^byte(n>>8)^byte(n>>16)
}

func (r *Result) sound(ctx context.Context, path string) error {
	at, err := times(ctx, path, "a:0")
	if err != nil || len(at) == 0 {
		return fmt.Errorf("webclock: no sound in %s: %w", path, err)
	}
	out, err := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-i", path, "-vn", "-ac", "1", "-ar", "48000", "-f", "f32le", "-").Output()
	if err != nil {
		return fmt.Errorf("webclock: decode %s: %w", path, err)
	}
	quiet := 48000
	for i := 0; i+4 <= len(out); i += 4 {
		v := math.Abs(float64(math.Float32frombits(binary.LittleEndian.Uint32(out[i:]))))
		r.Peak = max(r.Peak, v)
		if v < 0.1 {
			quiet++
			continue
		}
		if quiet > 48000/5 {
			r.Beeps = append(r.Beeps, at[0]+float64(i/4)/48000)
		}
		quiet = 0
	}
	return nil
}

// compare tells how late the beeps are. The page draws its clock at any moment
// of a picture's time: the median of all pictures is what counts.
func (r *Result) compare() {
	var base []float64
	for _, f := range r.Frames {
		if f.OK {
			base = append(base, float64(f.Clock)-1000*f.At)
		}
	}
	if len(base) == 0 {
		return
	}
	slices.Sort(base)
	mid := base[len(base)/2]
	for _, b := range r.Beeps {
		clock := 1000*b + mid
		r.Offsets = append(r.Offsets, clock-1000*math.Round(clock/1000))
	}
}

// Unique returns how many different clocks there are for each second from the
// first to the last picture, how many pictures were torn, and the longest time
// without a new clock in ms.
func (r *Result) Unique() (rate float64, torn int, gap float64) {
	var first, last Frame
	n := 0
	for _, f := range r.Frames {
		if f.Torn {
			torn++
		}
		if !f.OK || (n > 0 && f.Clock == last.Clock) {
			continue
		}
		if n == 0 {
			first = f
		} else {
			gap = max(gap, float64(f.Clock-last.Clock))
		}
		last = f
		n++
	}
	if n < 2 {
		return 0, torn, gap
	}
	return float64(n-1) / (last.At - first.At), torn, gap
}

// Median is the middle offset of the beeps, ms.
func (r *Result) Median() float64 {
	if len(r.Offsets) == 0 {
		return math.NaN()
	}
	s := slices.Clone(r.Offsets)
	slices.Sort(s)
	return s[len(s)/2]
}
