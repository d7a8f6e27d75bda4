package spool

import (
	"bytes"
	"crypto/aes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/crypto/xts"
)

// Layout of an encrypted file (docs/formats/spool-encryption.md): a header of
// one sector, then the content in AES-256-XTS (IEEE 1619), sector by sector.
// The content ends with one bit 1 and zeros up to a whole block (ISO/IEC 7816-4
// padding), which is where its length is known from. A block that does not
// change keeps its cipher text when its sector is written again, so what was
// durable stays so while a file grows.
const (
	sectorLen = 4096
	blockLen  = aes.BlockSize
	headLen   = sectorLen
	batchLen  = 16 * sectorLen // written at once

	sealedMagic   = "TDSPOOL\x00"
	sealedVersion = 1
	saltAt        = 16
	saltLen       = 32
	checkAt       = saltAt + saltLen
	checkLen      = 16
	headEnd       = checkAt + checkLen

	// KeyLen is the length of a recording's data key in bytes.
	KeyLen  = 32
	xtsLen  = 64
	hkdfUse = "tapedeck spool file 1"
)

// sealedFile is a file that holds its content encrypted.
type sealedFile struct {
	f *os.File
	c *xts.Cipher

	mu   sync.Mutex
	size int64  // of the content
	buf  []byte // scratch
}

// WithKey returns the folder with the data key of its recording: every file in
// files/ is, or becomes, encrypted with it. key has KeyLen bytes; none at all
// means that the recording is not encrypted.
func (d *Dir) WithKey(key []byte) (*Dir, error) {
	if len(key) != 0 && len(key) != KeyLen {
		return nil, fmt.Errorf("spool: the data key of %s has %d bytes, want %d", d.sid, len(key), KeyLen)
	}
	with := *d
	with.key = bytes.Clone(key)
	return &with, nil
}

// content takes over an open file whose content is there already, or was and
// is torn. It closes f when it fails.
func (d *Dir) content(f *os.File) (content, error) {
	head := make([]byte, headEnd)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		_ = f.Close()
		return nil, err
	}
	sealed := n == headEnd && string(head[:len(sealedMagic)]) == sealedMagic
	switch {
	case d.key == nil && !sealed:
		return plainFile{f}, nil
	case d.key == nil:
		err = fmt.Errorf("%w: the key of this recording is needed to read it", ErrSealed)
	case !sealed:
		err = fmt.Errorf("%w: it has no header although its recording is encrypted", ErrSealed)
	default:
		var c content
		if c, err = openSealed(f, d.key, head); err == nil {
			return c, nil
		}
	}
	_ = f.Close()
	return nil, err
}

// fresh takes over an open empty file. It closes f when it fails.
func (d *Dir) fresh(f *os.File) (content, error) {
	if len(d.key) == 0 {
		return plainFile{f}, nil
	}
	head, c, err := newHead(d.key)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	s := &sealedFile{f: f, c: c}
	if _, err := f.WriteAt(s.seal(head, nil), 0); err != nil {
		_ = f.Close()
		return nil, err
	}
	return s, nil
}

// headless reports whether a crash left a file before it had a header, so that
// nothing was written to it: too short for one, or without a byte in it.
func headless(f *os.File) (bool, error) {
	head := make([]byte, headEnd)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return n < headEnd || len(bytes.Trim(head, "\x00")) == 0, nil
}

// encode returns the whole file that holds b.
func (d *Dir) encode(b []byte) ([]byte, error) {
	if len(d.key) == 0 {
		return b, nil
	}
	head, c, err := newHead(d.key)
	if err != nil {
		return nil, err
	}
	return (&sealedFile{c: c}).seal(head, b), nil
}

// newHead draws a file's salt and makes its header and its cipher.
func newHead(key []byte) ([]byte, *xts.Cipher, error) {
	head := make([]byte, headLen)
	copy(head, sealedMagic)
	head[len(sealedMagic)] = sealedVersion
	salt := head[saltAt : saltAt+saltLen]
	_, _ = rand.Read(salt) // never fails: the runtime ends the program instead
	c, check, err := fileKey(key, salt)
	if err != nil {
		return nil, nil, err
	}
	copy(head[checkAt:], check)
	return head, c, nil
}

// fileKey derives a file's cipher, and what its header tells a wrong key by.
func fileKey(key, salt []byte) (*xts.Cipher, []byte, error) {
	k, err := hkdf.Key(sha256.New, key, salt, hkdfUse, xtsLen+checkLen)
	if err != nil {
		return nil, nil, err
	}
	c, err := xts.NewCipher(aes.NewCipher, k[:xtsLen])
	return c, k[xtsLen:], err
}

func openSealed(f *os.File, key, head []byte) (*sealedFile, error) {
	if v := head[len(sealedMagic)]; v != sealedVersion {
		return nil, fmt.Errorf("%w: it has version %d, this build reads %d", ErrSealed, v, sealedVersion)
	}
	c, check, err := fileKey(key, head[saltAt:checkAt])
	if err != nil {
		return nil, err
	}
	if !hmac.Equal(check, head[checkAt:headEnd]) {
		return nil, fmt.Errorf("%w: its header does not fit the key of the recording", ErrSealed)
	}
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s := &sealedFile{f: f, c: c}
	return s, s.measure(st.Size())
}

// measure finds out how long the content of a file of length bytes is. A file
// that was torn while it grew has no padding: what is whole of it counts.
func (s *sealedFile) measure(length int64) error {
	s.size = max(length-headLen, 0) / blockLen * blockLen
	if s.size == 0 {
		return nil
	}
	last := make([]byte, blockLen)
	if err := s.read(last, s.size-blockLen); err != nil {
		return err
	}
	text := bytes.TrimRight(last, "\x00")
	if n := len(text); n > 0 && text[n-1] == 0x80 {
		s.size -= int64(blockLen - n + 1)
	}
	return nil
}

