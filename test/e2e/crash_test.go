package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/testkit/cast"
	"tapedeck/internal/testkit/clips"
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/review"
)

// longestGap is how much of a recording may be lost when its worker is killed.
const longestGap = 2 * time.Second

// TestCrashWorkerKilled kills the worker in the middle of its second slice.
func TestCrashWorkerKilled(t *testing.T) {
	s := serve(t)
	c, err := cast.Prepare(t.Context(), clips.Cast()[:2])
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Join(t.Context(), s.Creds, "room"); err != nil {
		t.Fatal(err)
	}
	defer c.Leave()
	task := s.begin(session.Mix, "room", "1", mixOptions("b", 640, 360, 30))
	if err := wait(t.Context(), 19*time.Second); err != nil {
		t.Fatal(err)
	}
	before := spooled(t, s, task.SID)
	if len(before) == 0 {
		t.Fatal("no slice was closed before the cut")
	}
	old := workers(task.SID)
	if len(old) != 1 {
		t.Fatalf("workers %v", old)
	}
	killed := time.Now()
	if err := syscall.Kill(old[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.eventually("a new worker runs", 10*time.Second, func() bool {
		now := workers(task.SID)
		return len(now) == 1 && now[0] != old[0]
	})
	inClear(t, s.data, "not-to-be-seen")
	if err := wait(t.Context(), 8*time.Second); err != nil {
		t.Fatal(err)
	}
	st, err := s.Stop(t.Context(), task, false)
	if err != nil {
		t.Fatal(err)
	}
	s.noWorkers()

	var playlist string
	var mp4s []string
	for _, f := range st.Files {
		if strings.HasSuffix(f.Name, ".mp4") {
			mp4s = append(mp4s, f.Name)
		} else {
			playlist = f.Name
		}
	}
	if playlist == "" || len(mp4s) != 2 {
		t.Fatalf("files %v, want a playlist and an MP4 of before and after", st.Files)
	}
	across(t, s.store("b"), playlist, before, killed)
	together(t, s.store("b"), playlist)
	for _, name := range append(mp4s, playlist) {
		if err := probe.Clean(t.Context(), filepath.Join(s.store("b"), name)); err != nil {
			t.Error(err)
		}
	}
	plays(t, s.store("b"), playlist)
}

// spooled lists the slices that the playlist in the spool names.
func spooled(t *testing.T, s *server, sid string) []string {
	t.Helper()
	lists, err := filepath.Glob(filepath.Join(s.data, "spool", sid, "files", "*.m3u8"))
	if err != nil || len(lists) != 1 {
		t.Fatalf("playlists %q, %v", lists, err)
	}
	p, err := probe.ReadPlaylist(lists[0])
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range p.Slices {
		names = append(names, s.Name)
	}
	return names
}

// together measures picture against sound on both sides of the cut.
func together(t *testing.T, dir, name string) {
	t.Helper()
	p, err := probe.ReadPlaylist(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	var runs [][]string
	for i, s := range p.Slices {
		if i == 0 || s.Discontinuity {
			runs = append(runs, nil)
		}
		runs[len(runs)-1] = append(runs[len(runs)-1], filepath.Join(dir, filepath.Dir(name), s.Name))
	}
	for n, run := range runs {
		w, err := probe.Watch(t.Context(), []probe.Segment{probe.Concat(run)}, review.BestFit(2)...)
		if err != nil {
			t.Fatal(err)
		}
		if len(w.Warnings) > 0 {
			t.Errorf("run %d: decoding: %q", n+1, w.Warnings)
		}
		for i, u := range clips.Cast()[:2] {
			sum, ok := probe.SyncOf(probe.Offsets(w.Flashes(i), w.Beeps(u.Tone)))
			t.Logf("run %d, user %d: A/V %v", n+1, u.UID, sum)
			if !ok {
				t.Errorf("run %d, user %d: %d flashes with a beep", n+1, u.UID, sum.Count)
			} else if err := sum.Within(review.SyncLimit); err != nil {
				t.Errorf("run %d, user %d: %v", n+1, u.UID, err)
			}
			if len(w.Broken(i)) > 0 {
				t.Errorf("run %d, user %d: broken pictures", n+1, u.UID)
			}
		}
	}
}

// across judges the playlist that goes over the cut.
func across(t *testing.T, dir, name string, before []string, killed time.Time) {
	t.Helper()
	p, err := probe.ReadPlaylist(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if !p.Ended {
		t.Error("the playlist does not end")
	}
	var names []string
	cuts := 0
	for i, s := range p.Slices {
		names = append(names, s.Name)
		packets, err := probe.Packets(t.Context(), filepath.Join(dir, filepath.Dir(name), s.Name))
		if err != nil {
			t.Fatal(err)
		}
		span, ok := probe.SpanOf(packets, "video")
		if !ok || !span.KeyFirst {
			t.Errorf("%s does not begin with a key frame", s.Name)
		}
		t.Logf("%s: %v, discontinuity %v, video %v", s.Name, s.Duration, s.Discontinuity, span.Length())
		if i == 0 {
			continue
		}
		gap := s.UTC.Sub(p.Slices[i-1].UTC.Add(p.Slices[i-1].Duration))
		switch {
		case s.Discontinuity:
			cuts++
			t.Logf("the kill cost %v: %v before it and %v after it", gap, gap-s.UTC.Sub(killed), s.UTC.Sub(killed))
			if gap < 0 || gap > longestGap {
				t.Errorf("%v are missing at the cut, at most %v may", gap, longestGap)
			}
		case gap.Abs() > 2*time.Millisecond:
			t.Errorf("%s begins %v after the slice before it", s.Name, gap)
		}
	}
	if cuts != 1 {
		t.Errorf("%d discontinuities after the start, want 1", cuts)
	}
	for _, b := range before {
		if !slices.Contains(names, b) {
			t.Errorf("%s was closed before the cut and is not listed", b)
		}
		if _, err := os.Stat(filepath.Join(dir, filepath.Dir(name), b)); err != nil {
			t.Error(err)
		}
	}
}
