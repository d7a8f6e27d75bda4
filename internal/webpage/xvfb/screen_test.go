package xvfb

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// file makes a screen file of w by h black pixels, with words of its header
// replaced.
func file(t *testing.T, w, h int, words map[int]uint32) *os.File {
	t.Helper()
	head := make([]uint32, headerWords)
	for i, v := range map[int]uint32{
		headerSize: 160, fileVersion: 7, pixmapFormat: 2, pixmapWidth: uint32(w), pixmapHeight: uint32(h),
		bitsPerPixel: 32, bytesPerLine: uint32(4*w + 64), redMask: 0xff0000, greenMask: 0xff00, blueMask: 0xff, ncolors: 2,
	} {
		head[i] = v
	}
	for i, v := range words {
		head[i] = v
	}
	b := make([]byte, 160+2*colourSize+(4*w+64)*h)
	for i, v := range head {
		binary.BigEndian.PutUint32(b[4*i:], v)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "screen"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	return f
}

// Only the rows that changed are painted, once.
func TestRows(t *testing.T) {
	f := file(t, 8, 6, nil)
	s, err := Open(f, 8, 6)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Tick(0)
	if s.Commits() != 0 || s.Draw(func([]byte, int, int, int, int, int) {}) {
		t.Error("a black screen counts as a picture")
	}
	at := int64(160 + 2*colourSize + 3*(4*8+64) + 4*5) // x 5, y 3
	if _, err := f.WriteAt([]byte{1, 2, 3, 0}, at); err != nil {
		t.Fatal(err)
	}
	s.Tick(0)
	var got [4]int
	var pixel [3]byte
	if !s.Draw(func(pix []byte, stride, x, y, w, h int) {
		got = [4]int{x, y, w, h}
		pixel = [3]byte(pix[stride*(3-y)+4*5:])
	}) || got != [4]int{0, 2, 8, 2} || pixel != [3]byte{1, 2, 3} || s.Commits() != 1 {
		t.Errorf("painted %v, pixel %v, %d pictures", got, pixel, s.Commits())
	}
	s.Tick(0)
	if s.Draw(func([]byte, int, int, int, int, int) {}) {
		t.Error("painted twice")
	}
	s.Redraw()
	if !s.Draw(func(_ []byte, _, _, y, _, h int) { got = [4]int{0, y, 0, h} }) || got != [4]int{0, 0, 0, 6} {
		t.Errorf("redrawn %v", got)
	}
}

// A screen of another form is turned away, and not read.
func TestForms(t *testing.T) {
	for name, words := range map[string]map[int]uint32{
		"version": {fileVersion: 6}, "16 bits": {bitsPerPixel: 16}, "big endian": {byteOrder: 1}, "red": {redMask: 0xff},
		"too small": {pixmapWidth: 4}, "short rows": {bytesPerLine: 16}, "outside": {headerSize: 1 << 20}, "many colours": {ncolors: 1 << 30},
	} {
		if s, err := Open(file(t, 8, 6, words), 8, 6); err == nil {
			s.Close()
			t.Errorf("%s is taken", name)
		}
	}
}
