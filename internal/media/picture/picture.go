// Package picture reads still pictures that somebody else made: JPEG, PNG and
// BMP. Its input is untrusted. What a picture would take in memory and time is
// known and bounded before its samples are looked at.
package picture

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"

	"golang.org/x/image/bmp"

	"tapedeck/internal/media/codec"
)

// Limits of a picture.
const (
	MaxBytes  = 6 << 20  // of the file (rest-api.md 3.4.3)
	maxSide   = 8192     // pixels
	maxMemory = 64 << 20 // of the samples
	maxScans  = 64       // of a progressive JPEG; usual are 10
)

// Errors of Decode.
var (
	ErrFormat = errors.New("no JPEG, PNG or BMP picture")
	ErrSize   = errors.New("the picture is too large")
)

// format knows one file format.
type format struct {
	config func([]byte) (image.Config, error)
	decode func([]byte) (image.Image, error)
}

func detect(data []byte) (format, error) {
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xd8\xff")):
		return format{
			func(b []byte) (image.Config, error) { return jpeg.DecodeConfig(bytes.NewReader(b)) },
			func(b []byte) (image.Image, error) { return jpeg.Decode(bytes.NewReader(b)) },
		}, nil
	case bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")):
		return format{
			func(b []byte) (image.Config, error) { return png.DecodeConfig(bytes.NewReader(b)) },
			func(b []byte) (image.Image, error) { return png.Decode(bytes.NewReader(b)) },
		}, nil
	case bytes.HasPrefix(data, []byte("BM")):
		return format{
			func(b []byte) (image.Config, error) { return bmp.DecodeConfig(bytes.NewReader(b)) },
			func(b []byte) (image.Image, error) { return bmp.Decode(bytes.NewReader(b)) },
		}, nil
	}
	return format{}, ErrFormat
}

// Decode reads a picture. What it says about itself in its name or in HTTP
// headers does not matter, only its bytes do.
func Decode(data []byte) (image.Image, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("picture: %w: %d bytes, at most %d are taken", ErrSize, len(data), MaxBytes)
	}
	f, err := detect(data)
	if err != nil {
		return nil, fmt.Errorf("picture: %w", err)
	}
	c, err := f.config(data)
	if err != nil {
		return nil, fmt.Errorf("picture: %w: %w", ErrFormat, err)
	}
	if c.Width < 1 || c.Height < 1 || c.Width > maxSide || c.Height > maxSide || int64(c.Width)*int64(c.Height)*weight(c, data) > maxMemory {
		return nil, fmt.Errorf("picture: %w: %d x %d pixels", ErrSize, c.Width, c.Height)
	}
	if n := bytes.Count(data, []byte{0xff, 0xda}); c.ColorModel == color.YCbCrModel && n > maxScans {
		return nil, fmt.Errorf("picture: %w: %d scans", ErrSize, n)
	}
	img, err := f.decode(data)
	if err != nil {
		return nil, fmt.Errorf("picture: %w: %w", ErrFormat, err)
	}
	return img, nil
}

// weight is how many bytes of memory a pixel takes while it is decoded.
func weight(c image.Config, data []byte) int64 {
	switch c.ColorModel {
	case color.NRGBA64Model, color.RGBA64Model:
		return 8
	case color.YCbCrModel, color.CMYKModel, color.GrayModel:
		if progressive(data) {
			return 16 // coefficients of four bytes, up to three planes, and the samples
		}
	}
	return 4
}

// progressive reports whether a JPEG has a frame of another kind than baseline
// or extended sequential (ITU-T T.81, B.1.1.3).
func progressive(data []byte) bool {
	return bytes.HasPrefix(data, []byte("\xff\xd8")) && bytes.Contains(data, []byte{0xff, 0xc2})
}

// Canvas converts a picture. One that is larger than it needs to be to cover
// w x h pixels is made smaller. Transparent parts become black.
func Canvas(img image.Image, w, h int) (*codec.Canvas, error) {
	full, err := convert(img)
	if err != nil {
		return nil, err
	}
	fw, fh := full.Size()
	scale := max(float64(w)/float64(fw), float64(h)/float64(fh))
	sw, sh := even(float64(fw)*scale), even(float64(fh)*scale)
	if scale >= 1 || sw >= fw || sh >= fh {
		return full, nil
	}
	defer full.Close()
	small, err := codec.NewCanvas(sw, sh)
	if err != nil {
		return nil, err
	}
	if err := small.DrawCanvas(full, 0, 0, sw, sh, false, 1); err != nil {
		small.Close()
		return nil, err
	}
	return small, nil
}

// Cover makes a canvas of exactly w x h pixels, both even, that the picture
// fills, cut at its sides if need be.
func Cover(img image.Image, w, h int) (*codec.Canvas, error) {
	c, err := Canvas(img, w, h)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	out, err := codec.NewCanvas(w, h)
	if err != nil {
		return nil, err
	}
	if err := out.DrawCanvas(c, 0, 0, w, h, false, 1); err != nil {
		out.Close()
		return nil, err
	}
	return out, nil
}

func even(v float64) int { return max(2, int(v+1)&^1) }
