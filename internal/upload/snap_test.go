package upload

import (
	"path/filepath"
	"testing"
	"time"

	"tapedeck/internal/spool"
)

// TestSnapshot: between the fact that calls for a playlist and the reading of
// its content the worker goes on. The snapshot waits for every slice that the
// content can name, and is not taken for more than is in it.
func TestSnapshot(t *testing.T) {
	dir, err := spool.Create(filepath.Join(t.TempDir(), "spool"), "s")
	if err != nil {
		t.Fatal(err)
	}
	j, _, err := dir.OpenJournal(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	slice := func(name string) {
		if err := j.Append(spool.Fact{Type: spool.FactClosed, Kind: spool.KindSlice, Name: name, Index: "l.m3u8"}); err != nil {
			t.Fatal(err)
		}
	}
	list := func(content string) {
		if _, err := dir.Replace("l.m3u8", []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	index := func() {
		if err := j.Append(spool.Fact{Type: spool.FactIndex, Kind: spool.KindPlaylist, Name: "l.m3u8"}); err != nil {
			t.Fatal(err)
		}
	}
	s := New(Config{Dir: dir})
	s.cargo = newCargo(nil, "")
	slice("1.ts")
	list("1.ts\n")
	index()
	if err := s.follow(); err != nil {
		t.Fatal(err)
	}
	i := s.cargo.byName["l.m3u8"]
	first := i.wanted
	slice("2.ts")
	list("1.ts\n2.ts\n")
	if !s.snap(i) {
		t.Fatal("no snapshot")
	}
	if string(i.snap.content) != "1.ts\n2.ts\n" || len(i.snap.needs) != 2 || i.snap.sent != first {
		t.Errorf("content %q waits for %d slices, counts as %d", i.snap.content, len(i.snap.needs), i.snap.sent)
	}
	// The fact of the second content arrives: it has to be put, too.
	index()
	if err := s.follow(); err != nil {
		t.Fatal(err)
	}
	s.cargo.acknowledge(i, spool.Receipt{Name: "l.m3u8", Index: first, State: spool.ReceiptUploaded})
	if !i.open() {
		t.Error("the newer playlist is forgotten")
	}
}
