package transcode

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// File is an output that is being written.
type File interface {
	io.Writer
	io.WriterAt
	io.ReaderAt
}

// Output says what a finished file is.
type Output struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"`  // mp4, mp3, m4a, aac
	Track string `json:"track"` // session.TrackAudio ...
	UID   string `json:"uid"`   // "0" when it is of everybody
	Start int64  `json:"start"` // Unix µs of its beginning
	Dur   int64  `json:"dur"`   // µs
	Size  int64  `json:"size"`  // bytes
}

// Sink is where outputs go.
type Sink interface {
	// Has reports whether an output of that name was finished before.
	Has(name string) bool
	// Create begins an output. It is no output until Commit.
	Create(name string) (File, error)
	// Commit makes a created file durable under its name. Size is filled in.
	Commit(f File, o *Output) error
	// Discard takes a created file away.
	Discard(f File) error
}

// Folder is a Sink that writes into a folder: <name>.part becomes <name>.
type Folder string

// Has implements Sink.
func (d Folder) Has(name string) bool {
	st, err := os.Stat(filepath.Join(string(d), name))
	return err == nil && st.Mode().IsRegular()
}

// Create implements Sink.
func (d Folder) Create(name string) (File, error) {
	if !bare(name) {
		return nil, fmt.Errorf("transcode: %q is no bare file name", name)
	}
	f, err := os.OpenFile(filepath.Join(string(d), name+".part"), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("transcode: %w", err)
	}
	return f, nil
}

var errSink = errors.New("transcode: a file of another sink")

// Commit implements Sink.
func (d Folder) Commit(file File, o *Output) error {
	f, ok := file.(*os.File)
	if !ok {
		return errSink
	}
	st, err := f.Stat()
	if err == nil {
		o.Size = st.Size()
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("transcode: %w", err)
	}
	if err := os.Rename(f.Name(), filepath.Join(string(d), o.Name)); err != nil {
		return fmt.Errorf("transcode: %w", err)
	}
	dir, err := os.Open(string(d))
	if err != nil {
		return fmt.Errorf("transcode: %w", err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Discard implements Sink.
func (d Folder) Discard(file File) error {
	f, ok := file.(*os.File)
	if !ok {
		return errSink
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
