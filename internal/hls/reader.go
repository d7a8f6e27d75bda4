package hls

import (
	"bufio"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
)

// ErrPadding: a file is not what its key was made for, or is not whole.
var ErrPadding = errors.New("hls: it does not open with this key, or its end is missing")

// reader decrypts a whole file.
type reader struct {
	in   *bufio.Reader
	mode cipher.BlockMode
	buf  []byte // decrypted, not handed out yet
	next [32 << 10]byte
	err  error
}

// NewReader decrypts the file that in reads from its beginning. ErrPadding comes
// at its end, after all of the content.
func NewReader(in io.Reader, key, iv []byte) (io.Reader, error) {
	mode, err := cbc(key, iv, cipher.NewCBCDecrypter)
	if err != nil {
		return nil, err
	}
	return &reader{in: bufio.NewReaderSize(in, 64<<10), mode: mode}, nil
}

// Read implements io.Reader.
func (r *reader) Read(b []byte) (int, error) {
	for len(r.buf) == 0 && r.err == nil {
		r.fill()
	}
	if len(r.buf) == 0 {
		return 0, r.err
	}
	n := copy(b, r.buf)
	r.buf = r.buf[n:]
	return n, nil
}

// fill decrypts the next blocks, and takes the padding off the last.
func (r *reader) fill() {
	n, err := io.ReadFull(r.in, r.next[:])
	ends := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	if err != nil && !ends {
		r.err = err
		return
	}
	if !ends {
		_, err = r.in.Peek(1)
		ends = errors.Is(err, io.EOF)
	}
	if n%blockLen != 0 || n == 0 {
		r.err = fmt.Errorf("%w: it is no whole number of blocks", ErrPadding)
		return
	}
	r.mode.CryptBlocks(r.next[:n], r.next[:n])
	r.buf = r.next[:n]
	if !ends {
		return
	}
	r.err = io.EOF
	pad := int(r.buf[n-1])
	if pad < 1 || pad > blockLen {
		r.err = ErrPadding
		return
	}
	for _, c := range r.buf[n-pad:] {
		if int(c) != pad {
			r.err = ErrPadding
			return
		}
	}
	r.buf = r.buf[:n-pad]
}
