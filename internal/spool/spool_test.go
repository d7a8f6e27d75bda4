package spool_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/spool"
)

const sid = "0123456789abcdef0123456789abcdef"

var update = flag.Bool("update", false, "rewrite golden files")

func clock() time.Time { return time.Unix(1_700_000_000, 123_456_000) }

func newDir(t testing.TB) *spool.Dir {
	t.Helper()
	d, err := spool.Create(filepath.Join(t.TempDir(), "spool"), sid)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func openJournal(t testing.TB, d *spool.Dir) (*spool.Journal, []spool.Fact) {
	t.Helper()
	j, facts, err := d.OpenJournal(clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j, facts
}

func sums(b []byte) (sha, md string) {
	s, m := sha256.Sum256(b), md5.Sum(b)
	return hex.EncodeToString(s[:]), hex.EncodeToString(m[:])
}

// TestFactGolden pins the journal's lines: another version of the service
// reads them after an update.
func TestFactGolden(t *testing.T) {
	facts := []spool.Fact{
		{Type: spool.FactOpened, Version: 1, SID: sid, Incarnation: 2, ZeroMicro: 1_700_000_000_000_000},
		{Type: spool.FactStatus, Status: 4},
		{Type: spool.FactUser, UID: "4294967295", Note: "joined"},
		{Type: spool.FactGap, UID: "7", Note: "3 packets lost", StartMicro: 1000, DurMicro: 60000},
		{
			Type: spool.FactClosed, Name: sid + "_a&b<c>ü_20231114221320123.ts", Kind: spool.KindSlice, Track: "audio_and_video", UID: "0",
			Size: 1 << 40, SHA256: strings.Repeat("0a", 32), MD5: strings.Repeat("1b", 16), StartMicro: 0, DurMicro: 15_000_000,
			Index: sid + "_a.m3u8", Tags: []string{"#EXT-X-DISCONTINUITY"},
		},
		{Type: spool.FactClosed, Name: sid + "_a_0.mp4", Kind: spool.KindMP4, Track: "audio_and_video", UID: "0", Size: 5, Playable: true},
		{Type: spool.FactIndex, Name: sid + "_a.m3u8", Kind: spool.KindPlaylist, Track: "video", UID: "7", Playable: true, Final: true, Unlisted: true},
		{Type: spool.FactEnded, Note: spool.EndStop, Recorded: true, At: 1_700_000_100_000_001},
	}
	d := newDir(t)
	j, _ := openJournal(t, d)
	for _, f := range facts {
		if err := j.Append(f); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(filepath.Join(d.Path(), "journal.log"))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/journal.golden", got)

	back, _, err := d.ReadJournal(0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range back {
		back[i].Offset = 0
		if facts[i].At == 0 {
			facts[i].At = clock().UnixMicro()
		}
	}
	if !reflect.DeepEqual(back, facts) {
		t.Errorf("read back\n%+v\nwritten\n%+v", back, facts)
	}
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs:\n%s", path, got)
	}
}

func TestReceiptGolden(t *testing.T) {
	d := newDir(t)
	r, old, err := d.OpenReceipts(clock)
	if err != nil || len(old) != 0 {
		t.Fatal(old, err)
	}
	want := []spool.Receipt{
		{At: clock().UnixMicro(), Name: "a.ts", Size: 3, SHA256: "aa", Key: "d1/a.ts", ETag: "e", State: spool.ReceiptUploaded},
		{At: clock().UnixMicro(), Name: "a.m3u8", Size: 9, SHA256: "bb", Key: "d1/a.m3u8", Index: 77, State: spool.ReceiptUploaded},
		{At: 5, Name: "b.ts", Size: 3, Key: "d1/b.ts", State: spool.ReceiptRefused, Note: "not in the spool"},
	}
	for _, c := range want {
		if c.At != 5 {
			c.At = 0
		}
		if err := r.Append(c); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := d.OpenReceipts(clock); !errors.Is(err, spool.ErrBusy) {
		t.Errorf("a second writer: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(d.Path(), "receipts.log"))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/receipts.golden", got)
	_, back, err := d.OpenReceipts(clock)
	if err != nil || !reflect.DeepEqual(back, want) {
		t.Errorf("read back %+v, %v", back, err)
	}
}

// TestTornTail cuts the journal at every byte of its last line: the reader
// never sees a part of it, and the next writer goes on behind the line before.
func TestTornTail(t *testing.T) {
	d := newDir(t)
	path := filepath.Join(d.Path(), "journal.log")
	j, _ := openJournal(t, d)
	for i := range 3 {
		if err := j.Append(spool.Fact{Type: spool.FactUser, UID: fmt.Sprint(i), Note: "joined"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := bytes.LastIndexByte(whole[:len(whole)-1], '\n') + 1
	for cut := last; cut < len(whole); cut++ {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if facts, next, err := d.ReadJournal(0); err != nil || len(facts) != 2 || next != int64(last) {
			t.Fatalf("cut at %d: %d facts, next %d, %v", cut, len(facts), next, err)
		}
		j, facts, err := d.OpenJournal(clock)
		if err != nil || len(facts) != 2 {
			t.Fatalf("cut at %d: opened with %d facts, %v", cut, len(facts), err)
		}
		if err := j.Append(spool.Fact{Type: spool.FactEnded}); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		facts, _, err = d.ReadJournal(int64(last))
		if err != nil || len(facts) != 1 || facts[0].Type != spool.FactEnded || facts[0].Offset != int64(last) {
			t.Fatalf("cut at %d: after it %+v, %v", cut, facts, err)
		}
	}
}

// TestBadLine: what a bad block leaves behind is reported and hides nothing.
func TestBadLine(t *testing.T) {
	d := newDir(t)
	j, _ := openJournal(t, d)
	if err := j.Append(spool.Fact{Type: spool.FactUser}); err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
	f, err := os.OpenFile(filepath.Join(d.Path(), "journal.log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString("\x00\x00\x00\n{}\n[1]\n\n")
	_ = f.Close()
	j, facts := openJournal(t, d)
	if err := j.Append(spool.Fact{Type: spool.FactEnded}); err != nil {
		t.Fatal(err)
	}
	all, _, err := d.ReadJournal(0)
	if err != nil {
		t.Fatal(err)
	}
	var types []spool.FactType
	for _, f := range all {
		types = append(types, f.Type)
	}
	bad := spool.FactUnreadable
	if want := []spool.FactType{spool.FactUser, bad, bad, bad, bad, spool.FactEnded}; !slices.Equal(types, want) {
		t.Errorf("got %v", types)
	}
	if len(facts) != 5 {
		t.Errorf("opened with %d facts", len(facts))
	}
}

// TestFollow tails a journal that several goroutines write: every line comes
// once, whole and in the order of the file.
func TestFollow(t *testing.T) {
	d := newDir(t)
	j, _ := openJournal(t, d)
	const writers, each = 4, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				err := j.Append(spool.Fact{Type: spool.FactClosed, UID: fmt.Sprint(w), Size: int64(i), Name: strings.Repeat("n", i*7)})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := map[string]int64{}
	n, at := 0, int64(0)
	for n < writers*each && !t.Failed() {
		facts, next, err := d.ReadJournal(at)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range facts {
			if f.Size != seen[f.UID] || f.Offset < at {
				t.Fatalf("after %v came %+v", seen, f)
			}
			seen[f.UID]++
			n++
		}
		at = next
	}
	wg.Wait()
	if facts, next, err := d.ReadJournal(at); err != nil || len(facts) != 0 || next != at {
		t.Errorf("at the end: %v %d %v", facts, next, err)
	}
	if _, _, err := d.ReadJournal(at + 1); !errors.Is(err, spool.ErrBroken) {
		t.Errorf("beyond the end: %v", err)
	}
}

// TestBatches: a long journal comes in pieces that fit together.
func TestBatches(t *testing.T) {
	d := newDir(t)
	line, err := json.Marshal(spool.Fact{Type: spool.FactGap, At: 1, Note: strings.Repeat("x", 1000)})
	if err != nil {
		t.Fatal(err)
	}
	const n = 6000 // about 6 MB
	if err := os.WriteFile(filepath.Join(d.Path(), "journal.log"), bytes.Repeat(append(line, '\n'), n), 0o600); err != nil {
		t.Fatal(err)
	}
	count, calls := 0, 0
	for at := int64(0); ; calls++ {
		facts, next, err := d.ReadJournal(at)
		if err != nil {
			t.Fatal(err)
		}
		count += len(facts)
		if next == at {
			break
		}
		at = next
	}
	if _, facts := openJournal(t, d); count != n || calls < 2 || len(facts) != n {
		t.Errorf("%d facts in %d calls, %d when opened", count, calls, len(facts))
	}
}

func TestOneWriter(t *testing.T) {
	d := newDir(t)
	j, _ := openJournal(t, d)
	if _, _, err := d.OpenJournal(clock); !errors.Is(err, spool.ErrBusy) {
		t.Fatalf("a second writer: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(spool.Fact{Type: spool.FactEnded}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
	openJournal(t, d)
}

func TestLongLine(t *testing.T) {
	j, _ := openJournal(t, newDir(t))
	if err := j.Append(spool.Fact{Type: spool.FactGap, Note: strings.Repeat("x", 1<<20)}); err == nil {
		t.Error("a line that no reader takes was written")
	}
	if err := j.Append(spool.Fact{Type: spool.FactEnded}); err != nil {
		t.Error(err)
	}
}

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
