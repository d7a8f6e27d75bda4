package spool

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Journal is the worker's end of journal.log. It may be used by many goroutines.
type Journal struct {
	l   *lines
	now func() time.Time
}

// OpenJournal reads all facts, cuts a torn tail and opens the journal for
// appending. ErrBusy: another worker still writes it.
//
// It also puts the folder into the state from which recovery starts, whatever
// the moment of the crash was: left-over temporary files are removed, and a
// file that got its final name but not its fact is a .part again, so that
// Parts names everything that has to be recovered.
func (d *Dir) OpenJournal(now func() time.Time) (*Journal, []Fact, error) {
	l, err := openLines(d.journalPath())
	if err != nil {
		return nil, nil, err
	}
	facts, err := d.allFacts()
	if err == nil {
		err = d.settle(facts)
	}
	if err != nil {
		_ = l.close()
		return nil, nil, err
	}
	return &Journal{l: l, now: now}, facts, nil
}

// Append makes a fact durable: when it returns nil, the line is on disk. At is
// filled in when it is 0.
func (j *Journal) Append(f Fact) error {
	if f.At == 0 {
		f.At = j.now().UnixMicro()
	}
	return j.l.append(f)
}

// Close gives the journal back to another writer.
func (j *Journal) Close() error { return j.l.close() }

// ReadJournal returns facts from byte offset from on, and the offset of the
// next one: 0 the first time, then what the last call returned. It never
// returns a line that is not whole yet, and at most 4 MiB of them a call; the
// end is reached when next equals from. A line that cannot be understood is
// returned as FactUnreadable, so that one bad block of a disk does not hide
// the rest. It needs no lock and may follow a journal that is being written.
func (d *Dir) ReadJournal(from int64) (facts []Fact, next int64, err error) {
	at := from
	next, err = readLines(d.journalPath(), from, func(line []byte) {
		f := decodeFact(line, at)
		f.Offset = at
		at += int64(len(line)) + 1
		facts = append(facts, f)
	})
	return facts, next, err
}

func decodeFact(line []byte, at int64) Fact {
	var f Fact
	if err := json.Unmarshal(line, &f); err != nil || f.Type == "" {
		return Fact{Type: FactUnreadable, Note: fmt.Sprintf("%d bytes at offset %d", len(line), at)}
	}
	return f
}

func (d *Dir) journalPath() string { return filepath.Join(d.Path(), journalName) }

func (d *Dir) allFacts() ([]Fact, error) {
	var all []Fact
	for from := int64(0); ; {
		facts, next, err := d.ReadJournal(from)
		if err != nil || next == from {
			return all, err
		}
		all, from = append(all, facts...), next
	}
}

// settle removes temporary files and renames files without a fact back to
// .part. What is written by Replace can be made again from the journal, so it
// is left alone.
func (d *Dir) settle(facts []Fact) error {
	known := map[string]bool{}
	for _, f := range facts {
		if f.Type == FactClosed || f.Type == FactIndex {
			known[f.Name] = true
		}
	}
	dir := filepath.Join(d.Path(), filesName)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fault("read the files", err)
	}
	for _, e := range entries {
		name := e.Name()
		path := filepath.Join(dir, name)
		switch {
		case strings.HasSuffix(name, tmpSuffix):
			err = os.Remove(path)
		case strings.HasSuffix(name, partSuffix), known[name],
			strings.HasSuffix(name, ".m3u8"), strings.HasSuffix(name, ".mpd"), strings.HasSuffix(name, ".json"):
		default:
			err = os.Rename(path, path+partSuffix)
		}
		if err != nil {
			return fault("recover "+name, err)
		}
	}
	return fault("recover the files", syncDir(dir))
}
