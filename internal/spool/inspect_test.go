package spool_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"tapedeck/internal/spool"
)

// closed writes one finished file with its fact.
func closedFile(t *testing.T, d *spool.Dir, j *spool.Journal, name, content string) spool.Fact {
	t.Helper()
	p, err := d.CreatePart(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	info, err := p.Close()
	if err != nil {
		t.Fatal(err)
	}
	f := spool.Fact{Type: spool.FactClosed, Name: name, Kind: spool.KindSlice, Size: info.Size, SHA256: info.SHA256, MD5: info.MD5}
	if err := j.Append(f); err != nil {
		t.Fatal(err)
	}
	return f
}

// filled is a folder with a file in every place there is.
func filled(t *testing.T) *spool.Dir {
	t.Helper()
	d, err := spool.Create(t.TempDir(), "0123456789abcdef0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	j, _, err := d.OpenJournal(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	if err := j.Append(spool.Fact{Type: spool.FactOpened, Version: 1, Incarnation: 1, ZeroMicro: 1}); err != nil {
		t.Fatal(err)
	}
	r, _, err := d.OpenReceipts(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	receipt := func(f spool.Fact, state, backup string) {
		if err := r.Append(spool.Receipt{Name: f.Name, SHA256: f.SHA256, Size: f.Size, State: state, Backup: backup}); err != nil {
			t.Fatal(err)
		}
		if err := d.RemoveFile(f.Name); err != nil {
			t.Fatal(err)
		}
	}
	receipt(closedFile(t, d, j, "1.ts", "one"), spool.ReceiptUploaded, "")
	receipt(closedFile(t, d, j, "2.ts", "two"), spool.ReceiptBackuped, "kept/2.ts")
	closedFile(t, d, j, "3.ts", "three")
	closedFile(t, d, j, "4.ts", "four")
	if err := d.RemoveFile("4.ts"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Replace("l.m3u8", []byte("#EXTM3U\n")); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(spool.Fact{Type: spool.FactIndex, Name: "l.m3u8", Kind: spool.KindPlaylist}); err != nil {
		t.Fatal(err)
	}
	p, err := d.CreatePart("5.ts")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write([]byte("fi")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Discard() })
	return d
}

func TestInspect(t *testing.T) {
	d := filled(t)
	if err := d.WriteWaiting(&spool.Waiting{Error: "no answer", Fault: "destination", Retries: 3}); err != nil {
		t.Fatal(err)
	}
	r, err := d.Inspect()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]spool.Where{}
	for _, f := range r.Files {
		got[f.Name] = f.Where
	}
	for name, want := range map[string]spool.Where{
		"1.ts": spool.AtHome, "2.ts": spool.InBackup, "3.ts": spool.InSpool, "4.ts": spool.Gone, "5.ts": spool.Writing, "l.m3u8": spool.InSpool,
	} {
		if got[name] != want {
			t.Errorf("%s is %s, want %s", name, got[name], want)
		}
	}
	if n, bytes, oldest := r.Count(spool.InSpool); n != 2 || bytes != 5+8 || oldest.IsZero() {
		t.Errorf("%d files, %d bytes, %s", n, bytes, oldest)
	}
	if r.Why == nil || r.Why.Retries != 3 || r.Forward != nil || !r.Ended.IsZero() || r.Began.IsZero() {
		t.Errorf("%+v", r)
	}
	if err := d.WriteWaiting(nil); err != nil {
		t.Fatal(err)
	}
	if r, err = d.Inspect(); err != nil || r.Why != nil {
		t.Errorf("%+v, %v", r.Why, err)
	}
	if used, err := spool.Usage(filepath.Dir(d.Path())); err != nil || used == 0 {
		t.Errorf("usage %d, %v", used, err)
	}
}

func TestRetryIsTakenOnce(t *testing.T) {
	d := filled(t)
	if d.TakeRetry() {
		t.Error("nobody asked")
	}
	if err := d.AskRetry(); err != nil {
		t.Fatal(err)
	}
	if !d.TakeRetry() || d.TakeRetry() {
		t.Error("taken not at all, or twice")
	}
}

func TestExport(t *testing.T) {
	d := filled(t)
	if err := d.WriteSession("sealed"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.FilePath("3.ts"), []byte("THREE"), 0o600); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "saved")
	files, err := d.Export(to)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, f := range files {
		got[f.Name] = f.Damaged
	}
	if len(got) != 3 || !got["3.ts"] || got["5.ts.part"] || got["l.m3u8"] {
		t.Errorf("%+v", files)
	}
	for name, want := range map[string]bool{"journal.log": true, "receipts.log": true, "3.ts": true, "session.json": false} {
		if _, err := os.Stat(filepath.Join(to, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := d.Export(to); err == nil {
		t.Error("an existing folder was written to")
	}
}

// TestScratch: a scratch file has no name that a crash could leave.
func TestScratch(t *testing.T) {
	d := filled(t)
	before, _ := os.ReadDir(d.Path())
	f, err := d.Scratch()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.ReadDir(d.Path()); len(after) != len(before) {
		t.Error("it has a name")
	}
}
