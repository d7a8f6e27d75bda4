package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"testing"

	"golang.org/x/image/bmp"

	"tapedeck/internal/media/codec"
)

// halves is red at the left and blue at the right.
func halves(w, h int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.NRGBA{200, 20, 20, 255}
			if x >= w/2 {
				c = color.NRGBA{20, 20, 200, 255}
			}
			m.SetNRGBA(x, y, c)
		}
	}
	return m
}

func encode(t testing.TB, kind string, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	var err error
	switch kind {
	case "jpg":
		err = jpeg.Encode(&b, m, &jpeg.Options{Quality: 95})
	case "png":
		err = png.Encode(&b, m)
	case "bmp":
		err = bmp.Encode(&b, m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pixel(c *codec.Canvas, x, y int) (v codec.YUV) {
	for i := range 3 {
		p, stride := c.Plane(i)
		k := min(i, 1)
		v[i] = p[(y>>k)*stride+x>>k]
	}
	return v
}

func near(a, b codec.YUV) bool {
	for i := range a {
		if d := int(a[i]) - int(b[i]); d > 4 || d < -4 {
			return false
		}
	}
	return true
}

func TestFormats(t *testing.T) {
	for _, kind := range []string{"jpg", "png", "bmp"} {
		for _, size := range [][2]int{{200, 100}, {33, 131}, {1, 1}, {1600, 900}} {
			img, err := Decode(encode(t, kind, halves(size[0], size[1])))
			if err != nil {
				t.Fatal(kind, size, err)
			}
			c, err := Cover(img, 64, 36)
			if err != nil {
				t.Fatal(kind, size, err)
			}
			left, right := codec.RGB(200, 20, 20), codec.RGB(20, 20, 200)
			if size[0] == 1 {
				left = right
			}
			if got := pixel(c, 4, 18); !near(got, left) {
				t.Errorf("%s %v: left is %v", kind, size, got)
			}
			if got := pixel(c, 60, 18); !near(got, right) {
				t.Errorf("%s %v: right is %v", kind, size, got)
			}
			c.Close()
		}
	}
}

// A large picture is kept no larger than it is needed.
func TestCanvasIsNotLarger(t *testing.T) {
	c, err := Canvas(halves(1000, 400), 100, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if w, h := c.Size(); w != 250 || h != 100 {
		t.Errorf("%dx%d", w, h)
	}
	small, err := Canvas(halves(10, 10), 100, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer small.Close()
	if w, h := small.Size(); w != 10 || h != 10 {
		t.Errorf("%dx%d", w, h)
	}
}

func TestTransparency(t *testing.T) {
	m := halves(40, 20)
	for y := range 20 {
		for x := range 20 {
			m.SetNRGBA(x, y, color.NRGBA{})
		}
	}
	img, err := Decode(encode(t, "png", m))
	if err != nil {
		t.Fatal(err)
	}
	c, err := Canvas(img, 40, 20)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := pixel(c, 5, 5); !near(got, codec.RGB(0, 0, 0)) {
		t.Errorf("transparent became %v", got)
	}
	for _, size := range [][2]int{{40, 20}, {8, 4}, {80, 60}} {
		s, err := Stamp(img, size[0], size[1], 0.5)
		if err != nil {
			t.Fatal(err)
		}
		ground, err := codec.NewCanvas(80, 60)
		if err != nil {
			t.Fatal(err)
		}
		grey := codec.RGB(100, 100, 100)
		if err := ground.Fill(0, 0, 80, 60, grey); err != nil {
			t.Fatal(err)
		}
		if err := ground.Stamp(s, 0, 0); err != nil {
			t.Fatal(err)
		}
		if got := pixel(ground, 1, 1); !near(got, grey) {
			t.Errorf("%v: through the hole one sees %v", size, got)
		}
		if got := pixel(ground, size[0]-2, size[1]/2); !near(got, codec.RGB(60, 60, 150)) {
			t.Errorf("%v: half opaque is %v", size, got)
		}
		s.Close()
		ground.Close()
	}
}

// giant is the beginning of a PNG that claims a size.
func giant(w, h uint32) []byte {
	b := []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR")
	b = binary.BigEndian.AppendUint32(b, w)
	b = binary.BigEndian.AppendUint32(b, h)
	b = append(b, 8, 6, 0, 0, 0)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[12:]))
}

func TestRefused(t *testing.T) {
	scans := encode(t, "jpg", halves(16, 16))
	for range maxScans {
		scans = append(scans, 0xff, 0xda)
	}
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"nothing":       {nil, ErrFormat},
		"text":          {[]byte("<svg/>"), ErrFormat},
		"gif":           {[]byte("GIF89a\x01\x00\x01\x00\x00\x00\x00"), ErrFormat},
		"torn jpg":      {encode(t, "jpg", halves(200, 200))[:300], ErrFormat},
		"torn png":      {encode(t, "png", halves(200, 200))[:60], ErrFormat},
		"torn bmp":      {encode(t, "bmp", halves(200, 200))[:60], ErrFormat},
		"6 MB":          {append([]byte("\xff\xd8\xff"), make([]byte, MaxBytes)...), ErrSize},
		"wide":          {giant(20000, 1), ErrSize},
		"bomb":          {giant(8000, 8000), ErrSize},
		"bomb of scans": {scans, ErrSize},
	} {
		if _, err := Decode(c.data); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, kind := range []string{"jpg", "png", "bmp"} {
		f.Add(encode(f, kind, halves(20, 12)))
	}
	f.Add(giant(3, 3))
	f.Fuzz(func(t *testing.T, data []byte) {
		img, err := Decode(data)
		if err != nil {
			return
		}
		b := img.Bounds()
		if b.Dx() > maxSide || b.Dy() > maxSide {
			t.Fatalf("%v", b)
		}
		if b.Dx()*b.Dy() > 1<<20 {
			return // large ones are slow to fuzz
		}
		c, err := Cover(img, 32, 18)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		s, err := Stamp(img, 32, 18, 1)
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
	})
}
