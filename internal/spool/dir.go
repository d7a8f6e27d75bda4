// Package spool keeps what a recording has written until a destination
// acknowledged it: files, the worker's journal of facts and the node's
// receipts, one folder per recording. Everything that a call reports as done
// survives a crash of the process and of the machine. Formats:
// docs/formats/journal.md.
package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"unicode/utf8"
)

const (
	sessionName  = "session.json"
	journalName  = "journal.log"
	receiptsName = "receipts.log"
	filesName    = "files"
	partSuffix   = ".part"
	tmpSuffix    = ".tmp"
	goneSuffix   = ".gone"
	maxName      = 255 - len(partSuffix) // NAME_MAX of Linux file systems, room left for a suffix
)

// Dir is one recording's folder. Its methods may be called by many goroutines.
type Dir struct {
	root string
	sid  string
	key  []byte // of the recording's files, nil: they are not encrypted
}

// Create makes the folder of recording sid below root, and root itself, with
// mode 0700. A folder that is already there is opened.
func Create(root, sid string) (*Dir, error) {
	d, err := dirOf(root, sid)
	if err != nil {
		return nil, err
	}
	// Innermost first: a folder is worth something only when its parent names it.
	folders := []string{d.Path(), root}
	if _, err := os.Stat(root); err != nil {
		folders = append(folders, filepath.Dir(d.root))
	}
	if err := os.MkdirAll(filepath.Join(d.Path(), filesName), dirMode); err != nil {
		return nil, fault("create the folder of "+sid, err)
	}
	for _, p := range folders {
		if err := syncDir(p); err != nil {
			return nil, fault("create the folder of "+sid, err)
		}
	}
	if err := d.makeReceipts(); err != nil {
		return nil, err
	}
	return d, nil
}

// makeReceipts makes receipts.log with the room reserved in it: when the disk
// is full before the first receipt, receipts are what lets files go.
func (d *Dir) makeReceipts() error {
	path := filepath.Join(d.Path(), receiptsName)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	l, err := openLines(path)
	if errors.Is(err, ErrBusy) {
		return nil // somebody ships already
	}
	if err != nil {
		return err
	}
	return l.close()
}

// Open returns the folder of recording sid, or ErrNotFound.
func Open(root, sid string) (*Dir, error) {
	d, err := dirOf(root, sid)
	if err != nil {
		return nil, err
	}
	st, err := os.Stat(filepath.Join(d.Path(), filesName))
	if err != nil {
		return nil, fault("open the folder of "+sid, err)
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("spool: open the folder of %s: %w", sid, ErrNotFound)
	}
	return d, nil
}

// At returns the folder that lies at path, as a worker is told it.
func At(path string) (*Dir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fault("open "+path, err)
	}
	return Open(filepath.Dir(abs), filepath.Base(abs))
}

// List returns the ids of all recordings below root, sorted. It finishes
// removals that a crash interrupted. A root that does not exist has none.
func List(root string) ([]string, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault("list", err)
	}
	var sids []string
	for _, e := range entries {
		switch {
		case !e.IsDir():
		case strings.HasPrefix(e.Name(), ".") && strings.HasSuffix(e.Name(), goneSuffix):
			_ = removeFolder(filepath.Join(root, e.Name())) // the next call tries again
		case checkName(e.Name()) == nil:
			sids = append(sids, e.Name())
		}
	}
	sort.Strings(sids)
	return sids, nil
}

func dirOf(root, sid string) (*Dir, error) {
	if err := checkName(sid); err != nil {
		return nil, err
	}
	return &Dir{root: filepath.Clean(root), sid: sid}, nil
}

// checkName refuses everything that is not one plain path element. Invalid
// UTF-8 is refused because JSON cannot carry it unchanged.
func checkName(name string) error {
	if name == "" || len(name) > maxName || name[0] == '.' || !utf8.ValidString(name) ||
		strings.ContainsAny(name, "/\x00\n") ||
		strings.HasSuffix(name, partSuffix) || strings.HasSuffix(name, tmpSuffix) {
		return fmt.Errorf("spool: %w: %q", ErrName, name)
	}
	return nil
}

// SID returns the recording's id.
func (d *Dir) SID() string { return d.sid }

// Path returns the folder's path.
func (d *Dir) Path() string { return filepath.Join(d.root, d.sid) }

// FilePath returns where the finished file of that name lies. Names come from
// facts; one that is no bare file name gives a path that does not exist.
func (d *Dir) FilePath(name string) string {
	if checkName(name) != nil {
		return filepath.Join(d.Path(), filesName, "invalid"+tmpSuffix, "name")
	}
	return filepath.Join(d.Path(), filesName, name)
}

// ValidName reports whether name can be a file of the spool: one plain path
// element. Facts come from a process that decodes foreign media; who acts on
// them checks.
func ValidName(name string) bool { return checkName(name) == nil }

// WriteSession stores v as session.json, atomically and readable by the owner only.
func (d *Dir) WriteSession(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("spool: encode session.json: %w", err)
	}
	return fault("write session.json", replaceFile(filepath.Join(d.Path(), sessionName), append(b, '\n')))
}

// ReadSession decodes session.json into v. ErrNotFound: it was never written.
func (d *Dir) ReadSession(v any) error {
	b, err := os.ReadFile(filepath.Join(d.Path(), sessionName))
	if err != nil {
		return fault("read session.json", err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("spool: session.json of %s: %w", d.sid, err)
	}
	return nil
}

// RemoveFile deletes a finished file. One that is gone already is no error.
// Nothing is synced: a file that a power cut brings back has its receipt.
func (d *Dir) RemoveFile(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	err := os.Remove(d.FilePath(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fault("remove "+name, err)
}

// Remove deletes the whole folder, files, journal and receipts. It is for a
// recording of which everything is done. The folder vanishes from List at
// once; what a crash leaves of it is removed by a later List.
func (d *Dir) Remove() error {
	gone := filepath.Join(d.root, "."+d.sid+goneSuffix)
	if err := removeFolder(gone); err != nil {
		return fault("remove the folder of "+d.sid, err)
	}
	err := os.Rename(d.Path(), gone)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncDir(d.root)
	}
	if err == nil {
		err = removeFolder(gone)
	}
	return fault("remove the folder of "+d.sid, err)
}

// removeFolder deletes a recording's folder: the files in files/, the files
// beside it, the two folders. Anything else in there is nobody's to delete and
// makes it fail.
func removeFolder(path string) error {
	for _, dir := range []string{filepath.Join(path, filesName), path} {
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
		if err := os.Remove(dir); err != nil {
			return err
		}
	}
	return nil
}