// padded is how many bytes a content of size bytes takes, its padding included.
func padded(size int64) int64 { return size/blockLen*blockLen + blockLen }

// pad appends the padding to b, which ends where the content ends and begins
// with a sector.
func pad(b []byte) []byte {
	b = append(b, 0x80)
	for len(b)%blockLen != 0 {
		b = append(b, 0)
	}
	return b
}

// seal returns header and encrypted content in one piece.
func (s *sealedFile) seal(head, b []byte) []byte {
	out := make([]byte, 0, len(head)+len(b)+blockLen)
	out = pad(append(append(out, head...), b...))
	s.encrypt(out[len(head):], 0)
	return out
}

func (s *sealedFile) encrypt(b []byte, sector int64) {
	for ; len(b) > 0; sector++ {
		n := min(len(b), sectorLen)
		s.c.Encrypt(b[:n], b[:n], uint64(sector))
		b = b[n:]
	}
}

func (s *sealedFile) decrypt(b []byte, sector int64) {
	for ; len(b) > 0; sector++ {
		n := min(len(b), sectorLen)
		s.c.Decrypt(b[:n], b[:n], uint64(sector))
		b = b[n:]
	}
}

// ReadAt implements io.ReaderAt over the content.
func (s *sealedFile) ReadAt(b []byte, off int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if off < 0 {
		return 0, os.ErrInvalid
	}
	want := len(b)
	b = b[:min(int64(want), max(s.size-off, 0))]
	for n := 0; n < len(b); {
		m := min(len(b)-n, batchLen)
		if err := s.read(b[n:n+m], off+int64(n)); err != nil {
			return n, err
		}
		n += m
	}
	if len(b) < want {
		return len(b), io.EOF
	}
	return want, nil
}

// read fills b with the content from off on, all of which is there.
func (s *sealedFile) read(b []byte, off int64) error {
	if len(b) == 0 {
		return nil
	}
	begin := off / sectorLen * sectorLen
	end := (off + int64(len(b)) + blockLen - 1) / blockLen * blockLen
	raw := make([]byte, end-begin)
	if _, err := s.f.ReadAt(raw, headLen+begin); err != nil {
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	s.decrypt(raw, begin/sectorLen)
	copy(b, raw[off-begin:])
	return nil
}

// WriteAt implements io.WriterAt over the content. What it reports as written
// is there; after an error the content behind that is as it was, as far as the
// disk lets it.
func (s *sealedFile) WriteAt(b []byte, off int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if off < 0 {
		return 0, os.ErrInvalid
	}
	if err := s.fill(off); err != nil {
		return 0, err
	}
	for n := 0; n < len(b); {
		at := off + int64(n)
		m := min(len(b)-n, int(batchLen-at%sectorLen))
		if err := s.write(b[n:n+m], at); err != nil {
			return n, errors.Join(err, s.cut(s.size))
		}
		n += m
	}
	return len(b), nil
}

// fill writes zeros up to off where the content is shorter.
func (s *sealedFile) fill(off int64) error {
	for s.size < off {
		n := min(off-s.size, batchLen-s.size%sectorLen)
		if err := s.write(make([]byte, n), s.size); err != nil {
			return errors.Join(err, s.cut(s.size))
		}
	}
	return nil
}

// write writes b at off with what shares its sectors. off is at most size.
func (s *sealedFile) write(b []byte, off int64) error {
	begin, end := off/sectorLen*sectorLen, off+int64(len(b))
	size := max(s.size, end)
	stop := max(end, min((end+sectorLen-1)/sectorLen*sectorLen, size))
	s.buf = append(s.buf[:0], make([]byte, stop-begin)...)
	if err := s.read(s.buf[:off-begin], begin); err != nil {
		return err
	}
	copy(s.buf[off-begin:], b)
	if err := s.read(s.buf[end-begin:], end); err != nil {
		return err
	}
	if stop == size {
		s.buf = pad(s.buf)
	}
	s.encrypt(s.buf, begin/sectorLen)
	if _, err := s.f.WriteAt(s.buf, headLen+begin); err != nil {
		return err
	}
	s.size = size
	return nil
}

// Truncate cuts the content, or lengthens it with zeros.
func (s *sealedFile) Truncate(size int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case size < 0:
		return os.ErrInvalid
	case size > s.size:
		return s.fill(size)
	}
	return s.cut(size)
}

// cut ends the content at size. The padding comes first: a crash between the
// two leaves all of the content, with something behind it.
func (s *sealedFile) cut(size int64) error {
	begin := size / sectorLen * sectorLen
	tail := make([]byte, size-begin, size-begin+blockLen)
	if err := s.read(tail, begin); err != nil {
		return err
	}
	tail = pad(tail)
	s.encrypt(tail, begin/sectorLen)
	if _, err := s.f.WriteAt(tail, headLen+begin); err != nil {
		return err
	}
	if err := s.f.Truncate(headLen + padded(size)); err != nil {
		return err
	}
	s.size = size
	return nil
}

// Size returns the length of the content in bytes.
func (s *sealedFile) Size() (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size, nil
}

func (s *sealedFile) Sync() error     { return s.f.Sync() }
func (s *sealedFile) datasync() error { return fdatasync(s.f) }

// Close closes the file.
func (s *sealedFile) Close() error { return s.f.Close() }
