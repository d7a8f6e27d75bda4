// Package label draws a line of text as a stamp: white on a translucent dark
// plate. The font is Go Regular (golang.org/x/image/font/gofont, BSD licence),
// which knows Latin, Greek and Cyrillic; other letters become boxes.
package label

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"tapedeck/internal/media/codec"
)

// maxText bounds a label, in runes: names come from whoever joins.
const maxText = 64

// maxKept bounds how many labels are kept.
const maxKept = 256

// Maker makes labels and keeps them. It is not safe for concurrent use.
type Maker struct {
	font  *opentype.Font
	faces map[int]font.Face
	done  map[key]*codec.Stamp
}

type key struct {
	text string
	size int
	room int
}

// NewMaker returns a maker.
func NewMaker() (*Maker, error) {
	f, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return nil, fmt.Errorf("label: %w", err)
	}
	return &Maker{font: f, faces: map[int]font.Face{}, done: map[key]*codec.Stamp{}}, nil
}

// Make returns text in letters of about size pixels, cut so that it is no wider
// than room pixels. It returns nil when nothing fits. The stamp is the maker's.
func (m *Maker) Make(text string, size, room int) (*codec.Stamp, error) {
	size = min(max(size, 8), 64)
	k := key{text, size, room}
	if s, ok := m.done[k]; ok {
		return s, nil
	}
	face, err := m.face(size)
	if err != nil {
		return nil, err
	}
	s, err := stamp(face, text, size, room)
	if err != nil {
		return nil, err
	}
	if len(m.done) >= maxKept {
		clear(m.done) // not closed: some are still in use
	}
	m.done[k] = s
	return s, nil
}

func (m *Maker) face(size int) (font.Face, error) {
	if f := m.faces[size]; f != nil {
		return f, nil
	}
	f, err := opentype.NewFace(m.font, &opentype.FaceOptions{Size: float64(size), DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return nil, fmt.Errorf("label: %w", err)
	}
	m.faces[size] = f
	return f, nil
}

func stamp(face font.Face, text string, size, room int) (*codec.Stamp, error) {
	pad := max(size/3, 3)
	text = fit(face, text, room-2*pad)
	if text == "" {
		return nil, nil
	}
	width := (font.MeasureString(face, text).Ceil() + 2*pad + 1) &^ 1
	height := (size + size/2 + 1) &^ 1
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(img, img.Rect, image.NewUniform(color.NRGBA{0, 0, 0, 140}), image.Point{}, draw.Src)
	met := face.Metrics()
	base := (height + met.Ascent.Round() - met.Descent.Round()) / 2
	d := font.Drawer{Dst: img, Src: image.White, Face: face, Dot: fixed.P(pad, base)}
	d.DrawString(text)
	flat := image.NewNRGBA(img.Rect)
	draw.Draw(flat, flat.Rect, img, image.Point{}, draw.Src)
	return codec.NewStamp(flat.Pix, width, height)
}

// fit cuts text to at most room pixels, with an ellipsis where it was cut.
func fit(face font.Face, text string, room int) string {
	var runes []rune
	for _, r := range text {
		if r >= ' ' && r != 0x7f && len(runes) < maxText { // no control characters
			runes = append(runes, r)
		}
	}
	if font.MeasureString(face, string(runes)).Ceil() <= room {
		return string(runes)
	}
	for n := len(runes) - 1; n > 0; n-- {
		if t := string(runes[:n]) + "…"; font.MeasureString(face, t).Ceil() <= room {
			return t
		}
	}
	return ""
}

// Close frees all labels.
func (m *Maker) Close() {
	for _, s := range m.done {
		if s != nil {
			s.Close()
		}
	}
	clear(m.done)
}
