package spool_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"tapedeck/internal/spool"
)

func TestPart(t *testing.T) {
	write := func(t *testing.T, p *spool.Part, pieces ...string) {
		t.Helper()
		for _, s := range pieces {
			if n, err := p.Write([]byte(s)); err != nil || n != len(s) {
				t.Fatal(n, err)
			}
		}
	}
	cases := map[string]struct {
		use  func(t *testing.T, d *spool.Dir) *spool.Part
		want string
	}{
		"in sequence": {func(t *testing.T, d *spool.Dir) *spool.Part {
			p, err := d.CreatePart("f.ts")
			if err != nil {
				t.Fatal(err)
			}
			write(t, p, "one", "", "two")
			return p
		}, "onetwo"},
		"header filled in at the end": {func(t *testing.T, d *spool.Dir) *spool.Part {
			p, err := d.CreatePart("f.ts")
			if err != nil {
				t.Fatal(err)
			}
			write(t, p, "____", "body")
			if _, err := p.WriteAt([]byte("head"), 0); err != nil {
				t.Fatal(err)
			}
			write(t, p, "tail")
			return p
		}, "headbodytail"},
		"written beyond its end": {func(t *testing.T, d *spool.Dir) *spool.Part {
			p, err := d.CreatePart("f.ts")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.WriteAt([]byte("end"), 2); err != nil {
				t.Fatal(err)
			}
			write(t, p, "!")
			return p
		}, "\x00\x00end!"},
		"resumed and cut": {func(t *testing.T, d *spool.Dir) *spool.Part {
			if err := os.WriteFile(d.FilePath("f.ts")+".part", []byte("whole torn"), 0o600); err != nil {
				t.Fatal(err)
			}
			p, err := d.ResumePart("f.ts")
			if err != nil || p.Size() != 10 {
				t.Fatal(p, err)
			}
			if err := p.Truncate(6); err != nil {
				t.Fatal(err)
			}
			write(t, p, "new")
			return p
		}, "whole new"},
		"left over from before": {func(t *testing.T, d *spool.Dir) *spool.Part {
			if err := os.WriteFile(d.FilePath("f.ts")+".part", []byte("older and longer"), 0o600); err != nil {
				t.Fatal(err)
			}
			p, err := d.CreatePart("f.ts")
			if err != nil {
				t.Fatal(err)
			}
			write(t, p, "new")
			return p
		}, "new"},
		"empty": {func(t *testing.T, d *spool.Dir) *spool.Part {
			p, err := d.CreatePart("f.ts")
			if err != nil {
				t.Fatal(err)
			}
			return p
		}, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d := newDir(t)
			p := c.use(t, d)
			if _, err := os.Stat(d.FilePath("f.ts")); err == nil {
				t.Error("the final name exists before Close")
			}
			buf := make([]byte, len(c.want))
			if _, err := p.ReadAt(buf, 0); err != nil || string(buf) != c.want {
				t.Errorf("ReadAt %q, %v", buf, err)
			}
			info, err := p.Close()
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(d.FilePath("f.ts"))
			if err != nil || string(got) != c.want {
				t.Errorf("%q, %v", got, err)
			}
			sha, md := sums([]byte(c.want))
			if want := (spool.FileInfo{Size: int64(len(c.want)), SHA256: sha, MD5: md}); info != want {
				t.Errorf("info %+v, want %+v", info, want)
			}
			if parts, err := d.Parts(); err != nil || len(parts) != 0 {
				t.Errorf("parts %v, %v", parts, err)
			}
			if _, err := p.Close(); !errors.Is(err, os.ErrClosed) {
				t.Errorf("second Close: %v", err)
			}
			if err := p.Discard(); err != nil {
				t.Errorf("Discard after Close: %v", err)
			}
		})
	}
}

func TestPartDiscard(t *testing.T) {
	d := newDir(t)
	p, err := d.CreatePart("f.ts")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Discard(); err != nil {
		t.Fatal(err)
	}
	if parts, _ := d.Parts(); len(parts) != 0 {
		t.Error(parts)
	}
	if _, err := d.ResumePart("f.ts"); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("resume of nothing: %v", err)
	}
	for _, bad := range []string{"", "../f", "a/b", "f.part", "f.tmp"} {
		if _, err := d.CreatePart(bad); !errors.Is(err, spool.ErrName) {
			t.Errorf("CreatePart(%q): %v", bad, err)
		}
		if _, err := d.Replace(bad, nil); !errors.Is(err, spool.ErrName) {
			t.Errorf("Replace(%q): %v", bad, err)
		}
		if err := d.RemoveFile(bad); !errors.Is(err, spool.ErrName) {
			t.Errorf("RemoveFile(%q): %v", bad, err)
		}
	}
}

// TestLargePart: hours of MP4 are final at once; whoever ships them hashes.
func TestLargePart(t *testing.T) {
	d := newDir(t)
	p, err := d.CreatePart("long.mp4")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Truncate(200 << 20); err != nil { // sparse
		t.Fatal(err)
	}
	info, err := p.Close()
	if err != nil || info != (spool.FileInfo{Size: 200 << 20}) {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestReplace(t *testing.T) {
	d := newDir(t)
	// A reader that has the old file open keeps it whole.
	if _, err := d.Replace("p.m3u8", []byte("old")); err != nil {
		t.Fatal(err)
	}
	old, err := os.Open(d.FilePath("p.m3u8"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = old.Close() }()
	content := bytes.Repeat([]byte("new\n"), 1000)
	info, err := d.Replace("p.m3u8", content)
	if err != nil {
		t.Fatal(err)
	}
	if sha, md := sums(content); info != (spool.FileInfo{Size: 4000, SHA256: sha, MD5: md}) {
		t.Errorf("%+v", info)
	}
	if b, _ := io.ReadAll(old); string(b) != "old" {
		t.Errorf("the old reader sees %q", b)
	}
	if b, _ := os.ReadFile(d.FilePath("p.m3u8")); !bytes.Equal(b, content) {
		t.Error("the new content is not there")
	}
	for range 2 {
		if err := d.RemoveFile("p.m3u8"); err != nil {
			t.Error(err)
		}
	}
}
