package codec

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
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

// What the fast way makes of noise is bilinear, to the last column
// and the last row, whatever the width leaves of its groups of columns.
func TestScaleIsBilinear(t *testing.T) {
	if info, _ := os.ReadFile("/proc/cpuinfo"); !strings.Contains(string(info), " avx2") {
		t.Skip("libyuv scales")
	}
	for _, c := range [][4]int{
		{640, 360, 384, 216}, {640, 360, 416, 234}, {640, 360, 480, 270}, {320, 180, 288, 162}, {651, 357, 434, 238}, {120, 90, 64, 48}, {99, 66, 66, 44},
	} {
		src, dst := newCanvas(t, c[0], c[1]), newCanvas(t, c[2], c[3])
		rng := rand.New(rand.NewPCG(1, 2))
		for i := range 3 {
			p, _ := src.Plane(i)
			for n := range p {
				p[n] = byte(rng.Uint32())
			}
		}
		if err := dst.DrawCanvas(src, 0, 0, c[2], c[3], false, 1); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			p, ps := src.Plane(i)
			q, qs := dst.Plane(i)
			k := min(i, 1)
			sw, sh, dw, dh := (c[0]+k)>>k, (c[1]+k)>>k, c[2]>>k, c[3]>>k
			for y := range dh {
				y0, y1, fy := neighbours(y, sh, dh)
				for x := range dw {
					x0, x1, fx := neighbours(x, sw, dw)
					across := func(y int) float64 { return float64(p[y*ps+x0])*(1-fx) + float64(p[y*ps+x1])*fx }
					want, got := across(y0)*(1-fy)+across(y1)*fy, float64(q[y*qs+x])
					if math.Abs(want-got) > 2.2 { // fractions are kept in 1/128
						t.Fatalf("%v: plane %d at %d,%d is %v, want %.1f", c, i, x, y, got, want)
					}
				}
			}
		}
	}
}

// neighbours are the two samples of n that make sample i of m, and the part of the second.
func neighbours(i, n, m int) (a, b int, part float64) {
	pos := max(0, (float64(i)+0.5)*float64(n)/float64(m)-0.5)
	a = min(int(pos), n-1)
	return a, min(a+1, n-1), pos - float64(a)
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
