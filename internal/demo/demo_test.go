package demo

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/review"
)

// TestForgetRemovesOnlyItsOwn proves that a second run takes away what the first
// one left, by name, and nothing else.
func TestForgetRemovesOnlyItsOwn(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	there := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return !errors.Is(err, fs.ErrNotExist)
	}
	d := &demo{opts: Options{Out: dir}}
	write("mix/holiday.ts", "mine")
	if err := d.forget(); err != nil || !there("mix/holiday.ts") {
		t.Fatalf("without a summary: %v", err)
	}
	write("mix/a.ts", "old")
	write(sheetName, "old")
	sum := &summary{Stored: []string{"mix/a.ts", "mix/gone.ts"}}
	if err := sum.write(dir); err != nil {
		t.Fatal(err)
	}
	if err := d.forget(); err != nil {
		t.Fatal(err)
	}
	if !there("mix/holiday.ts") || there("mix/a.ts") || there(sheetName) || there(summaryName) {
		t.Error("the wrong files are left")
	}
	write("outside", "mine")
	d.opts.Out = filepath.Join(dir, "mix")
	sum.Stored = []string{"../outside"}
	if err := sum.write(d.opts.Out); err != nil {
		t.Fatal(err)
	}
	if err := d.forget(); err == nil || !there("outside") {
		t.Errorf("a file outside the folder was removed: %v", err)
	}
	write("mix/"+summaryName, "not JSON")
	if err := d.forget(); err == nil {
		t.Error("a summary.json of somebody else was taken for ours")
	}
}

func TestSummary(t *testing.T) {
	const sid = "0123456789abcdef0123456789abcdef"
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	d := &demo{began: began, tasks: newTasks()}
	for _, k := range d.tasks {
		k.SID, k.answered, k.stopIn = sid, began, 300*time.Millisecond
	}
	offset := probe.Sync{Count: 9, Start: 12 * time.Millisecond, End: -3 * time.Millisecond, Median: 8 * time.Millisecond}
	worse := offset
	worse.Median = -20 * time.Millisecond
	results := []*review.Result{
		{
			Files: []review.File{{
				Name: "mix/" + sid + "_demo.m3u8", Slices: 2, Start: began.Add(150 * time.Millisecond), Duration: 30 * time.Second, Codecs: "h264+aac", Size: 5 << 20,
				Sync: []review.UserSync{{UID: 101, Sync: offset}, {UID: 102, Sync: worse}},
			}},
			Users: []review.Seen{{UID: 101, Where: "mix", Flashes: 30, Beeps: 30, Sync: &offset}},
		},
		{Users: []review.Seen{{UID: 104, Where: "individual", Problems: []string{"stay 2 has no beep"}}}},
	}
	sum := d.summarize([]string{"mix/a"}, results)
	if sum.OK || len(sum.Problems) != 1 || sum.Tasks[0].FirstFrame != 150 || sum.Tasks[0].StopMS != 300 {
		t.Errorf("%+v", sum)
	}
	var out strings.Builder
	sum.print(&out)
	for _, want := range []string{"mix/012345*_demo.m3u8", "30.00 s", "5.2 MB", "-20.0 ms (102)", "+12.0 ms", "1 PROBLEMS", "problem: user 104 in individual: stay 2 has no beep"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	b, err := json.Marshal(sum)
	if err != nil || !strings.Contains(string(b), `"first_frame_ms":150`) {
		t.Errorf("%v: %s", err, b)
	}
}

func TestTooShort(t *testing.T) {
	if err := Run(t.Context(), Options{Out: t.TempDir(), Duration: time.Second}); err == nil {
		t.Error("a demo of one second was run")
	}
}
