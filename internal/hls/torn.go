package hls

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
)

// File is an encrypted file whose writer was killed. The spool's parts are such
// files.
type File interface {
	io.ReaderAt
	io.Writer // at the end
	Truncate(size int64) error
	Sync() error
	Size() int64
}

// Torn shows the content of a File, its last whole block included, to who cuts
// it to what is whole and appends to it. What stays keeps its cipher text.
type Torn struct {
	f    File
	key  []byte
	iv   []byte
	base int64   // content of whole blocks in the file
	w    *Writer // behind base, once the content was cut
}

// ErrBehind: only what comes behind everything else can be written.
var ErrBehind = errors.New("hls: an encrypted slice can only be written at its end")

// OpenTorn takes over f. A file that was closed shows its padding as content.
func OpenTorn(f File, key, iv []byte) (*Torn, error) {
	if _, err := cbc(key, iv, cipher.NewCBCDecrypter); err != nil {
		return nil, err
	}
	return &Torn{f: f, key: key, iv: iv, base: f.Size() / blockLen * blockLen}, nil
}

// Size returns the length of the content.
func (t *Torn) Size() int64 {
	if t.w != nil {
		return t.w.Size()
	}
	return t.base
}

// ReadAt implements io.ReaderAt.
func (t *Torn) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("hls: read at %d", off)
	}
	n := 0
	if off < t.base {
		want := min(int64(len(b)), t.base-off)
		if err := t.decrypt(b[:want], off); err != nil {
			return 0, err
		}
		n = int(want)
	}
	if t.w != nil && n < len(b) {
		if at := off + int64(n) - t.base; at < int64(len(t.w.rest)) {
			n += copy(b[n:], t.w.rest[at:])
		}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// decrypt fills b with the content from off on, all of it in whole blocks of
// the file.
func (t *Torn) decrypt(b []byte, off int64) error {
	begin := off / blockLen * blockLen
	end := (off + int64(len(b)) + blockLen - 1) / blockLen * blockLen
	iv, err := t.before(begin)
	if err != nil {
		return err
	}
	raw := make([]byte, end-begin)
	if _, err := t.f.ReadAt(raw, begin); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	mode, err := cbc(t.key, iv, cipher.NewCBCDecrypter)
	if err != nil {
		return err
	}
	mode.CryptBlocks(raw, raw)
	copy(b, raw[off-begin:])
	return nil
}

// before returns the cipher text that the block at off is chained to.
func (t *Torn) before(off int64) ([]byte, error) {
	if off == 0 {
		return t.iv, nil
	}
	iv := make([]byte, blockLen)
	if _, err := t.f.ReadAt(iv, off-blockLen); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return iv, nil
}

// Truncate cuts the content.
func (t *Torn) Truncate(size int64) error {
	if size < 0 || size > t.Size() {
		return fmt.Errorf("hls: cut %d bytes to %d", t.Size(), size)
	}
	base := min(size, t.base) / blockLen * blockLen
	rest := make([]byte, size-base)
	if _, err := t.ReadAt(rest, base); err != nil {
		return err
	}
	iv, err := t.before(base)
	if err != nil {
		return err
	}
	if err := t.f.Truncate(base); err != nil {
		return err
	}
	w, err := NewWriter(t.f, t.key, iv)
	if err != nil {
		return err
	}
	w.size = base
	t.base, t.w = base, w
	_, err = t.append(rest)
	return err
}

// WriteAt appends to the content. ErrBehind: off is not where it ends.
func (t *Torn) WriteAt(b []byte, off int64) (int, error) {
	if off != t.Size() {
		return 0, ErrBehind
	}
	if t.w == nil {
		if err := t.Truncate(t.base); err != nil {
			return 0, err
		}
	}
	return t.append(b)
}

func (t *Torn) append(b []byte) (int, error) {
	n, err := t.w.Write(b)
	t.base = t.w.size - int64(len(t.w.rest))
	return n, err
}

// Sync makes durable what is in the file.
func (t *Torn) Sync() error { return t.f.Sync() }

// Close writes the last block with its padding; it does not close the file.
func (t *Torn) Close() error {
	if t.w == nil {
		if err := t.Truncate(t.base); err != nil {
			return err
		}
	}
	return t.w.Close()
}
