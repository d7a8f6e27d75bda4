package spool

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Exported is what Export did with one file.
type Exported struct {
	Name    string
	Size    int64 // bytes
	Damaged bool  // its content is not what was closed
}

// Export copies what a recording's folder still has into a new folder: finished
// files, unfinished ones as <name>.part, and both logs. The credentials in
// session.json stay. Nothing is changed in the spool, and nothing that is there
// is overwritten. What is encrypted is decrypted: the folder needs its key
// (WithKey), else ErrSealed.
func (d *Dir) Export(to string) ([]Exported, error) {
	if err := os.Mkdir(to, dirMode); err != nil {
		return nil, fmt.Errorf("spool: export: name a folder that does not exist yet: %w", err)
	}
	facts, err := d.allFacts()
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	sums := map[string]string{}
	for _, f := range facts {
		if f.Type == FactClosed {
			sums[f.Name] = f.SHA256
		}
	}
	entries, err := os.ReadDir(filepath.Join(d.Path(), filesName))
	if err != nil {
		return nil, fault("export "+d.sid, err)
	}
	var done []Exported
	for _, e := range entries {
		if !e.Type().IsRegular() || strings.HasSuffix(e.Name(), tmpSuffix) {
			continue
		}
		size, sum, err := d.copyOut(e.Name(), filepath.Join(to, e.Name()))
		if errors.Is(err, ErrNotFound) {
			continue // it was uploaded, or got its final name, meanwhile
		}
		if errors.Is(err, ErrSealed) && d.key != nil {
			done = append(done, Exported{Name: e.Name(), Damaged: true}) // its header is
			continue
		}
		if err != nil {
			return done, fault("export "+e.Name(), err)
		}
		want := sums[e.Name()]
		done = append(done, Exported{Name: e.Name(), Size: size, Damaged: want != "" && want != sum})
	}
	for _, name := range []string{journalName, receiptsName} {
		if err := copyLog(filepath.Join(d.Path(), name), filepath.Join(to, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return done, fault("export "+name, err)
		}
	}
	return done, fault("export "+d.sid, syncDir(to))
}

// copyOut copies what a file of files/ holds.
func (d *Dir) copyOut(name, to string) (size int64, sha string, err error) {
	in, err := d.openRaw(name)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = in.Close() }()
	return copyTo(to, in)
}

func copyLog(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	_, _, err = copyTo(to, in)
	return err
}

func copyTo(to string, in io.Reader) (size int64, sha string, err error) {
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return 0, "", err
	}
	h := sha256.New()
	size, err = io.CopyBuffer(io.MultiWriter(out, h), in, make([]byte, 256<<10))
	if err == nil {
		err = out.Sync()
	}
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	return size, hex.EncodeToString(h.Sum(nil)), err
}
