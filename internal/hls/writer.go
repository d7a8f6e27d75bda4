package hls

import (
	"bytes"
	"crypto/cipher"
	"io"
	"os"
)

// Writer encrypts what is written to it, front to back. What has reached the
// file below can be read again by Torn at any moment, less than one block short.
type Writer struct {
	out  io.Writer
	mode cipher.BlockMode
	size int64  // bytes written to us
	rest []byte // of them, those that fill no block
	buf  []byte // scratch
	err  error  // what out said; nothing can follow it
}

// NewWriter begins a file on out.
func NewWriter(out io.Writer, key, iv []byte) (*Writer, error) {
	mode, err := cbc(key, iv, cipher.NewCBCEncrypter)
	if err != nil {
		return nil, err
	}
	return &Writer{out: out, mode: mode, rest: make([]byte, 0, blockLen)}, nil
}

// Size returns how much was written, in bytes of the content.
func (w *Writer) Size() int64 { return w.size }

// Write implements io.Writer. After an error nothing more can be written.
func (w *Writer) Write(b []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	w.size += int64(len(b))
	w.buf = append(append(w.buf[:0], w.rest...), b...)
	whole := len(w.buf) / blockLen * blockLen
	w.rest = append(w.rest[:0], w.buf[whole:]...)
	if whole == 0 {
		return len(b), nil
	}
	w.mode.CryptBlocks(w.buf[:whole], w.buf[:whole])
	if _, w.err = w.out.Write(w.buf[:whole]); w.err != nil {
		return 0, w.err
	}
	return len(b), nil
}

// Close writes the last block with its padding. It does not close the file
// below, and nothing can be written after it.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	n := blockLen - len(w.rest)
	last := append(w.rest, bytes.Repeat([]byte{byte(n)}, n)...)
	w.mode.CryptBlocks(last, last)
	if _, w.err = w.out.Write(last); w.err != nil {
		return w.err
	}
	w.err = os.ErrClosed
	return nil
}
