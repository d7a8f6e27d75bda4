package picture

import (
	"fmt"
	"image"
	"image/draw"

	xdraw "golang.org/x/image/draw"

	"tapedeck/internal/media/codec"
)

// stripRows bounds how much of a picture exists as RGBA at a time. It is even.
const stripRows = 64

// convert copies a picture to a canvas of its size, over black. A picture of
// one pixel's width or height is made two wide or high.
func convert(img image.Image) (*codec.Canvas, error) {
	b := img.Bounds()
	w, h := b.Dx(), b.Dy()
	if w < 2 || h < 2 {
		big := image.NewRGBA(image.Rect(0, 0, max(w, 2), max(h, 2)))
		xdraw.NearestNeighbor.Scale(big, big.Rect, img, b, draw.Src, nil)
		img, b, w, h = big, big.Rect, big.Rect.Dx(), big.Rect.Dy()
	}
	c, err := codec.NewCanvas(w, h)
	if err != nil {
		return nil, err
	}
	strip := image.NewRGBA(image.Rect(0, 0, w, stripRows))
	for y := 0; y < h; y += stripRows {
		rows := min(stripRows, h-y)
		draw.Draw(strip, strip.Rect, image.Black, image.Point{}, draw.Src)
		draw.Draw(strip, image.Rect(0, 0, w, rows), img, b.Min.Add(image.Pt(0, y)), draw.Over)
		if err := c.SetRows(y, strip.Pix, strip.Stride, rows); err != nil {
			c.Close()
			return nil, fmt.Errorf("picture: %w", err)
		}
	}
	return c, nil
}

// Stamp scales a picture to exactly w x h pixels, both even, and keeps what is
// transparent in it. alpha, 0..1, makes all of it more so.
func Stamp(img image.Image, w, h int, alpha float64) (*codec.Stamp, error) {
	if w < 2 || h < 2 || w > maxSide || h > maxSide {
		return nil, fmt.Errorf("picture: stamp of %dx%d", w, h)
	}
	small := image.NewRGBA(image.Rect(0, 0, w, h))
	near := halve(img, w, h)
	xdraw.ApproxBiLinear.Scale(small, small.Rect, near, near.Bounds(), draw.Src, nil)
	flat := image.NewNRGBA(small.Rect)
	draw.Draw(flat, flat.Rect, small, image.Point{}, draw.Src)
	for i := 3; i < len(flat.Pix); i += 4 {
		flat.Pix[i] = uint8(float64(flat.Pix[i])*min(max(alpha, 0), 1) + 0.5)
	}
	return codec.NewStamp(flat.Pix, w, h)
}

// halve makes a picture that is much larger than w x h smaller, by the mean of
// whole pixels: the scaler that follows looks at four pixels only.
func halve(img image.Image, w, h int) image.Image {
	b := img.Bounds()
	n := min(b.Dx()/w, b.Dy()/h)
	if n < 2 {
		return img
	}
	out := image.NewRGBA(image.Rect(0, 0, b.Dx()/n, b.Dy()/n))
	row := image.NewRGBA(image.Rect(0, 0, b.Dx(), n))
	for y := range out.Rect.Dy() {
		draw.Draw(row, row.Rect, img, b.Min.Add(image.Pt(0, y*n)), draw.Src)
		for x := range out.Rect.Dx() {
			var sum [4]int
			for j := range n {
				for i := range n {
					p := row.Pix[j*row.Stride+4*(x*n+i):]
					for k := range sum {
						sum[k] += int(p[k])
					}
				}
			}
			for k, v := range sum {
				out.Pix[y*out.Stride+4*x+k] = uint8(v / (n * n))
			}
		}
	}
	return out
}
