package spool_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"tapedeck/internal/spool"
)

var updateSealed = flag.Bool("update-sealed", false, "write the golden file of an encrypted file")

// testKey is a data key of tests.
func testKey() []byte { return []byte("0123456789abcdef0123456789abcdef") }

func sealedDir(t testing.TB) *spool.Dir {
	t.Helper()
	d, err := newDir(t).WithKey(testKey())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// noise is content of which any 16 bytes can be searched for.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b)
	return b
}

// hidden fails the test when any file below dir has 16 bytes of plain in it.
func hidden(t *testing.T, dir string, plain []byte) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		disk, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i := 0; i+16 <= len(plain); i += 509 {
			if piece := plain[i : i+16]; len(bytes.Trim(piece, "\x00")) > 0 && bytes.Contains(disk, piece) {
				t.Errorf("%s has bytes %d to %d of the content in the clear", path, i, i+16)
				return nil
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func readBack(t *testing.T, d *spool.Dir, name string) []byte {
	t.Helper()
	f, err := d.OpenFile(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	if size, err := f.Size(); err != nil || size != int64(len(b)) {
		t.Errorf("size %d of %d, %v", size, len(b), err)
	}
	return b
}

// TestSealedPart does to an encrypted part what recorders do to parts, in any
// order, beside a slice of bytes: both always hold the same.
func TestSealedPart(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		d := sealedDir(t)
		p, err := d.CreatePart("a.mp4")
		if err != nil {
			t.Fatal(err)
		}
		var want []byte
		for step := range 60 {
			piece := noise(seed*100+uint64(step), rnd.IntN(1+(1<<rnd.IntN(18))))
			switch rnd.IntN(6) {
			case 0, 1, 2:
				_, err = p.Write(piece)
				want = append(want, piece...)
			case 3:
				off := rnd.IntN(len(want) + 5000)
				_, err = p.WriteAt(piece, int64(off))
				if more := off + len(piece) - len(want); more > 0 {
					want = append(want, make([]byte, more)...)
				}
				copy(want[off:], piece)
			case 4:
				size := rnd.IntN(len(want) + 1)
				err = p.Truncate(int64(size))
				want = want[:size]
			case 5: // a kill between two calls
				_ = p.Sync()
				p, err = d.ResumePart("a.mp4")
			}
			if err != nil || p.Size() != int64(len(want)) {
				t.Fatalf("seed %d step %d: size %d, want %d: %v", seed, step, p.Size(), len(want), err)
			}
			off := rnd.IntN(len(want) + 1)
			got := make([]byte, min(rnd.IntN(200_000), len(want)-off))
			if _, err := p.ReadAt(got, int64(off)); err != nil || !bytes.Equal(got, want[off:off+len(got)]) {
				t.Fatalf("seed %d step %d: reads other bytes at %d: %v", seed, step, off, err)
			}
		}
		info, err := p.Close()
		sha, md := sums(want)
		if exp := (spool.FileInfo{Size: int64(len(want)), SHA256: sha, MD5: md}); err != nil || info != exp {
			t.Errorf("seed %d: %+v, want %+v: %v", seed, info, exp, err)
		}
		if got := readBack(t, d, "a.mp4"); !bytes.Equal(got, want) {
			t.Errorf("seed %d: the finished file has other bytes", seed)
		}
		hidden(t, d.Path(), want)
	}
}

// TestSealedTorn cuts a growing file at every byte: what is whole is found.
func TestSealedTorn(t *testing.T) {
	d := sealedDir(t)
	content := noise(1, 5000)
	p, err := d.CreatePart("a.ts")
	if err == nil {
		_, err = p.Write(content)
	}
	if err != nil {
		t.Fatal(err)
	}
	path := d.FilePath("a.ts") + ".part"
	disk, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 20, 63, 64, 4095, 4096, 4097, 4111, 4112, 4113, 5000, 8191, 8192, 8208, 9090, len(disk) - 17, len(disk) - 16, len(disk) - 1, len(disk)} {
		if err := os.WriteFile(path, disk[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := d.ResumePart("a.ts")
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		want := max(n-4096, 0) / 16 * 16
		if n == len(disk) {
			want = len(content)
		}
		got := make([]byte, p.Size())
		if _, err := p.ReadAt(got, 0); err != nil && !errors.Is(err, io.EOF) || len(got) != want || !bytes.Equal(got, content[:want]) {
			t.Errorf("cut at %d: %d bytes, want %d, %v", n, len(got), want, err)
		}
		if _, err := p.Write([]byte("more")); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Close(); err != nil {
			t.Fatal(err)
		}
		if got := readBack(t, d, "a.ts"); string(got) != string(content[:want])+"more" {
			t.Errorf("cut at %d: %d bytes after going on", n, len(got))
		}
	}
}

// TestSealedRewrite: two contents of one place do not tell each other, as they
// would with a key stream, and two files with one content have nothing in common.
func TestSealedRewrite(t *testing.T) {
	d := sealedDir(t)
	a, b := noise(1, 4096), noise(2, 4096)
	p, err := d.CreatePart("a.mp4")
	if err != nil {
		t.Fatal(err)
	}
	var seen [2][]byte
	for i, content := range [][]byte{a, b} {
		if _, err := p.WriteAt(content, 0); err != nil {
			t.Fatal(err)
		}
		disk, err := os.ReadFile(d.FilePath("a.mp4") + ".part")
		if err != nil {
			t.Fatal(err)
		}
		seen[i] = disk[4096:8192]
	}
	same := 0
	for i := range a {
		if seen[0][i]^seen[1][i] == a[i]^b[i] {
			same++
		}
	}
	if same > 100 {
		t.Errorf("%d of 4096 bytes tell the difference of what was written", same)
	}
	if _, err := d.Replace("b.m3u8", b); err != nil {
		t.Fatal(err)
	}
	if disk, err := os.ReadFile(d.FilePath("b.m3u8")); err != nil || bytes.Equal(disk[4096:8192], seen[1]) {
		t.Error("two files of one content are alike", err)
	}
}

func TestSealedKeys(t *testing.T) {
	d := sealedDir(t)
	if _, err := d.Replace("a.m3u8", []byte("#EXTM3U")); err != nil {
		t.Fatal(err)
	}
	plain, err := d.WithKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plain.OpenFile("a.m3u8"); !errors.Is(err, spool.ErrSealed) {
		t.Errorf("without a key: %v", err)
	}
	if _, err := plain.Export(filepath.Join(t.TempDir(), "out")); !errors.Is(err, spool.ErrSealed) {
		t.Errorf("export without a key: %v", err)
	}
	other, err := d.WithKey(bytes.Repeat([]byte{1}, spool.KeyLen))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.OpenFile("a.m3u8"); !errors.Is(err, spool.ErrSealed) {
		t.Errorf("with another key: %v", err)
	}
	if _, err := plain.Replace("plain.m3u8", []byte("#EXTM3U")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.OpenFile("plain.m3u8"); !errors.Is(err, spool.ErrSealed) {
		t.Errorf("a plain file among encrypted ones: %v", err)
	}
	if _, err := d.WithKey([]byte("short")); err == nil {
		t.Error("a short key is taken")
	}
}

// TestSealedExport: an export is in the clear, unfinished files too.
func TestSealedExport(t *testing.T) {
	d := sealedDir(t)
	if _, err := d.Replace("a.m3u8", []byte("#EXTM3U")); err != nil {
		t.Fatal(err)
	}
	p, err := d.CreatePart("1.ts")
	if err == nil {
		_, err = p.Write([]byte("slice"))
	}
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	if _, err := d.Export(out); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a.m3u8": "#EXTM3U", "1.ts.part": "slice"} {
		if got, err := os.ReadFile(filepath.Join(out, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	r, err := d.Inspect()
	if err != nil || len(r.Files) != 1 || r.Files[0].Size != 5 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestSealedScratch: what is fetched from the backup store is encrypted too.
func TestSealedScratch(t *testing.T) {
	f, err := sealedDir(t).Scratch()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	content := noise(3, 300_000)
	if _, err := io.Copy(f, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestSealedGolden reads a file that an earlier build wrote.
func TestSealedGolden(t *testing.T) {
	d := sealedDir(t)
	const path = "testdata/sealed.golden"
	want := noise(9, 4500)
	if *updateSealed {
		if _, err := d.Replace("a.ts", want); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(d.FilePath("a.ts"))
		if err == nil {
			err = os.WriteFile(path, b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(d.FilePath("a.ts"), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(readBack(t, d, "a.ts"), want) {
		t.Error("the golden file holds other bytes")
	}
}

// FuzzSealed opens any bytes as an encrypted file: no panic, and it can be
// written on.
func FuzzSealed(f *testing.F) {
	b, err := os.ReadFile("testdata/sealed.golden")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:4100])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		d := sealedDir(t)
		if err := os.WriteFile(d.FilePath("a.ts")+".part", b, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := d.ResumePart("a.ts")
		if err != nil {
			if !errors.Is(err, spool.ErrSealed) {
				t.Fatal(err)
			}
			return
		}
		size := p.Size()
		if _, err := p.Write([]byte("more")); err != nil {
			t.Fatal(err)
		}
		if info, err := p.Close(); err != nil || info.Size != size+4 {
			t.Fatal(info, err)
		}
	})
}

// BenchmarkSealedWrite writes slices of 512 KiB in pieces of 16 KiB.
func BenchmarkSealedWrite(b *testing.B) {
	for name, key := range map[string][]byte{"plain": nil, "encrypted": testKey()} {
		b.Run(name, func(b *testing.B) {
			d, err := newDir(b).WithKey(key)
			if err != nil {
				b.Fatal(err)
			}
			piece := noise(1, 16<<10)
			b.SetBytes(512 << 10)
			for b.Loop() {
				p, err := d.CreatePart("a.ts")
				if err != nil {
					b.Fatal(err)
				}
				for range 32 {
					if _, err := p.Write(piece); err != nil {
						b.Fatal(err)
					}
				}
				_ = p.Discard()
			}
		})
	}
}
