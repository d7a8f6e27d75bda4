package spool

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// content is what a file of the spool holds, as it is uploaded.
type content interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	Size() (int64, error) // bytes
	Sync() error
	datasync() error
}

// plainFile is a file that holds its content as it is.
type plainFile struct{ *os.File }

func (f plainFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func (f plainFile) datasync() error { return fdatasync(f.File) }

// File is a file of a recording's folder as it is uploaded, whether the disk
// has it encrypted or not. ReadAt may be called by many goroutines.
type File struct {
	c content

	mu sync.Mutex
	at int64 // where Read goes on
}

// OpenFile opens a finished file for reading. Only a regular file is opened,
// never what a link leads to. ErrNotFound: it is not there. ErrSealed: it is
// encrypted and the folder has not its key.
func (d *Dir) OpenFile(name string) (*File, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	return d.openRaw(name)
}

// openRaw opens a file of files/ by the name that the disk has it under.
func (d *Dir) openRaw(name string) (*File, error) {
	f, err := os.OpenFile(filepath.Join(d.Path(), filesName, name), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fault("open "+name, err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%w: it is no regular file", ErrName)
	}
	if err != nil {
		_ = f.Close()
		return nil, fault("open "+name, err)
	}
	c, err := d.content(f)
	if err != nil {
		return nil, fault("open "+name, err)
	}
	return &File{c: c}, nil
}

// Scratch opens a file without a name in the recording's folder: it is gone
// when it is closed, whatever happens.
func (d *Dir) Scratch() (*File, error) {
	f, err := os.CreateTemp(d.Path(), ".scratch-*"+tmpSuffix)
	if err != nil {
		return nil, fault("open a scratch file", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, fault("open a scratch file", err)
	}
	c, err := d.fresh(f)
	if err != nil {
		return nil, fault("open a scratch file", err)
	}
	return &File{c: c}, nil
}

// Size returns the length of the content in bytes.
func (f *File) Size() (int64, error) { return f.c.Size() }

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(b []byte, off int64) (int, error) { return f.c.ReadAt(b, off) }

// Read implements io.Reader from the beginning on.
func (f *File) Read(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.c.ReadAt(b, f.at)
	f.at += int64(n)
	if n > 0 {
		err = nil // the end is told by the next call
	}
	return n, err
}

// Write appends to a scratch file.
func (f *File) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	size, err := f.c.Size()
	if err != nil {
		return 0, err
	}
	return f.c.WriteAt(b, size)
}

// Close closes the file.
func (f *File) Close() error { return f.c.Close() }
