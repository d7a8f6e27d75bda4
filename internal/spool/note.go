package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Names of small files beside the logs. None of them is needed to recover.
const (
	uploadsName = "uploads.json" // why files wait, for operators
	forwardName = "forward.json" // when files in the backup store are moved next
	retryName   = "retry"        // an operator wants everything tried now
)

// Waiting is what uploads.json says: why files of a recording wait.
type Waiting struct {
	At      int64  `json:"at"`    // Unix s of the newest failure
	Since   int64  `json:"since"` // Unix s of the first failure in a row
	Error   string `json:"error"` // free of credentials
	Fault   string `json:"fault"` // caller, destination, ours
	Retries int    `json:"retries"`
}

// Forwarding is what forward.json says: the schedule by which files that are in
// the backup store are moved to the caller's.
type Forwarding struct {
	Since int64 `json:"since"` // Unix s: the recording's uploads ended
	Tries int   `json:"tries"`
	Next  int64 `json:"next"`            // Unix s
	Ended bool  `json:"ended,omitempty"` // given up: an operator decides
}

// WriteWaiting says why files wait. nil takes the file away.
func (d *Dir) WriteWaiting(w *Waiting) error { return writeNote(d, uploadsName, w) }

// ReadWaiting returns nil when nothing failed.
func (d *Dir) ReadWaiting() (*Waiting, error) { return readNote[Waiting](d, uploadsName) }

// WriteForwarding stores the schedule. nil takes it away.
func (d *Dir) WriteForwarding(f *Forwarding) error { return writeNote(d, forwardName, f) }

// ReadForwarding returns nil when there is none.
func (d *Dir) ReadForwarding() (*Forwarding, error) { return readNote[Forwarding](d, forwardName) }

// AskRetry asks the process that ships this recording to try everything now.
func (d *Dir) AskRetry() error {
	return fault("ask for a retry", replaceFile(filepath.Join(d.Path(), retryName), nil))
}

// TakeRetry reports whether somebody asked, once.
func (d *Dir) TakeRetry() bool {
	return os.Remove(filepath.Join(d.Path(), retryName)) == nil
}

func writeNote[T any](d *Dir, name string, v *T) error {
	path := filepath.Join(d.Path(), name)
	if v == nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fault("remove "+name, err)
		}
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("spool: encode %s: %w", name, err)
	}
	return fault("write "+name, replaceFile(path, append(b, '\n')))
}

func readNote[T any](d *Dir, name string) (*T, error) {
	b, err := os.ReadFile(filepath.Join(d.Path(), name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault("read "+name, err)
	}
	v := new(T)
	if err := json.Unmarshal(b, v); err != nil {
		return nil, fmt.Errorf("spool: %s of %s: %w", name, d.sid, err)
	}
	return v, nil
}
