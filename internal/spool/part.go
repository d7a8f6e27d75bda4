package spool

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
)

// rereadLimit bounds what Close reads again to hash. Beyond it a file closes
// without hashes: an MP4 of hours must be final at once, and who ships it
// reads all of it anyway.
const rereadLimit = 128 << 20 // bytes

// FileInfo describes a finished file. The hashes are lower-case hex; they are
// empty for a file above 128 MiB that was not written in one sequence.
type FileInfo struct {
	Size   int64 // bytes
	SHA256 string
	MD5    string
}

// Part is a file that is being written, under its final name + ".part". Its
// methods may be called by many goroutines, though writes are not buffered:
// hand it large pieces.
type Part struct {
	name  string
	final string

	mu     sync.Mutex
	f      content
	size   int64 // where Write goes on
	sha    hash.Hash
	md     hash.Hash
	reread bool // the running hashes do not describe the file any more
	done   bool
}

// CreatePart begins a file. A left-over .part of the same name is overwritten.
func (d *Dir) CreatePart(name string) (*Part, error) {
	f, err := d.openPart(name, os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return nil, err
	}
	c, err := d.fresh(f)
	if err != nil {
		return nil, fault("begin "+name, err)
	}
	return d.newPart(name, c), nil
}

// ResumePart opens a .part that a crash left behind, for recovery. Write goes
// on at its end. ErrSealed: the folder has not the key that it was written
// with, or its header is damaged.
func (d *Dir) ResumePart(name string) (*Part, error) {
	f, err := d.openPart(name, 0)
	if err != nil {
		return nil, err
	}
	c, err := d.resume(f)
	if err != nil {
		return nil, fault("resume "+name, err)
	}
	size, err := c.Size()
	if err != nil {
		_ = c.Close()
		return nil, fault("resume "+name, err)
	}
	p := d.newPart(name, c)
	p.size, p.reread = size, true
	return p, nil
}

func (d *Dir) resume(f *os.File) (content, error) {
	if len(d.key) == 0 {
		return d.content(f)
	}
	empty, err := headless(f)
	if empty && err == nil {
		if err = f.Truncate(0); err == nil {
			return d.fresh(f)
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return d.content(f)
}

func (d *Dir) openPart(name string, flag int) (*os.File, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(d.FilePath(name)+partSuffix, os.O_RDWR|flag, fileMode)
	return f, fault("open "+name+partSuffix, err)
}

func (d *Dir) newPart(name string, c content) *Part {
	return &Part{name: name, final: d.FilePath(name), f: c, sha: sha256.New(), md: md5.New()}
}

// Parts returns the final names of all files with a .part left behind, sorted.
func (d *Dir) Parts() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(d.Path(), filesName))
	if err != nil {
		return nil, fault("list the parts", err)
	}
	var names []string
	for _, e := range entries {
		if n, ok := strings.CutSuffix(e.Name(), partSuffix); ok {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	return names, nil
}

// Finished returns the names of all finished files, sorted.
func (d *Dir) Finished() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(d.Path(), filesName))
	if err != nil {
		return nil, fault("list the files", err)
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && checkName(e.Name()) == nil {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Link puts a finished file of another folder with the same key, or none, under
// the same name into this one, without copying it. ErrNotFound: it is not there.
func (d *Dir) Link(from *Dir, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if !bytes.Equal(d.key, from.key) {
		return fmt.Errorf("spool: link %s: the folders have not the same key", name)
	}
	f, err := from.OpenFile(name) // it opens with that key
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return fault("link "+name, err)
	}
	return fault("link "+name, os.Link(from.FilePath(name), d.FilePath(name)))
}

// Name returns the final name.
func (p *Part) Name() string { return p.name }

// Size returns where the next Write begins, in bytes.
func (p *Part) Size() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size
}

// Write appends b. After an error the file holds what was written before.
func (p *Part) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, err := p.f.WriteAt(b, p.size)
	p.size += int64(n)
	if !p.reread {
		_, _ = p.sha.Write(b[:n])
		_, _ = p.md.Write(b[:n])
	}
	return n, fault("write "+p.name, err)
}

// WriteAt writes b at off. It does not move the place of the next Write unless
// it reaches beyond it.
func (p *Part) WriteAt(b []byte, off int64) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reread = true
	n, err := p.f.WriteAt(b, off)
	p.size = max(p.size, off+int64(n))
	return n, fault("write "+p.name, err)
}

// ReadAt reads what was written (io.ReaderAt).
func (p *Part) ReadAt(b []byte, off int64) (int, error) { return p.f.ReadAt(b, off) }

// Truncate cuts the file; the next Write begins at size.
func (p *Part) Truncate(size int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reread = true
	if err := p.f.Truncate(size); err != nil {
		return fault("cut "+p.name, err)
	}
	p.size = size
	return nil
}

// Sync makes what was written so far durable, for files that are recovered
// from a .part rather than made again.
func (p *Part) Sync() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fault("sync "+p.name, p.f.datasync())
}

// Close makes the file durable under its final name: sync, rename, sync of the
// folder. When it fails the .part stays and recovery will find it.
func (p *Part) Close() (FileInfo, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done {
		return FileInfo{}, fmt.Errorf("spool: close %s: %w", p.name, os.ErrClosed)
	}
	p.done = true
	info, err := p.seal()
	if cerr := p.f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(p.final+partSuffix, p.final)
	}
	if err == nil {
		err = syncDir(filepath.Dir(p.final))
	}
	if err != nil {
		return FileInfo{}, fault("close "+p.name, err)
	}
	return info, nil
}

func (p *Part) seal() (FileInfo, error) {
	size, err := p.f.Size()
	if err != nil {
		return FileInfo{}, err
	}
	info := FileInfo{Size: size}
	if p.reread {
		if size > rereadLimit {
			return info, p.f.Sync()
		}
		p.sha.Reset()
		p.md.Reset()
		if _, err := io.Copy(io.MultiWriter(p.sha, p.md), io.NewSectionReader(p.f, 0, size)); err != nil {
			return FileInfo{}, err
		}
	}
	info.SHA256 = hex.EncodeToString(p.sha.Sum(nil))
	info.MD5 = hex.EncodeToString(p.md.Sum(nil))
	return info, p.f.Sync()
}

// Discard removes the .part. After Close it does nothing.
func (p *Part) Discard() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done {
		return nil
	}
	p.done = true
	err := p.f.Close()
	if rerr := os.Remove(p.final + partSuffix); rerr != nil && !errors.Is(rerr, os.ErrNotExist) {
		err = rerr
	}
	return fault("discard "+p.name, err)
}

// Replace puts content under name so that a reader or a crash finds the old or
// the new file, whole.
func (d *Dir) Replace(name string, content []byte) (FileInfo, error) {
	if err := checkName(name); err != nil {
		return FileInfo{}, err
	}
	disk, err := d.encode(content)
	if err == nil {
		err = replaceFile(d.FilePath(name), disk)
	}
	if err != nil {
		return FileInfo{}, fault("replace "+name, err)
	}
	sha, md := sha256.Sum256(content), md5.Sum(content)
	return FileInfo{
		Size:   int64(len(content)),
		SHA256: hex.EncodeToString(sha[:]),
		MD5:    hex.EncodeToString(md[:]),
	}, nil
}
