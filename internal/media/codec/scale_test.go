package codec

import (
	"fmt"
	"testing"
)

// texture fills a canvas with a smooth pattern of its size.
func texture(t testing.TB, w, h int) *Canvas {
	c := newCanvas(t, w, h)
	for i := range 3 {
		p, stride := c.Plane(i)
		k := min(i, 1)
		for y := range (h + k) >> k {
			for x := range (w + k) >> k {
				// Waves that depend on the place in the picture, not in pixels.
				u, v := (float64(x)+0.5)*float64(int(1)<<k)/float64(w), (float64(y)+0.5)*float64(int(1)<<k)/float64(h)
				p[y*stride+x] = byte(wave(u, v, i))
			}
		}
	}
	return c
}

func wave(u, v float64, plane int) float64 {
	a := u*float64(3+plane) - float64(int(u*float64(3+plane)))
	b := v*float64(2+plane) - float64(int(v*float64(2+plane)))
	return 30 + 90*(2*a*(1-a)*2) + 90*(2*b*(1-b)*2)
}

// Whatever the sizes, a smooth picture that is scaled is the same smooth picture.
func TestScaleIsTrue(t *testing.T) {
	for _, c := range [][4]int{
		{640, 360, 426, 240}, {640, 360, 428, 240}, {320, 180, 300, 168}, {1280, 720, 1024, 576}, {641, 361, 426, 240},
		{333, 187, 256, 144}, {640, 360, 346, 194}, {64, 64, 36, 36}, {1920, 1080, 1280, 720}, {100, 300, 54, 162}, {34, 34, 20, 20}, {32, 32, 18, 18}, {640, 360, 320, 180}, {640, 360, 1280, 720},
		{640, 360, 256, 144}, {1280, 720, 128, 72}, {1279, 719, 300, 168}, {641, 361, 60, 34}, {640, 360, 160, 90}, {1920, 1080, 16, 10},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			src, dst := texture(t, c[0], c[1]), newCanvas(t, c[2]+16, c[3]+4)
			fill(t, dst, 0, 0, c[2]+16, c[3]+4, white)
			if err := dst.DrawCanvas(src, 2, 2, c[2], c[3], false, 1); err != nil {
				t.Fatal(err)
			}
			if at(dst, 0, 3) != white || at(dst, c[2]+2, 3) != white || at(dst, c[2]+15, c[3]+1) != white || at(dst, 3, c[3]+2) != white {
				t.Error("painted outside")
			}
			want := texture(t, c[2], c[3])
			got := newCanvas(t, c[2], c[3])
			for i := range 3 {
				p, stride := got.Plane(i)
				q, qs := dst.Plane(i)
				k := min(i, 1)
				for y := range c[3] >> k {
					copy(p[y*stride:][:c[2]>>k], q[(y+2>>k)*qs+2>>k:])
				}
			}
			for i := range 3 {
				p, stride := got.Plane(i)
				q, qs := want.Plane(i)
				k, sum, n := min(i, 1), 0, 0
				for y := range c[3] >> k {
					for x := range c[2] >> k {
						d := int(p[y*stride+x]) - int(q[y*qs+x])
						sum += max(d, -d)
						n++
					}
				}
				if off := float64(sum) / float64(n); off > 4 && (c[2] > 64 || off > 30) { // coarse pictures have corners
					t.Errorf("plane %d is off by %.2f", i, off)
				}
			}
		})
	}
}

func BenchmarkScale(b *testing.B) {
	for _, c := range [][4]int{{640, 360, 426, 240}, {640, 360, 256, 144}, {320, 180, 300, 170}, {1280, 720, 1024, 576}} {
		b.Run(fmt.Sprint(c), func(b *testing.B) {
			src, dst := texture(b, c[0], c[1]), newCanvas(b, c[2], c[3])
			for b.Loop() {
				if err := dst.DrawCanvas(src, 0, 0, c[2], c[3], false, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
