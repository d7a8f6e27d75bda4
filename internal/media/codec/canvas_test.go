package codec

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"testing"
)

var (
	red   = RGB(255, 0, 0)
	green = RGB(0, 255, 0)
	blue  = RGB(0, 0, 255)
	white = RGB(255, 255, 255)
	black = RGB(0, 0, 0)
)

func TestRGB(t *testing.T) {
	for _, c := range []struct {
		got  YUV
		want YUV // ITU-R BT.601-7
	}{{black, YUV{16, 128, 128}}, {white, YUV{235, 128, 128}}, {red, YUV{81, 90, 240}}, {green, YUV{145, 54, 34}}, {blue, YUV{41, 240, 110}}} {
		if !near(c.got, c.want, 1) {
			t.Errorf("%v, want %v", c.got, c.want)
		}
	}
}

func fill(t *testing.T, c *Canvas, x, y, w, h int, colour YUV) {
	t.Helper()
	if err := c.Fill(x, y, w, h, colour); err != nil {
		t.Fatal(err)
	}
}

func TestFillAndBounds(t *testing.T) {
	c := newCanvas(t, 64, 48)
	if at(c, 63, 47) != black {
		t.Error("a new canvas is not black")
	}
	fill(t, c, 16, 8, 32, 16, green)
	for _, p := range []struct {
		x, y int
		want YUV
	}{{16, 8, green}, {47, 23, green}, {15, 8, black}, {48, 8, black}, {16, 7, black}, {16, 24, black}} {
		if got := at(c, p.x, p.y); got != p.want {
			t.Errorf("pixel %d,%d is %v, want %v", p.x, p.y, got, p.want)
		}
	}
	src := newCanvas(t, 32, 32)
	for _, r := range [][4]int{
		{0, 0, 66, 2}, {0, 0, 2, 50}, {-2, 0, 4, 4}, {0, -2, 4, 4}, {1, 0, 2, 2}, {0, 1, 2, 2}, {0, 0, 3, 2}, {0, 0, 2, 3},
		{0, 0, 0, 2}, {0, 0, 2, 0}, {64, 0, 2, 2}, {62, 46, 4, 2}, {0, 0, 1 << 31, 2}, {1 << 30, 0, 1 << 30, 2}, {-1 << 31, 0, 2, 2},
	} {
		if err := c.Fill(r[0], r[1], r[2], r[3], white); err == nil {
			t.Errorf("filled %v", r)
		}
		if err := c.DrawCanvas(src, r[0], r[1], r[2], r[3], false, 1); err == nil {
			t.Errorf("drew into %v", r)
		}
	}
	if at(c, 0, 0) != black {
		t.Error("a refused rectangle was painted")
	}
	if err := c.DrawCanvas(c, 0, 0, 64, 48, false, 1); err == nil {
		t.Error("drew a canvas on itself")
	}
	for _, s := range [][2]int{{0, 4}, {4, 0}, {-1, 4}, {9000, 4}, {1 << 40, 1}} {
		if _, err := NewCanvas(s[0], s[1]); err == nil {
			t.Errorf("made a canvas of %v", s)
		}
	}
}

// A source of three vertical bars, drawn in all shapes.
func TestCropAndFit(t *testing.T) {
	src := newCanvas(t, 120, 60)
	fill(t, src, 0, 0, 30, 60, red)
	fill(t, src, 30, 0, 60, 60, green)
	fill(t, src, 90, 0, 30, 60, blue)
	type point struct {
		x, y int
		want YUV
	}
	for _, c := range []struct {
		name string
		w, h int
		fit  bool
		p    []point
	}{
		{"same shape", 240, 120, false, []point{{10, 60, red}, {120, 60, green}, {230, 60, blue}}},
		{"crop sides", 60, 60, false, []point{{4, 30, green}, {30, 30, green}, {55, 30, green}}},
		{"crop top", 240, 60, false, []point{{20, 2, red}, {120, 30, green}, {220, 57, blue}}},
		{"bars above", 120, 120, true, []point{{60, 10, black}, {60, 27, black}, {10, 60, red}, {60, 60, green}, {110, 60, blue}, {60, 92, black}}},
		{"bars beside", 240, 60, true, []point{{10, 30, black}, {56, 30, black}, {70, 30, red}, {120, 30, green}, {170, 30, blue}, {184, 30, black}}},
		{"tiny", 2, 2, true, nil},
		{"tiny crop", 2, 60, false, []point{{0, 30, green}}},
		{"flat crop", 120, 2, false, []point{{60, 0, green}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			canvas := newCanvas(t, c.w+20, c.h+20)
			fill(t, canvas, 0, 0, c.w+20, c.h+20, white)
			if err := canvas.DrawCanvas(src, 10, 10, c.w, c.h, c.fit, 1); err != nil {
				t.Fatal(err)
			}
			for _, p := range c.p {
				if got := at(canvas, 10+p.x, 10+p.y); !near(got, p.want, 2) {
					t.Errorf("%d,%d is %v, want %v", p.x, p.y, got, p.want)
				}
			}
			for _, p := range [][2]int{{9, 9}, {9, c.h / 2}, {10 + c.w, 11}, {11, 9}, {c.w, 10 + c.h}} {
				if got := at(canvas, p[0], p[1]); got != white {
					t.Errorf("painted outside at %v: %v", p, got)
				}
			}
		})
	}
}

