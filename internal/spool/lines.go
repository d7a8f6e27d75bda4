package spool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// A batch of lines read at once is bounded, so that following a day-long
// recording does not load its whole journal.
const (
	maxBatch = 4 << 20 // bytes
	maxLine  = 1 << 20 // bytes; a longer one is refused when written

	// Space is taken ahead of the lines. On a full disk the facts that end a
	// recording can still be written, and the receipts that let files go.
	reserve = 64 << 10 // bytes
)

// lines is an append-only file of JSON lines with one writer. A line is there
// when its newline is: what follows the last newline never happened.
type lines struct {
	path string

	mu     sync.Mutex
	f      *os.File
	end    int64 // where the next line begins
	taken  int64 // up to where space is reserved
	broken error // a failed sync: what the disk holds is unknown, fsync(2) cannot be repeated
}

// openLines opens or makes the file, takes the writer's lock and cuts a torn
// tail. It returns ErrBusy while another process writes it.
func openLines(path string) (*lines, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return nil, fault("open "+filepath.Base(path), err)
	}
	l := &lines{path: path, f: f}
	if err := l.prepare(); err != nil {
		_ = f.Close()
		return nil, err
	}
	return l, nil
}

func (l *lines) prepare() error {
	name := filepath.Base(l.path)
	if err := syscall.Flock(int(l.f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("spool: %s: %w", l.path, ErrBusy)
		}
		return fault("lock "+name, err)
	}
	size, err := l.f.Seek(0, io.SeekEnd)
	if err != nil {
		return fault("open "+name, err)
	}
	if l.end, err = lastNewline(l.f, size); err != nil {
		return fault("read "+name, err)
	}
	if l.end < size {
		if err := l.f.Truncate(l.end); err != nil {
			return fault("cut the torn tail of "+name, err)
		}
	}
	if err := l.f.Sync(); err != nil {
		return fault("sync "+name, err)
	}
	l.takeSpace()
	return fault("sync "+name, syncDir(filepath.Dir(l.path)))
}

// fallocKeepSize is FALLOC_FL_KEEP_SIZE of fallocate(2): readers do not see the
// reserved space.
const fallocKeepSize = 1

// takeSpace reserves space for lines to come once half of it is used. That it
// cannot be had is no error yet.
func (l *lines) takeSpace() {
	if l.taken-l.end >= reserve/2 {
		return
	}
	if syscall.Fallocate(int(l.f.Fd()), fallocKeepSize, l.end, reserve) == nil {
		l.taken = l.end + reserve
	}
}

// lastNewline returns the offset behind the last newline in the first size bytes.
func lastNewline(r io.ReaderAt, size int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for size > 0 {
		n := min(size, int64(len(buf)))
		if _, err := r.ReadAt(buf[:n], size-n); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return size - n + int64(i) + 1, nil
		}
		size -= n
	}
	return 0, nil
}

// append makes v durable as one line. When it fails for want of space nothing
// is left of the line and a later append may succeed; when the sync fails the
// file is not trusted any more and every later append fails.
func (l *lines) append(v any) error {
	line, err := encodeLine(v)
	if err != nil {
		return fmt.Errorf("spool: encode a line of %s: %w", filepath.Base(l.path), err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return l.broken
	}
	name := filepath.Base(l.path)
	if _, err := l.f.WriteAt(line, l.end); err != nil {
		if terr := l.f.Truncate(l.end); terr != nil {
			l.broken = fmt.Errorf("spool: %s: %w: a torn line could not be cut: %w", l.path, ErrBroken, terr)
		}
		l.taken = l.end // cutting gave the reserved space back
		return fault("append to "+name, err)
	}
	if err := fdatasync(l.f); err != nil {
		l.broken = fmt.Errorf("spool: %s: %w: an earlier sync failed: %w", l.path, ErrBroken, err)
		return fault("sync "+name, err)
	}
	l.end += int64(len(line))
	l.takeSpace()
	return nil
}

func fdatasync(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// encodeLine is json.Marshal with names left readable, and a newline.
func encodeLine(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	if b.Len() > maxLine {
		return nil, fmt.Errorf("%d bytes, at most %d are allowed", b.Len(), maxLine)
	}
	return b.Bytes(), nil
}

func (l *lines) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = fmt.Errorf("spool: %s: %w", l.path, fs.ErrClosed)
	return l.f.Close()
}

// readLines gives each whole line from byte offset from to use, at most
// maxBatch bytes of them, and returns where the next call has to begin. A file
// that does not exist yet is empty.
func readLines(path string, from int64, use func(line []byte)) (int64, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return from, nil
	}
	name := filepath.Base(path)
	if err != nil {
		return from, fault("read "+name, err)
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return from, fault("read "+name, err)
	}
	if from < 0 || from > st.Size() {
		return from, fmt.Errorf("spool: %s has %d bytes, it was read to %d before: %w", path, st.Size(), from, ErrBroken)
	}
	buf := make([]byte, min(st.Size()-from, maxBatch))
	n, err := f.ReadAt(buf, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return from, fault("read "+name, err)
	}
	for rest := buf[:n]; ; {
		line, tail, whole := bytes.Cut(rest, []byte{'\n'})
		if !whole {
			return from, nil
		}
		use(line)
		from += int64(len(line)) + 1
		rest = tail
	}
}
