package keyring

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func key(b byte) []byte { return bytes.Repeat([]byte{b}, KeyLen) }

func ring(t testing.TB, current uint16, keys map[uint16][]byte) *Ring {
	t.Helper()
	r, err := New(current, keys)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSealOpen(t *testing.T) {
	r := ring(t, 7, map[uint16][]byte{7: key(1)})
	for _, plain := range []string{"", "x", strings.Repeat("long ", 1000)} {
		sealed := r.Seal([]byte("purpose"), []byte(plain))
		if len(sealed) != len(plain)+Overhead {
			t.Errorf("%d bytes sealed to %d, want %d more", len(plain), len(sealed), Overhead)
		}
		got, err := r.Open([]byte("purpose"), sealed)
		if err != nil || string(got) != plain {
			t.Errorf("opened %q, %v; want %q", got, err, plain)
		}
		if len(plain) > 8 && bytes.Contains(sealed, []byte(plain)) {
			t.Error("the plain text is in the sealed value")
		}
	}
	if a, b := r.Seal(nil, []byte("same")), r.Seal(nil, []byte("same")); bytes.Equal(a, b) {
		t.Error("two seals of the same text are equal")
	}
}

func TestAppendSealKeepsWhatIsThere(t *testing.T) {
	r := ring(t, 1, map[uint16][]byte{1: key(1)})
	for _, spare := range []int{0, 10, 500} {
		dst := append(make([]byte, 0, 5+spare), "front"...)
		out := r.AppendSeal(dst, []byte("aad"), []byte("plain"))
		if string(out[:5]) != "front" {
			t.Fatalf("front became %q", out[:5])
		}
		if got, err := r.Open([]byte("aad"), out[5:]); err != nil || string(got) != "plain" {
			t.Errorf("with %d spare bytes: %q, %v", spare, got, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	r := ring(t, 1, map[uint16][]byte{1: key(1)})
	sealed := r.Seal([]byte("a"), []byte("secret"))
	refused := func(name string, r *Ring, aad string, value []byte) {
		t.Helper()
		if plain, err := r.Open([]byte(aad), value); !errors.Is(err, ErrOpen) || plain != nil {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
	}
	refused("another purpose", r, "b", sealed)
	refused("another key", ring(t, 1, map[uint16][]byte{1: key(2)}), "a", sealed)
	refused("the same key under another id", ring(t, 2, map[uint16][]byte{2: key(1)}), "a", sealed)
	for n := range sealed {
		refused("cut", r, "a", sealed[:n])
		for bit := range 8 {
			changed := bytes.Clone(sealed)
			changed[n] ^= 1 << bit
			refused("changed", r, "a", changed)
		}
	}
	refused("longer", r, "a", append(bytes.Clone(sealed), 0))
}

func TestRotation(t *testing.T) {
	before := ring(t, 1, map[uint16][]byte{1: key(1)})
	both := ring(t, 2, map[uint16][]byte{1: key(1), 2: key(2)})
	after := ring(t, 2, map[uint16][]byte{2: key(2)})
	old, young := before.Seal(nil, []byte("old")), both.Seal(nil, []byte("new"))
	if got, err := both.Open(nil, old); err != nil || string(got) != "old" {
		t.Errorf("what the old key sealed: %q, %v", got, err)
	}
	if got, err := after.Open(nil, young); err != nil || string(got) != "new" {
		t.Errorf("the new key does not seal: %q, %v", got, err)
	}
	if _, err := after.Open(nil, old); !errors.Is(err, ErrOpen) {
		t.Errorf("a key that was taken out still opens: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(1, map[uint16][]byte{1: key(1)[:31]}); err == nil {
		t.Error("a short key is accepted")
	}
	if _, err := New(2, map[uint16][]byte{1: key(1)}); err == nil {
		t.Error("a missing current key is accepted")
	}
}

func TestLoadOrCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "keys.json")
	var rings [8]*Ring
	var wg sync.WaitGroup
	for i := range rings { // all at once: one file comes out
		wg.Go(func() {
			r, err := LoadOrCreate(path)
			if err != nil {
				t.Error(err)
			}
			rings[i] = r
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	sealed := rings[0].Seal(nil, []byte("text"))
	for i, r := range rings {
		if _, err := r.Open(nil, sealed); err != nil {
			t.Errorf("ring %d has another key", i)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".keyring-*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestLoadRefuses(t *testing.T) {
	const secret = "c2VjcmV0c2VjcmV0c2VjcmV0"
	cases := map[string]struct {
		content string
		mode    os.FileMode
		says    string
	}{
		"open to others": {`{"current":1,"keys":{}}`, 0o640, "chmod 600"},
		"not JSON":       {secret, 0o600, "restore it"},
		"unknown member": {`{"current":1,"keys":{},"kyes":{"1":"` + secret + `"}}`, 0o600, "restore it"},
		"bad id":         {`{"current":1,"keys":{"70000":"` + secret + `"}}`, 0o600, "not a number"},
		"short key":      {`{"current":1,"keys":{"1":"` + secret + `"}}`, 0o600, "want 32"},
		"no current key": {`{"current":1,"keys":{}}`, 0o600, "current key 1"},
	}
	for name, c := range cases {
		path := filepath.Join(t.TempDir(), "keys.json")
		if err := os.WriteFile(path, []byte(c.content), c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := LoadOrCreate(path)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v; want a word of %q and no key", name, err, c.says)
		}
	}
}

func FuzzOpen(f *testing.F) {
	r := ring(f, 1, map[uint16][]byte{1: key(1)})
	f.Add([]byte("aad"), r.Seal([]byte("aad"), []byte("x")))
	f.Add([]byte(nil), []byte{1, 0, 1})
	genuine := r.Seal([]byte("only"), []byte("the one"))
	f.Add([]byte("only"), genuine)
	f.Fuzz(func(t *testing.T, aad, sealed []byte) {
		plain, err := r.Open(aad, sealed)
		if err == nil && len(plain)+Overhead != len(sealed) {
			t.Errorf("%d bytes opened to %d", len(sealed), len(plain))
		}
	})
}
