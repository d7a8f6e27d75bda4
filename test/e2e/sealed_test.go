package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/testkit/cast"
	"tapedeck/internal/testkit/clips"
	"tapedeck/internal/testkit/probe"
)

// TestCrashEncryptedSpool records with spool.encrypt and kills the worker: the
// spool never has anything in the clear, the store has a recording that plays.
func TestCrashEncryptedSpool(t *testing.T) {
	s := serveWith(t, "spool: {encrypt: true}\n")
	c, err := cast.Prepare(t.Context(), clips.Cast()[:1])
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Join(t.Context(), s.Creds, "room"); err != nil {
		t.Fatal(err)
	}
	defer c.Leave()
	task := s.begin(session.Mix, "room", "1", mixOptions("b", 640, 360, 30))
	folder := filepath.Join(s.data, "spool", task.SID, "files")
	// Beyond the header of an encrypted file and the first fragments of an MP4.
	s.eventually("both files are being written", 20*time.Second, func() bool {
		return written(t, folder, "*.ts*") > 64<<10 && written(t, folder, "*.mp4*") > 64<<10
	})
	inTheClear(t, folder)
	old := workers(task.SID)
	if len(old) != 1 {
		t.Fatalf("workers %v", old)
	}
	if err := syscall.Kill(old[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.eventually("a new worker runs", 10*time.Second, func() bool {
		now := workers(task.SID)
		return len(now) == 1 && now[0] != old[0]
	})
	if err := wait(t.Context(), 6*time.Second); err != nil {
		t.Fatal(err)
	}
	inTheClear(t, folder)
	st, err := s.Stop(t.Context(), task, false)
	if err != nil {
		t.Fatal(err)
	}
	s.noWorkers()
	if len(st.Files) != 3 {
		t.Errorf("files %v, want a playlist and two MP4s", st.Files)
	}
	for _, f := range st.Files {
		if err := probe.Clean(t.Context(), filepath.Join(s.store("b"), f.Name)); err != nil {
			t.Error(err)
		}
	}
}

// written is the size of the largest file of a folder that fits a pattern.
func written(t *testing.T, folder, pattern string) int64 {
	t.Helper()
	_, size := largest(t, folder, pattern)
	return size
}

// largest is the largest file of a folder that fits a pattern.
func largest(t *testing.T, folder, pattern string) (path string, size int64) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, pattern))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		if st, err := os.Stat(p); err == nil && st.Size() >= size {
			path, size = p, st.Size()
		}
	}
	return path, size
}

// inTheClear fails the test for every file of a spool folder that can be read.
func inTheClear(t *testing.T, folder string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			continue // shipped meanwhile
		}
		for _, mark := range []string{"#EXT", "ftypis", "moof", "x264", "\x47\x40\x00"} {
			at := bytes.Index(b[:min(len(b), 64<<10)], []byte(mark))
			if at >= 0 && (len(mark) > 3 || at == 0) {
				t.Errorf("%s has %q at %d", e.Name(), mark, at)
			}
		}
		if !strings.HasPrefix(string(b), "TDSPOOL\x00") {
			t.Errorf("%s is no encrypted file", e.Name())
		}
	}
}
