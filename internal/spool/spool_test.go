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
	"os"
	"path/filepath"
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
