package spool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Where says where a file of a recording is.
type Where string

// Places of a file.
const (
	Writing  Where = "writing"  // a .part: the worker is at it, or died at it
	InSpool  Where = "waiting"  // complete, and nowhere else yet
	AtHome   Where = "uploaded" // the caller's store has it
	InBackup Where = "backup"   // the operator's backup store has it
	Gone     Where = "lost"     // closed once, and neither here nor in a store
)

// FileState is a file in a Report.
type FileState struct {
	Name  string
	Kind  FileKind // "" while it is written
	Size  int64    // bytes
	Where Where
	Since time.Time // closed, replaced or stored; zero while it is written
}

// Report says what a recording's folder holds and why.
type Report struct {
	SID     string
	Began   time.Time
	Ended   time.Time // zero: it goes on, or its worker died
	Reason  string    // of the end
	Files   []FileState
	Why     *Waiting    // nil: nothing failed lately
	Forward *Forwarding // nil: nothing is to be moved home from the backup store
}

// Count returns how many files are at a place, their size in bytes, and since
// when the oldest is.
func (r Report) Count(w Where) (files int, bytes int64, oldest time.Time) {
	for _, f := range r.Files {
		if f.Where != w {
			continue
		}
		files++
		bytes += f.Size
		if oldest.IsZero() || f.Since.Before(oldest) {
			oldest = f.Since
		}
	}
	return files, bytes, oldest
}

// Inspect reads a folder without becoming its writer: it may be in use.
func (d *Dir) Inspect() (Report, error) {
	r := Report{SID: d.sid}
	facts, err := d.allFacts()
	if err != nil && !errors.Is(err, ErrNotFound) {
		return r, err
	}
	receipts, err := d.ReadReceipts()
	if err != nil {
		return r, err
	}
	if r.Why, err = d.ReadWaiting(); err != nil {
		return r, err
	}
	if r.Forward, err = d.ReadForwarding(); err != nil {
		return r, err
	}
	settled := Settled(receipts)
	at := map[string]int{}
	for _, f := range facts {
		switch f.Type {
		case FactOpened:
			r.Ended, r.Reason = time.Time{}, ""
			if r.Began.IsZero() {
				r.Began = time.UnixMicro(f.At)
			}
		case FactEnded:
			r.Ended, r.Reason = time.UnixMicro(f.At), f.Note
		case FactClosed, FactIndex:
			if !ValidName(f.Name) {
				continue
			}
			s := d.stateOf(f, settled[f.Name])
			if i, ok := at[f.Name]; ok {
				r.Files[i] = s
				continue
			}
			at[f.Name] = len(r.Files)
			r.Files = append(r.Files, s)
		}
	}
	return r, d.addParts(&r)
}

func (d *Dir) stateOf(f Fact, receipt Receipt) FileState {
	s := FileState{Name: f.Name, Kind: f.Kind, Size: f.Size, Since: time.UnixMicro(f.At), Where: InSpool}
	size, here := d.sizeOf(f.Name)
	if s.Size == 0 {
		s.Size = size
	}
	// A receipt is for the newest content of a playlist, or an older one; for
	// other files it is for this content or for one of that name before.
	current := f.Type == FactIndex && receipt.Index >= f.Offset || f.Type == FactClosed && (f.SHA256 == "" || f.SHA256 == receipt.SHA256 || receipt.Note != "")
	switch {
	case receipt.State == ReceiptUploaded && current:
		s.Where, s.Since = AtHome, time.UnixMicro(receipt.At)
	case receipt.State == ReceiptBackuped && current:
		s.Where, s.Since = InBackup, time.UnixMicro(receipt.At)
	case !here:
		s.Where = Gone
	}
	return s
}

func (d *Dir) addParts(r *Report) error {
	parts, err := d.Parts()
	if err != nil {
		return err
	}
	for _, name := range parts {
		// One that is not there got its final name meanwhile.
		if size, here := d.sizeOf(name + partSuffix); here {
			r.Files = append(r.Files, FileState{Name: name, Size: size, Where: Writing})
		}
	}
	return nil
}

// sizeOf returns the length of a file's content, and whether the file is there.
// Without its key an encrypted one is up to 16 bytes shorter than it says.
func (d *Dir) sizeOf(name string) (bytes int64, here bool) {
	if checkName(strings.TrimSuffix(name, partSuffix)) != nil {
		return 0, false
	}
	f, err := d.openRaw(name)
	if errors.Is(err, ErrSealed) {
		st, err := os.Stat(filepath.Join(d.Path(), filesName, name))
		if err != nil {
			return 0, false
		}
		return max(st.Size()-headLen, 0), true
	}
	if err != nil {
		return 0, false
	}
	defer func() { _ = f.Close() }()
	bytes, _ = f.Size()
	return bytes, true
}
