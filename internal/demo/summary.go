package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/review"
)

const (
	summaryName = "summary.json"
	sheetName   = "contact-sheet.png"
)

// summary is summary.json. Times ending in _ms are milliseconds.
type summary struct {
	OK       bool          `json:"ok"`
	Began    time.Time     `json:"began"`
	Seconds  float64       `json:"seconds"` // of the whole demo so far
	Room     string        `json:"room"`
	Tasks    []taskSummary `json:"tasks"`
	Files    []fileSummary `json:"files"`
	Users    []userSummary `json:"users"`
	Problems []string      `json:"problems"`
	Stored   []string      `json:"stored"` // every file below the output folder
}

type taskSummary struct {
	Mode       string  `json:"mode"`
	SID        string  `json:"sid"`
	StartMS    float64 `json:"start_ms"`       // start: request to answer
	FirstFrame float64 `json:"first_frame_ms"` // answer of start to the first recorded frame
	StopMS     float64 `json:"stop_ms"`        // stop: request until every file is stored
}

type fileSummary struct {
	Name     string        `json:"name"`
	Slices   int           `json:"slices,omitempty"`
	Seconds  float64       `json:"seconds"`
	Codecs   string        `json:"codecs"`
	Bytes    int64         `json:"bytes"` // slices included
	Sync     []syncSummary `json:"av_offset,omitempty"`
	Problems []string      `json:"problems,omitempty"`
	shown    string        // for the table
	worst    string
}

// syncSummary is the distance of beep from flash; positive = sound late.
type syncSummary struct {
	UID     uint32  `json:"uid"`
	Start   float64 `json:"start_ms"`
	End     float64 `json:"end_ms"`
	Median  float64 `json:"median_ms"`
	Lowest  float64 `json:"lowest_ms"`
	Highest float64 `json:"highest_ms"`
	Count   int     `json:"count"`
}

type userSummary struct {
	UID      uint32       `json:"uid"`
	Where    string       `json:"where"`
	Flashes  int          `json:"flashes"`
	Beeps    int          `json:"beeps"`
	Sync     *syncSummary `json:"av_offset,omitempty"`
	Lags     []float64    `json:"lag_ms"` // per stay: recorded moment minus sent moment
	Problems []string     `json:"problems,omitempty"`
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func syncOf(uid uint32, s probe.Sync) syncSummary {
	return syncSummary{uid, ms(s.Start), ms(s.End), ms(s.Median), ms(s.Lowest), ms(s.Highest), s.Count}
}

func (d *demo) summarize(stored []string, results []*review.Result) *summary {
	sum := &summary{Began: d.began.UTC(), Seconds: time.Since(d.began).Seconds(), Room: room, Stored: stored, Problems: []string{}}
	for i, r := range results {
		t := d.tasks[i]
		slices.SortFunc(r.Files, func(a, b review.File) int { return strings.Compare(a.Name, b.Name) })
		var first time.Time
		for _, f := range r.Files {
			if !f.Start.IsZero() && (first.IsZero() || f.Start.Before(first)) {
				first = f.Start
			}
			sum.Files = append(sum.Files, fileOf(f, t.SID))
		}
		for _, u := range r.Users {
			sum.Users = append(sum.Users, userOf(u))
		}
		sum.Problems = append(sum.Problems, r.Problems()...)
		sum.Tasks = append(sum.Tasks, taskSummary{
			Mode: string(t.Mode), SID: t.SID, StartMS: ms(t.startIn), FirstFrame: ms(first.Sub(t.answered)), StopMS: ms(t.stopIn),
		})
	}
	sum.OK = len(sum.Problems) == 0
	return sum
}

func fileOf(f review.File, sid string) fileSummary {
	// The table shows a name that a shell completes.
	out := fileSummary{
		Name: f.Name, Slices: f.Slices, Seconds: f.Duration.Seconds(), Codecs: f.Codecs, Bytes: f.Size, Problems: f.Problems,
		shown: strings.Replace(f.Name, sid, sid[:min(6, len(sid))]+"*", 1), worst: "-",
	}
	for _, s := range f.Sync {
		out.Sync = append(out.Sync, syncOf(s.UID, s.Sync))
	}
	if w, ok := f.Worst(); ok {
		out.worst = fmt.Sprintf("%+.1f ms", ms(w.Median))
		if len(f.Sync) > 1 {
			out.worst += fmt.Sprintf(" (%d)", w.UID)
		}
	}
	return out
}

func userOf(u review.Seen) userSummary {
	out := userSummary{UID: u.UID, Where: u.Where, Flashes: u.Flashes, Beeps: u.Beeps, Problems: u.Problems, Lags: []float64{}}
	if u.Sync != nil {
		s := syncOf(u.UID, *u.Sync)
		out.Sync = &s
	}
	for _, l := range u.Lags {
		out.Lags = append(out.Lags, ms(l))
	}
	return out
}

// print shows the tables.
func (s *summary) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { _, _ = fmt.Fprintln(t, strings.Join(cells, "\t")) }
	gap := func() { _ = t.Flush(); _, _ = fmt.Fprintln(w) } // each table has widths of its own
	gap()
	row("FILE", "SLICES", "DURATION", "CODECS", "SIZE", "A/V OFFSET", "VERDICT")
	for _, f := range s.Files {
		count := "-"
		if f.Slices > 0 {
			count = fmt.Sprint(f.Slices)
		}
		row(f.shown, count, fmt.Sprintf("%.2f s", f.Seconds), f.Codecs, bytes(f.Bytes), f.worst, okOr(f.Problems))
	}
	gap()
	row("USER", "IN", "FLASHES", "BEEPS", "A/V START", "A/V END", "VERDICT")
	for _, u := range s.Users {
		start, end := "-", "-"
		if u.Sync != nil {
			start, end = fmt.Sprintf("%+.1f ms", u.Sync.Start), fmt.Sprintf("%+.1f ms", u.Sync.End)
		}
		row(fmt.Sprint(u.UID), u.Where, fmt.Sprint(u.Flashes), fmt.Sprint(u.Beeps), start, end, okOr(u.Problems))
	}
	gap()
	row("RECORDING", "START ANSWERED", "FIRST FRAME AFTER", "STOP TO FILES FINAL")
	for _, k := range s.Tasks {
		row(k.Mode, fmt.Sprintf("%.0f ms", k.StartMS), fmt.Sprintf("%.0f ms", k.FirstFrame), fmt.Sprintf("%.0f ms", k.StopMS))
	}
	gap()
	for _, p := range s.Problems {
		_, _ = fmt.Fprintln(w, "problem:", p)
	}
}

func okOr(problems []string) string {
	if len(problems) == 0 {
		return "ok"
	}
	return fmt.Sprintf("%d PROBLEMS", len(problems))
}

func bytes(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.0f kB", float64(n)/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

func (s *summary) write(out string) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, summaryName), append(b, '\n'), 0o644)
}

// forget removes the files of the run before, by the names in its summary.
func (d *demo) forget() error {
	path := filepath.Join(d.opts.Out, summaryName)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var last summary
	if err := json.Unmarshal(b, &last); err != nil {
		return fmt.Errorf("%s is not from a demo: %w", path, err)
	}
	for _, name := range append(last.Stored, sheetName, summaryName) {
		if !filepath.IsLocal(name) {
			return fmt.Errorf("%s names a file outside its folder: %s", path, name)
		}
		if err := os.Remove(filepath.Join(d.opts.Out, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
