package spool_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"tapedeck/internal/spool"
)

// FuzzJournal reads a journal of any bytes: no panic, one fact for each line
// that is whole, and the next writer goes on behind them.
func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"t":"closed","name":"a.ts"}` + "\n" + `{"t":"en`))
	f.Add([]byte("\n\n\x00\n"))
	f.Add([]byte(`{"t":"user","uid":7}` + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newDir(t)
		if err := os.WriteFile(filepath.Join(d.Path(), "journal.log"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		lines := bytes.Count(b, []byte("\n"))
		facts, next, err := d.ReadJournal(0)
		if err != nil || len(facts) != lines || next != int64(bytes.LastIndexByte(b, '\n')+1) {
			t.Fatalf("%d facts of %d lines, next %d, %v", len(facts), lines, next, err)
		}
		j, opened, err := d.OpenJournal(clock)
		if err != nil || len(opened) != lines {
			t.Fatal(len(opened), err)
		}
		if err := j.Append(spool.Fact{Type: spool.FactEnded}); err != nil {
			t.Fatal(err)
		}
		_ = j.Close()
		if last, _, err := d.ReadJournal(next); err != nil || len(last) != 1 || last[0].Type != spool.FactEnded {
			t.Fatalf("%+v, %v", last, err)
		}
	})
}
