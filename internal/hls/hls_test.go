package hls

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// file is a File in memory.
type file struct{ b []byte }

func (f *file) Write(b []byte) (int, error) { f.b = append(f.b, b...); return len(b), nil }
func (f *file) Truncate(n int64) error      { f.b = f.b[:n]; return nil }
func (f *file) Sync() error                 { return nil }
func (f *file) Size() int64                 { return int64(len(f.b)) }
func (f *file) ReadAt(b []byte, off int64) (int, error) {
	return bytes.NewReader(f.b).ReadAt(b, off)
}

var (
	secret = bytes.Repeat([]byte{0x5a}, 32)
	key    = ContentKey(secret, "0123456789abcdef0123456789abcdef")
	iv     = IV(key, "slice.ts")
)

func content(n int) []byte {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func encrypt(t *testing.T, b []byte, step int) *file {
	t.Helper()
	f := &file{}
	w, err := NewWriter(f, key, iv)
	if err != nil {
		t.Fatal(err)
	}
	for rest := b; len(rest) > 0; {
		n := min(step, len(rest))
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if w.Size() != int64(len(b)) {
		t.Errorf("Size %d of %d", w.Size(), len(b))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte{1}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("written behind the padding: %v", err)
	}
	return f
}

func decrypt(t *testing.T, b []byte) ([]byte, error) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(b), key, iv)
	if err != nil {
		t.Fatal(err)
	}
	return io.ReadAll(r)
}

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 17, 188, 32<<10 - 16, 32 << 10, 100_001} {
		want := content(n)
		f := encrypt(t, want, 188)
		if len(f.b) != n/16*16+16 {
			t.Errorf("%d bytes became %d", n, len(f.b))
		}
		if got, err := decrypt(t, f.b); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %v", n, err)
		}
		for _, cut := range []int{1, 16} {
			if _, err := decrypt(t, f.b[:max(len(f.b)-cut, 0)]); !errors.Is(err, ErrPadding) && n > 16 {
				t.Errorf("%d bytes, %d of the end missing: %v", n, cut, err)
			}
		}
	}
}

// TestGolden pins what docs/formats/hls.md says: keys, vectors, the tag.
func TestGolden(t *testing.T) {
	got := strings.Join([]string{
		hex.EncodeToString(key), hex.EncodeToString(encrypt(t, []byte("whole segments, in blocks of 16"), 7).b),
		Tag("https://keys.example.com/{sid}", iv),
		Expand("https://keys.example.com/{app}/{sid}?room={cname}", "app", "0123", "a/b c"),
	}, "\n") + "\n"
	want, err := os.ReadFile(filepath.Join("testdata", "golden.txt"))
	if err != nil || got != string(want) {
		t.Errorf("%v\n%s", err, got)
	}
	if !IsTag(Tag("x", iv)) || IsTag("#EXT-X-MAP:") {
		t.Error("IsTag")
	}
}

// TestOpenSSL has another implementation read what we write, and make the key
// as the documentation tells a key server to.
func TestOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	want := content(5000)
	c := exec.Command("openssl", "enc", "-d", "-aes-128-cbc", "-K", hex.EncodeToString(key), "-iv", hex.EncodeToString(iv))
	c.Stdin = bytes.NewReader(encrypt(t, want, 100).b)
	if got, err := c.Output(); err != nil || !bytes.Equal(got, want) {
		t.Errorf("decrypted: %v", err)
	}
	c = exec.Command("openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", "hexkey:"+hex.EncodeToString(secret), "-r")
	c.Stdin = strings.NewReader("0123456789abcdef0123456789abcdef")
	if got, err := c.Output(); err != nil || !strings.HasPrefix(string(got), hex.EncodeToString(key)) {
		t.Errorf("the key: %s, %v", got, err)
	}
}

// TestTorn kills a writer at every byte of its file: what is whole can be read,
// cut anywhere and continued, and nothing that stayed is written again.
func TestTorn(t *testing.T) {
	want := content(100)
	whole := encrypt(t, want, 33).b
	for torn := range len(whole) + 1 {
		for cut := 0; cut <= min(torn/16*16, len(want)); cut += 7 {
			f := &file{bytes.Clone(whole[:torn])}
			v, err := OpenTorn(f, key, iv)
			if err != nil {
				t.Fatal(err)
			}
			if v.Size() != int64(torn/16*16) {
				t.Fatalf("torn at %d: %d bytes", torn, v.Size())
			}
			seen := make([]byte, 200)
			n, err := v.ReadAt(seen, 3)
			if known := min(torn/16*16, len(want)); known > 3 && (!errors.Is(err, io.EOF) || !bytes.Equal(seen[:known-3], want[3:known])) {
				t.Fatalf("torn at %d: %d bytes, %v", torn, n, err)
			}
			if err := v.Truncate(int64(cut)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(f.b, whole[:cut/16*16]) {
				t.Fatalf("torn at %d, cut at %d: other bytes", torn, cut)
			}
			if n, _ := v.ReadAt(seen, 0); n != cut || !bytes.Equal(seen[:n], want[:cut]) {
				t.Fatalf("torn at %d, cut at %d: reads %d", torn, cut, n)
			}
			if _, err := v.WriteAt(nil, 1<<20); !errors.Is(err, ErrBehind) {
				t.Fatal(err)
			}
			if _, err := v.WriteAt(want[cut:], int64(cut)); err != nil {
				t.Fatal(err)
			}
			if err := v.Close(); err != nil || !bytes.Equal(f.b, whole) {
				t.Fatalf("torn at %d, cut at %d: another file, %v", torn, cut, err)
			}
		}
	}
}

// failing takes some bytes.
type failing struct{ left int }

func (f *failing) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(b), nil
}

func TestFullDisk(t *testing.T) {
	w, err := NewWriter(&failing{32}, key, iv)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content(40)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content(40)); !errors.Is(err, io.ErrShortWrite) {
		t.Fatal(err)
	}
	if _, err := w.Write(content(1)); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("it goes on: %v", err)
	}
	if err := w.Close(); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("it ends well: %v", err)
	}
}

func TestCheckURI(t *testing.T) {
	for uri, good := range map[string]bool{
		"https://keys.example.com/{sid}": true, "https://k/{app}?c={cname}": true, "": false, "keys.example.com/x": false,
		"https://k/\"x": false, "https://k/a b": false, "https://k/\n#EXT": false, "https:///x": false,
	} {
		if err := CheckURI(uri); (err == nil) != good {
			t.Errorf("%q: %v", uri, err)
		}
	}
	if _, err := NewWriter(io.Discard, key[:15], iv); err == nil {
		t.Error("a short key was taken")
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte{}, 5)
	f.Add(make([]byte, 48), 20)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		_, _ = decrypt(t, b)
		v, err := OpenTorn(&file{b}, key, iv)
		if err != nil {
			t.Fatal(err)
		}
		if v.Truncate(int64(cut)) == nil && v.Size() != int64(cut) {
			t.Errorf("cut at %d: %d", cut, v.Size())
		}
	})
}
