// Package xvfb reads the picture of an X server whose screen is a file in memory
// (Xvfb -fbdir): what is recorded when a browser does not speak our Wayland. The
// file is in the format of xwd (XWDFile.h, version 7). Nobody tells what has
// changed, and nothing is locked: rows are compared at every tick, and a picture
// may be caught while it is drawn.
package xvfb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"tapedeck/internal/webpage/wayland"
)

// Words of the header, 32 bits each, big endian.
const (
	headerSize, fileVersion, pixmapFormat = 0, 1, 2
	pixmapWidth, pixmapHeight             = 4, 5
	byteOrder, bitsPerPixel, bytesPerLine = 7, 11, 12
	redMask, greenMask, blueMask          = 14, 15, 16
	ncolors                               = 19
	headerWords                           = 25

	xwdVersion, zPixmap, colourSize = 7, 2, 12
)

// Screen is the picture of one X server.
type Screen struct {
	mu     sync.Mutex
	mem    []byte // the whole file
	pix    []byte // its pixels: B, G, R, X
	stride int
	w, h   int
	shot   []byte // what was taken last, without padding
	y0, y1 int    // rows of it that are to be painted
	count  int64
}

// Open maps a screen file of at least w by h pixels. The file may be closed
// afterwards.
func Open(f *os.File, w, h int) (*Screen, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("xvfb: %w", err)
	}
	if st.Size() < 4*headerWords || st.Size() > 1<<28 {
		return nil, fmt.Errorf("xvfb: a screen file of %d bytes", st.Size())
	}
	mem, err := syscall.Mmap(int(f.Fd()), 0, int(st.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("xvfb: map the screen: %w", err)
	}
	s := &Screen{mem: mem, w: w, h: h, shot: make([]byte, 4*w*h)}
	if err := s.parse(); err != nil {
		return nil, errors.Join(err, syscall.Munmap(mem))
	}
	return s, nil
}

// parse finds the pixels and checks that they are of the one form we take.
func (s *Screen) parse() error {
	word := func(i int) int { return int(binary.BigEndian.Uint32(s.mem[4*i:])) }
	if word(fileVersion) != xwdVersion || word(pixmapFormat) != zPixmap {
		return fmt.Errorf("xvfb: version %d, format %d of the screen file is unknown", word(fileVersion), word(pixmapFormat))
	}
	if word(bitsPerPixel) != 32 || word(byteOrder) != 0 || word(redMask) != 0xff0000 || word(greenMask) != 0xff00 || word(blueMask) != 0xff {
		return fmt.Errorf("xvfb: pixels of %d bits, order %d, red %#x are unknown", word(bitsPerPixel), word(byteOrder), word(redMask))
	}
	s.stride = word(bytesPerLine)
	from := word(headerSize) + colourSize*word(ncolors)
	if s.w > word(pixmapWidth) || s.h > word(pixmapHeight) || s.stride < 4*s.w || from > len(s.mem) || len(s.mem)-from < s.stride*s.h {
		return fmt.Errorf("xvfb: a screen of %dx%d, %d bytes a row, from %d on, in %d bytes", word(pixmapWidth), word(pixmapHeight), s.stride, from, len(s.mem))
	}
	s.pix = s.mem[from:]
	return nil
}

// Serve has nothing to do: the browser connects to the X server.
func (s *Screen) Serve(*net.UnixListener) {}

// Commits counts the ticks at which the picture had changed.
func (s *Screen) Commits() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// Tick takes what has changed. The browser draws at a rate of its own.
func (s *Screen) Tick(time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mem == nil {
		return
	}
	row := 4 * s.w
	changed := false
	for y := range s.h {
		now, old := s.pix[y*s.stride:][:row], s.shot[y*row:][:row]
		if bytes.Equal(now, old) {
			continue
		}
		copy(old, now)
		s.touch(y, y+1)
		changed = true
	}
	if changed {
		s.count++
	}
}

// touch notes that rows are to be painted. The lock is held.
func (s *Screen) touch(y0, y1 int) {
	if s.y0 == s.y1 {
		s.y0, s.y1 = y0, y1
		return
	}
	s.y0, s.y1 = min(s.y0, y0), max(s.y1, y1)
}

// Draw paints what has changed since the last call and reports whether
// anything has.
func (s *Screen) Draw(paint wayland.Painter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	y0, y1 := s.y0&^1, min((s.y1+1)&^1, s.h&^1)
	s.y0, s.y1 = 0, 0
	if y0 >= y1 {
		return false
	}
	paint(s.shot[4*s.w*y0:], 4*s.w, 0, y0, s.w&^1, y1-y0)
	return true
}

// Redraw lets the next Draw paint everything.
func (s *Screen) Redraw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touch(0, s.h)
}

// Close lets go of the screen.
func (s *Screen) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mem != nil {
		_ = syscall.Munmap(s.mem)
		s.mem, s.pix = nil, nil
	}
}
