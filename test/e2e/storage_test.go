package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/testkit/cast"
	"tapedeck/internal/testkit/client"
	"tapedeck/internal/testkit/clips"
)

// TestCrashOfAStore records while the caller's store takes nothing. The files go
// to the backup store, stop says so, and when the store is back and the operator
// asks for it they are moved home. The caller's secret is on no disk in clear.
func TestCrashOfAStore(t *testing.T) {
	backup := t.TempDir()
	s := launch(t, fmt.Sprintf("backup: {bucket: kept, endpoint: %q, prefix: tapedeck, after: 2s}\n", "file://"+backup), nil)
	creds, err := client.ReadCredentials(s.data)
	if err != nil {
		t.Fatal(err)
	}
	s.Creds = creds
	if err := os.MkdirAll(filepath.Dir(s.store("b")), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.store("b"), []byte("in the way of the bucket"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := cast.Prepare(t.Context(), clips.Cast()[:1])
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Join(t.Context(), s.Creds, "room"); err != nil {
		t.Fatal(err)
	}
	defer c.Leave()
	task := s.begin(session.Mix, "room", "1", mixOptions("b", 320, 180, 15))
	if err := wait(t.Context(), 4*time.Second); err != nil {
		t.Fatal(err)
	}
	st, err := s.Stop(t.Context(), task, false)
	if err != nil {
		t.Fatal(err)
	}
	if st.Uploading != session.UploadBackuped || len(st.Files) < 2 {
		t.Errorf("stop: %q, files %v", st.Uploading, st.Files)
	}
	kept := stored(t, backup)
	if len(kept) < 3 {
		t.Fatalf("in the backup store: %q", kept)
	}
	tool := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(binary(t), append([]string{"spool", args[0], "--data", s.data}, args[1:]...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if said := tool("show", task.SID); strings.Count(said, "\nbackup ") != len(kept) {
		t.Errorf("spool show:\n%s", said)
	}
	if err := os.Remove(s.store("b")); err != nil {
		t.Fatal(err)
	}
	tool("retry", task.SID)
	s.eventually("the files come home", 60*time.Second, func() bool { return len(stored(t, backup)) == 0 })
	home := stored(t, s.store("b"))
	forwarded := 0
	for _, name := range home {
		if regexp.MustCompile(`_\d{11}_0\.m3u8$`).MatchString(name) {
			forwarded++
		}
	}
	if len(home) != len(kept) || forwarded != 1 {
		t.Errorf("at home %q, before in the backup store %q", home, kept)
	}
	inClear(t, s.data, "not-to-be-seen")
}

// inClear looks for a secret in every file below dir.
func inClear(t *testing.T, dir, secret string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // it went meanwhile
		}
		if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, []byte(secret)) {
			t.Errorf("a secret is in %s", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
