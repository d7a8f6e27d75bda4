package probe

import (
	"errors"
	"io"
	"math"
	"time"
)

// Region is a part of the picture in fractions of its size, origin top left.
type Region struct{ X, Y, W, H float64 }

// Whole is the region that covers the picture.
func Whole() Region { return Region{0, 0, 1, 1} }

// Frame is one decoded picture.
type Frame struct {
	At    time.Duration
	Sight []Sight // one per watched region
}

// Sight is what one region showed: averages of the limited-range BT.601 planes
// as they were coded (Y 16..235, U and V 16..240).
type Sight struct {
	Y, U, V float64
	Change  float64 // mean absolute change of Y against the frame before; 0 for a file's first
	Void    float64 // share of pixels with U and V below 64: the green of memory that was never painted
}

// RGB returns the average colour, each 0..255.
func (s Sight) RGB() (r, g, b float64) {
	y, u, v := 1.164*(s.Y-16), s.U-128, s.V-128
	clamp := func(x float64) float64 { return math.Max(0, math.Min(255, x)) }
	return clamp(y + 1.596*v), clamp(y - 0.392*u - 0.813*v), clamp(y + 2.017*u)
}

// Black reports whether the region shows nothing but black.
func (s Sight) Black() bool {
	return s.Y < 24 && math.Abs(s.U-128) < 6 && math.Abs(s.V-128) < 6
}

// eye turns raw shrunken pictures into Sights.
type eye struct {
	areas [][4]int // x0, y0, x1, y1 in grid cells
	last  []byte
}

func newEye(regions []Region) *eye {
	e := &eye{}
	for _, r := range regions {
		// A cell that straddles the edge of a region is not looked at.
		x0, y0 := int(math.Ceil(r.X*gridW-1e-6)), int(math.Ceil(r.Y*gridH-1e-6))
		x1, y1 := int(math.Floor((r.X+r.W)*gridW+1e-6)), int(math.Floor((r.Y+r.H)*gridH+1e-6))
		e.areas = append(e.areas, [4]int{max(x0, 0), max(y0, 0), min(x1, gridW), min(y1, gridH)})
	}
	return e
}

func (e *eye) read(r io.Reader) ([]Frame, error) {
	var frames []Frame
	for {
		pic := make([]byte, 3*gridW*gridH)
		if _, err := io.ReadFull(r, pic); errors.Is(err, io.EOF) {
			return frames, nil
		} else if err != nil {
			return frames, err
		}
		f := Frame{}
		for _, a := range e.areas {
			f.Sight = append(f.Sight, see(pic, e.last, a))
		}
		frames = append(frames, f)
		e.last = pic
	}
}

func see(pic, last []byte, a [4]int) Sight {
	const plane = gridW * gridH
	var y, u, v, change, void, n float64
	for row := a[1]; row < a[3]; row++ {
		for i := row*gridW + a[0]; i < row*gridW+a[2]; i++ {
			py, pu, pv := float64(pic[i]), pic[plane+i], pic[2*plane+i]
			y, u, v, n = y+py, u+float64(pu), v+float64(pv), n+1
			if pu < 64 && pv < 64 {
				void++
			}
			if last != nil {
				change += math.Abs(py - float64(last[i]))
			}
		}
	}
	if n == 0 {
		return Sight{}
	}
	return Sight{Y: y / n, U: u / n, V: v / n, Change: change / n, Void: void / n}
}

// flashLevel is the average Y above which a region counts as flashing: white
// with some text on it lies well above, every colour in use well below.
const flashLevel = 180

// Flash is a bright stretch of a region.
type Flash struct{ Start, End time.Duration }

// Flashes finds the white flashes in watched region i. A flash must have a
// darker picture before and after it and last at most half a second. Where the
// first bright picture is only partly bright (a blend of two pictures of the
// source), the start is set into the frame by its share of brightness.
func (w *Watched) Flashes(i int) []Flash {
	var out []Flash
	for k := 1; k < len(w.Frames); k++ {
		if w.level(k, i) <= flashLevel || w.level(k-1, i) > flashLevel {
			continue
		}
		end := k
		top := 0.0
		for end < len(w.Frames) && w.level(end, i) > flashLevel {
			top = max(top, w.level(end, i))
			end++
		}
		if end == len(w.Frames) || w.Frames[end].At-w.Frames[k].At > time.Second/2 {
			continue
		}
		out = append(out, Flash{Start: w.edge(i, k, top), End: w.Frames[end].At})
	}
	return out
}

func (w *Watched) level(k, i int) float64 { return w.Frames[k].Sight[i].Y }

// edge places the start of the flash whose first bright frame is k.
func (w *Watched) edge(i, k int, top float64) time.Duration {
	partial := func(frame, dark int) float64 {
		low := w.level(dark, i)
		return (w.level(frame, i) - low) / (top - low)
	}
	const whole = 0.85 // compression leaves a full flash a little short
	at := w.Frames[k].At
	if p := partial(k, k-1); p < whole && k+1 < len(w.Frames) {
		return at + time.Duration((1-p)*float64(w.Frames[k+1].At-at))
	}
	if k >= 2 { // a frame that is bright by less than half lies before k
		if p := partial(k-1, k-2); p > 1-whole {
			return at - time.Duration(p*float64(at-w.Frames[k-1].At))
		}
	}
	return at
}

// Freeze is a stretch in which the picture did not change.
type Freeze struct{ Start, End time.Duration }

// Freezes finds stretches of at least limit without a visible change in region
// i, inside [from, to).
func (w *Watched) Freezes(i int, limit, from, to time.Duration) []Freeze {
	const still = 0.02 // of 255, on average over the region: below what any moving thing leaves
	var out []Freeze
	var open *Freeze
	flush := func(end time.Duration) {
		if open != nil && end-open.Start >= limit {
			out = append(out, Freeze{open.Start, end})
		}
		open = nil
	}
	end := from
	for k := 1; k < len(w.Frames); k++ {
		f := w.Frames[k]
		if f.At < from || f.At >= to {
			continue
		}
		end = f.At
		if f.Sight[i].Change < still {
			if open == nil {
				open = &Freeze{Start: w.Frames[k-1].At}
			}
			continue
		}
		flush(f.At)
	}
	flush(end)
	return out
}

// Broken returns the times of frames whose region i shows the green of
// unpainted memory on more than a twentieth of its area.
func (w *Watched) Broken(i int) []time.Duration {
	var out []time.Duration
	for _, f := range w.Frames {
		if f.Sight[i].Void > 0.05 {
			out = append(out, f.At)
		}
	}
	return out
}

// Blacks returns the times of frames whose region i is black.
func (w *Watched) Blacks(i int) []time.Duration {
	var out []time.Duration
	for _, f := range w.Frames {
		if f.Sight[i].Black() {
			out = append(out, f.At)
		}
	}
	return out
}
