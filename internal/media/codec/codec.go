// Package codec decodes, draws and encodes pictures and sound through the
// system's libavcodec, libyuv and libopus. It is the only room with C in it;
// the C side (mx_*.c) is small, checks every bound and serves FFmpeg 5.1 to 7.1.
//
// No value of this package may be used by two goroutines at a time. Close frees
// a value's memory at once; forgetting it only delays that until the garbage
// collector finds it.
package codec

/*
#cgo pkg-config: libavcodec libavutil opus
#cgo CFLAGS: -O2 -Wall -Wno-deprecated-declarations
#cgo LDFLAGS: -lyuv -lm
#include "mx.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"
)

// ErrClosed is returned by the methods of a closed value.
var ErrClosed = errors.New("codec: used after Close")

// Error is a failure reported by a library.
type Error struct {
	Op   string // what was tried
	Code int    // AVERROR or OPUS_* code
	Text string
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("codec: %s: %s", e.Op, e.Text) }

// check turns the return value of an mx_ function into an error.
func check(op string, code C.int) error {
	if code >= 0 {
		return nil
	}
	var text [128]C.char
	C.mx_error_text(code, &text[0], C.int(len(text)))
	return &Error{Op: op, Code: int(code), Text: C.GoString(&text[0])}
}

func bytePtr(b []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(b))) }

// view makes a slice of C memory; it lives as long as its owner says.
func view(p *C.uint8_t, n C.int) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(p)), int(n)) }
