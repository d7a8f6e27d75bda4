package vendor

import (
	"io"
	"sync"
)

// BodyReader remembers that reading the spool failed, or that the file is
// shorter than announced: the error that comes back through the HTTP client
// would look like the network's.
type BodyReader struct {
	*io.SectionReader

	mu  sync.Mutex // a transport may read on for a moment after it has answered
	err error
}

// Read implements io.Reader.
func (b *BodyReader) Read(p []byte) (int, error) {
	n, err := b.SectionReader.Read(p)
	if err == io.EOF {
		if at, _ := b.Seek(0, io.SeekCurrent); at < b.Size() {
			err = io.ErrUnexpectedEOF
		}
	}
	if err != nil && err != io.EOF {
		b.mu.Lock()
		b.err = err
		b.mu.Unlock()
	}
	return n, err
}

// Or returns the spool's failure in place of err, the request's, if there was one.
func (b *BodyReader) Or(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil && b.err != nil {
		return &BodyError{Err: b.err}
	}
	return err
}

// BodyError is a fault of our own disk.
type BodyError struct{ Err error }

// Error implements error.
func (b *BodyError) Error() string { return b.Err.Error() }

// Unwrap returns the cause.
func (b *BodyError) Unwrap() error { return b.Err }
