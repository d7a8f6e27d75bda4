package transcode

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"tapedeck/internal/spool"
)

// Input is where the playlists and slices of a recording are.
type Input interface {
	// Names returns the names of all files.
	Names() ([]string, error)
	// Open opens one of them.
	Open(name string) (InputFile, error)
}

// InputFile is an open file of an Input.
type InputFile interface {
	io.Reader
	io.ReaderAt
	io.Closer
	Size() (int64, error) // bytes
}

// Dir is a folder as an Input.
type Dir string

// Names implements Input.
func (d Dir) Names() (names []string, err error) {
	entries, err := os.ReadDir(string(d))
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

type plain struct{ *os.File }

func (f plain) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// Open implements Input.
func (d Dir) Open(name string) (InputFile, error) {
	f, err := os.Open(filepath.Join(string(d), name))
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", name)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return plain{f}, nil
}

// Spooled is the input of a postponed job: a spool folder, encrypted where its
// recording's is.
type Spooled struct{ *spool.Dir }

// Names implements Input.
func (s Spooled) Names() ([]string, error) { return s.Finished() }

// Open implements Input.
func (s Spooled) Open(name string) (InputFile, error) {
	f, err := s.OpenFile(name)
	if err != nil {
		return nil, err
	}
	return f, nil
}