func TestBlend(t *testing.T) {
	src, c := newCanvas(t, 16, 16), newCanvas(t, 32, 32)
	fill(t, src, 0, 0, 16, 16, YUV{200, 50, 220})
	for _, k := range []struct {
		alpha float64
		want  YUV
	}{{0, YUV{100, 150, 20}}, {0.25, YUV{125, 125, 70}}, {0.5, YUV{150, 100, 120}}, {1, YUV{200, 50, 220}}, {7, YUV{200, 50, 220}}} {
		fill(t, c, 0, 0, 32, 32, YUV{100, 150, 20})
		if err := c.DrawCanvas(src, 8, 8, 16, 16, false, k.alpha); err != nil {
			t.Fatal(err)
		}
		if got := at(c, 16, 16); !near(got, k.want, 1) {
			t.Errorf("opacity %v: %v, want %v", k.alpha, got, k.want)
		}
		if got := at(c, 7, 8); got != (YUV{100, 150, 20}) {
			t.Errorf("opacity %v: painted outside: %v", k.alpha, got)
		}
	}
}

func TestCopyAndRGBA(t *testing.T) {
	img := image.NewRGBA(image.Rect(0, 0, 33, 17))
	for y := range 17 {
		for x := range 33 {
			img.Set(x, y, color.RGBA{255, 0, 0, 255})
		}
	}
	c, err := NewCanvasRGBA(img.Pix, 33, 17, img.Stride)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := at(c, 16, 8); !near(got, red, 1) {
		t.Errorf("red became %v", got)
	}
	d := newCanvas(t, 33, 17)
	if err := d.CopyFrom(c); err != nil || !bytes.Equal(i420(d), i420(c)) {
		t.Errorf("copy differs: %v", err)
	}
	if err := newCanvas(t, 34, 17).CopyFrom(c); err == nil {
		t.Error("copied a canvas of another size")
	}
	if _, err := NewCanvasRGBA(img.Pix[:len(img.Pix)-1], 33, 17, img.Stride); err == nil {
		t.Error("read behind the end of a picture")
	}
	if _, err := NewCanvasRGBA(img.Pix, 33, 17, 33); err == nil {
		t.Error("took a row shorter than the picture")
	}
}

// A JPEG is full range: black is 0 and white 255.
func TestJPEG(t *testing.T) {
	c := newCanvas(t, 96, 32)
	fill(t, c, 32, 0, 32, 32, white)
	fill(t, c, 64, 0, 32, 32, RGB(200, 30, 60))
	b, err := JPEG(c, 2)
	if err != nil {
		t.Fatal(err)
	}
	img, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil || img.Bounds() != image.Rect(0, 0, 96, 32) {
		t.Fatalf("%v, %v", err, img)
	}
	for x, want := range map[int][3]int{16: {0, 0, 0}, 48: {255, 255, 255}, 80: {200, 30, 60}} {
		r, g, b, _ := img.At(x, 16).RGBA()
		for i, v := range []uint32{r, g, b} {
			if d := int(v>>8) - want[i]; d > 4 || d < -4 {
				t.Errorf("at %d: %d %d %d, want %v", x, r>>8, g>>8, b>>8, want)
				break
			}
		}
	}
	if _, err := JPEG(c, 0); err == nil {
		t.Error("quality 0")
	}
	c.Close()
	if _, err := JPEG(c, 2); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := c.Fill(0, 0, 2, 2, red); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if p, _ := c.Plane(0); p != nil {
		t.Error("a closed canvas has memory")
	}
}
