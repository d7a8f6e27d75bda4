package local_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tapedeck/internal/upload/local"
	"tapedeck/internal/upload/vendor"
)

func object(key string, n int) vendor.Object { return vendor.Object{Key: key, Size: int64(n)} }

// TestEscape: no bucket and no key leads out of the folder.
func TestEscape(t *testing.T) {
	root := filepath.Join(t.TempDir(), "store")
	for _, bucket := range []string{"", ".", "..", "../x", "a/b", "/etc", "a\\b", "a\x00", ".tapedeck-x", strings.Repeat("b", 256)} {
		if _, err := local.New(root, bucket); vendor.FaultOf(err) != vendor.Caller || err == nil {
			t.Errorf("bucket %q: %v", bucket, err)
		}
	}
	if _, err := local.New("relative", "bucket"); err == nil || vendor.FaultOf(err) != vendor.Ours {
		t.Errorf("relative folder: %v", err)
	}
	st, err := local.New(root, "bucket")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"", ".", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/", "a/./b", "a\\..\\b", "a\x00b", ".tapedeck-0", strings.Repeat("k", 256),
		strings.Repeat("k/", 600),
	} {
		_, err := st.Put(t.Context(), object(key, 1), strings.NewReader("x"))
		if err == nil || vendor.FaultOf(err) != vendor.Caller {
			t.Errorf("put %q: %v", key, err)
		}
		if _, err := st.Get(t.Context(), key); err == nil {
			t.Errorf("get %q", key)
		}
		if _, err := st.Stat(t.Context(), key); err == nil {
			t.Errorf("stat %q", key)
		}
		if err := st.Delete(t.Context(), key); err == nil || vendor.FaultOf(err) != vendor.Caller {
			t.Errorf("delete %q: %v", key, err)
		}
	}
	if _, err := os.Stat(root); err == nil {
		t.Error("refused keys left something behind")
	}
}

// TestLinks: a symbolic link in the bucket does not lead out of it either.
func TestLinks(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "bucket"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(root, "bucket", "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	st, err := local.New(root, "bucket")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Put(t.Context(), object("link/x", 1), strings.NewReader("x")); err == nil {
		t.Error("put through a link")
	}
	if _, err := st.Get(t.Context(), "link/secret"); err == nil {
		t.Error("get through a link")
	}
	if left, _ := os.ReadDir(outside); len(left) != 1 {
		t.Errorf("outside: %v", left)
	}
}

func TestModes(t *testing.T) {
	root := filepath.Join(t.TempDir(), "a", "b")
	st, err := local.New(root, "bucket")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Put(t.Context(), object("d/f.ts", 1), strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{"": 0o700, "bucket": 0o700, "bucket/d": 0o700, "bucket/d/f.ts": 0o600} {
		if i, err := os.Stat(filepath.Join(root, path)); err != nil || i.Mode().Perm() != want {
			t.Errorf("%q: %v, %v", path, i.Mode(), err)
		}
	}
}

// TestLeftOver: what a killed upload left behind is neither listed nor in the
// way, and is gone after the next try.
func TestLeftOver(t *testing.T) {
	root := t.TempDir()
	st, err := local.New(root, "bucket")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "bucket")
	var tmp string
	body := readerAt(func(b []byte, _ int64) (int, error) {
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 {
			t.Errorf("during the upload: %v, %v", entries, err)
			return 0, os.ErrInvalid
		}
		tmp = entries[0].Name()
		// Somebody else at the same key has to wait.
		_, err = st.Put(t.Context(), object("f.ts", 1), strings.NewReader("y"))
		if vendor.FaultOf(err) != vendor.Destination || err == nil {
			t.Errorf("a second writer: %v", err)
		}
		clear(b)
		return len(b), nil
	})
	if _, err := st.Put(t.Context(), object("f.ts", 3), body); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, tmp), []byte("torn, and longer than what comes"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := st.List(t.Context(), "", func(vendor.Info) bool { n++; return true }); err != nil || n != 1 {
		t.Errorf("%d listed, %v", n, err)
	}
	if _, err := st.Put(t.Context(), object("f.ts", 3), strings.NewReader("new")); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "f.ts"))
	entries, _ := os.ReadDir(dir)
	if err != nil || !bytes.Equal(got, []byte("new")) || len(entries) != 1 {
		t.Errorf("%q, %v, %v", got, err, entries)
	}
}

type readerAt func([]byte, int64) (int, error)

func (f readerAt) ReadAt(b []byte, off int64) (int, error) { return f(b, off) }
