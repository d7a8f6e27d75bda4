package spool_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tapedeck/internal/spool"
)

func TestSession(t *testing.T) {
	d := newDir(t)
	var got map[string]int
	if err := d.ReadSession(&got); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("before it was written: %v", err)
	}
	for i := range 2 {
		if err := d.WriteSession(map[string]int{"n": i}); err != nil {
			t.Fatal(err)
		}
		if err := d.ReadSession(&got); err != nil || got["n"] != i {
			t.Errorf("%v, %v", got, err)
		}
	}
	st, err := os.Stat(filepath.Join(d.Path(), "session.json"))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
}

func TestFolders(t *testing.T) {
	root := filepath.Join(t.TempDir(), "a", "b")
	if sids, err := spool.List(root); err != nil || sids != nil {
		t.Errorf("of nothing: %v, %v", sids, err)
	}
	if _, err := spool.Open(root, sid); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("open before create: %v", err)
	}
	for _, bad := range []string{"", ".", "..", "a/b", "../a", "x\x00", "\xff", "a\n", strings.Repeat("x", 300)} {
		if _, err := spool.Create(root, bad); !errors.Is(err, spool.ErrName) {
			t.Errorf("create %q: %v", bad, err)
		}
	}
	for _, id := range []string{"b", "a"} {
		if _, err := spool.Create(root, id); err != nil {
			t.Fatal(err)
		}
	}
	d, err := spool.At(filepath.Join(root, "a") + "/")
	if err != nil || d.SID() != "a" {
		t.Fatal(d, err)
	}
	if st, err := os.Stat(d.Path()); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if _, err := d.Replace("x.m3u8", []byte("x")); err != nil {
		t.Fatal(err)
	}
	// A crash in the middle of Remove: the folder has its new name only.
	if err := os.Rename(filepath.Join(root, "b"), filepath.Join(root, ".b.gone")); err != nil {
		t.Fatal(err)
	}
	if sids, err := spool.List(root); err != nil || !slices.Equal(sids, []string{"a"}) {
		t.Errorf("%v, %v", sids, err)
	}
	for range 2 {
		if err := d.Remove(); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(root); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if n, err := spool.Free(root); err != nil || n == 0 {
		t.Errorf("free: %d, %v", n, err)
	}
	if err := spool.Writable(filepath.Join(root, "new")); err != nil {
		t.Error(err)
	}
}

// TestSettle puts the folder into the states a crash can leave.
func TestSettle(t *testing.T) {
	d := newDir(t)
	j, _ := openJournal(t, d)
	files := filepath.Dir(d.FilePath("x"))
	for _, name := range []string{"closed.ts", "renamed.ts", "renamed.mp4", "open.ts.part", "torn.m3u8.tmp", "fresh.m3u8", "report.json"} {
		if err := os.WriteFile(filepath.Join(files, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Append(spool.Fact{Type: spool.FactClosed, Name: "closed.ts"}); err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
	openJournal(t, d)
	parts, err := d.Parts()
	if want := []string{"open.ts", "renamed.mp4", "renamed.ts"}; err != nil || !slices.Equal(parts, want) {
		t.Errorf("parts %v, %v", parts, err)
	}
	var left []string
	entries, _ := os.ReadDir(files)
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".part") {
			left = append(left, e.Name())
		}
	}
	if want := []string{"closed.ts", "fresh.m3u8", "report.json"}; !slices.Equal(left, want) {
		t.Errorf("left %v", left)
	}
}

func TestOpenFile(t *testing.T) {
	d := newDir(t)
	if _, err := d.Replace("real.ts", []byte("content")); err != nil {
		t.Fatal(err)
	}
	f, err := d.OpenFile("real.ts")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(f); err != nil || string(b) != "content" {
		t.Errorf("%q, %v", b, err)
	}
	_ = f.Close()
	secret := filepath.Join(d.Path(), "session.json")
	if err := os.WriteFile(secret, []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, d.FilePath("link.ts")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(d.FilePath("dir.ts"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"link.ts", "dir.ts", "../session.json", "missing.ts", ""} {
		if f, err := d.OpenFile(name); err == nil {
			_ = f.Close()
			t.Errorf("%q was opened", name)
		}
	}
	if _, err := os.Stat(d.FilePath("../session.json")); err == nil {
		t.Error("a name leads out of the folder")
	}
}
