package compose

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tapedeck/internal/media/codec"
	"tapedeck/internal/media/layout"
	"tapedeck/internal/session"
)

var update = flag.Bool("update", false, "rewrite the golden pictures")

// portrait is what user i shows: a colour of their own, a corner that tells which
// way is up, and a shape that no cell has, so that cropping and bars are seen.
func portrait(t *testing.T, i int) *codec.Canvas {
	t.Helper()
	c, err := codec.NewCanvas(100, 80)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	for _, f := range []struct {
		x, y, w, h int
		colour     codec.YUV
	}{
		{0, 0, 100, 80, codec.RGB(uint8(40+i*67%200), uint8(30+i*101%200), uint8(60+i*37%190))},
		{0, 0, 100, 4, codec.RGB(255, 255, 255)}, {0, 76, 100, 4, codec.RGB(255, 255, 255)},
		{0, 0, 4, 80, codec.RGB(255, 255, 255)}, {96, 0, 4, 80, codec.RGB(255, 255, 255)},
		{20, 16, 16, 12, codec.RGB(0, 0, 0)},
	} {
		if err := c.Fill(f.x, f.y, f.w, f.h, f.colour); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// The canvases of all layouts, sample by sample (spec/layouts.md 2 to 5).
func TestGoldenPictures(t *testing.T) {
	custom := []session.CustomRegion{
		{UID: 2, X: 0, Y: 0, W: 1, H: 0.5, Alpha: 1, Fit: true}, {X: 0, Y: 0.5, W: 0.5, H: 0.5, Alpha: 1, Fit: true},
		{X: 0.5, Y: 0.5, W: 0.5, H: 0.5, Alpha: 1}, {X: 0.3, Y: 0.3, W: 0.4, H: 0.4, Alpha: 0.5}, {UID: 99, X: 0.1, Y: 0.1, W: 0.1, H: 0.1, Alpha: 1},
	}
	for _, c := range []struct {
		name  string
		l     session.Layout
		users []int
		w, h  int
	}{
		{"floating", session.Layout{Kind: layout.Floating}, []int{1, 6, 17}, 320, 180},
		{"bestfit", session.Layout{Kind: layout.BestFit}, []int{1, 2, 4, 5, 10, 17}, 320, 180},
		{"bestfit-portrait", session.Layout{Kind: layout.BestFit}, []int{2, 7}, 180, 320},
		{"vertical", session.Layout{Kind: layout.Vertical, MaxUID: 3}, []int{2, 5, 7, 9, 17}, 320, 180},
		{"vertical-one", session.Layout{Kind: layout.Vertical}, []int{1}, 320, 180},
		{"custom", session.Layout{Kind: layout.Custom, Regions: custom}, []int{1, 4, 6}, 320, 180},
		{"speaker", session.Layout{Kind: layout.Speaker, MaxUID: 2}, []int{1, 4}, 320, 180},
	} {
		for _, n := range c.users {
			t.Run(fmt.Sprintf("%s-%d", c.name, n), func(t *testing.T) {
				comp, err := New(c.w, c.h)
				if err != nil {
					t.Fatal(err)
				}
				defer comp.Close()
				var uids []uint32
				for i := range n {
					uids = append(uids, uint32(i+1))
				}
				comp.Arrange(Scene{Regions: layout.Place(c.l, uids, c.w, c.h), Colour: codec.RGB(64, 64, 64)})
				for i, uid := range uids {
					comp.Still(uid, portrait(t, i), isFit(c.l, comp, uid))
				}
				if _, err := comp.Draw(); err != nil {
					t.Fatal(err)
				}
				golden(t, comp.Canvas())
			})
		}
	}
}

// isFit is how a still is to be drawn so that it looks as video in the region.
func isFit(_ session.Layout, c *Composer, uid uint32) bool {
	for _, r := range c.scene.Regions {
		if r.UID == uid {
			return r.Fit
		}
	}
	return false
}

// golden compares the canvas with the picture in testdata. Code for
// other processors may round another way: one step is allowed, and more in one
// sample of a thousand.
func golden(t *testing.T, c *codec.Canvas) {
	t.Helper()
	w, h := c.Size()
	got := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420)
	grey := image.NewGray(image.Rect(0, 0, w, h*3/2)) // Y, then Cb and Cr side by side
	for i, plane := range [][]byte{got.Y, got.Cb, got.Cr} {
		p, stride := c.Plane(i)
		pw, ph := w>>min(i, 1), h>>min(i, 1)
		for y := range ph {
			copy(plane[y*pw:][:pw], p[y*stride:])
			at := y * w
			if i > 0 {
				at = (h+y)*w + (i-1)*pw
			}
			copy(grey.Pix[at:][:pw], p[y*stride:])
		}
	}
	path := filepath.Join("testdata", strings.ReplaceAll(strings.TrimPrefix(t.Name(), "TestGoldenPictures/"), "/", "-")+".png")
	if *update {
		var b bytes.Buffer
		if err := png.Encode(&b, grey); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		if dir := os.Getenv("GOLDEN_LOOK"); dir != "" { // in colour, for the eye
			b.Reset()
			if err := png.Encode(&b, got); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	want, ok := img.(*image.Gray)
	if !ok || want.Rect != grey.Rect {
		t.Fatalf("%s is another picture", path)
	}
	wrong := 0
	for i, v := range grey.Pix {
		if d := int(v) - int(want.Pix[i]); d > 1 || d < -1 {
			wrong++
		}
	}
	if wrong > len(grey.Pix)/1000 {
		t.Errorf("%d of %d samples differ; if that is meant: go test ./internal/media/compose -update", wrong, len(grey.Pix))
	}
}
