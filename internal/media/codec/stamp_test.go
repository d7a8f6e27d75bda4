package codec

import "testing"

// A stamp blends pixel by pixel and touches nothing beside it.
func TestStamp(t *testing.T) {
	const w, h = 8, 4
	pix := make([]byte, 4*w*h)
	for i := range w * h {
		alpha := byte(0) // left half clear, right half opaque
		if i%w >= w/2 {
			alpha = 255
		}
		copy(pix[4*i:], []byte{255, 0, 0, alpha})
	}
	s, err := NewStamp(pix, w, h)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := newCanvas(t, 32, 16)
	fill(t, c, 0, 0, 32, 16, green)
	if err := c.Stamp(s, 10, 6); err != nil {
		t.Fatal(err)
	}
	for _, p := range []struct {
		x, y int
		want YUV
	}{{9, 7, green}, {12, 7, green}, {15, 7, red}, {17, 9, red}, {18, 7, green}, {15, 10, green}, {15, 5, green}} {
		if got := at(c, p.x, p.y); !near(got, p.want, 2) {
			t.Errorf("%d,%d is %v, want %v", p.x, p.y, got, p.want)
		}
	}
	for i := range w * h {
		pix[4*i+3] = 128
	}
	half, err := NewStamp(pix, w, h)
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	fill(t, c, 0, 0, 32, 16, black)
	if err := c.Stamp(half, 0, 0); err != nil {
		t.Fatal(err)
	}
	want := YUV{(red[0] + black[0]) / 2, byte((int(red[1]) + int(black[1])) / 2), byte((int(red[2]) + int(black[2])) / 2)}
	if got := at(c, 2, 2); !near(got, want, 2) {
		t.Errorf("half opaque is %v, want %v", got, want)
	}
	for _, p := range [][2]int{{26, 0}, {0, 14}, {-2, 0}, {1, 0}, {0, 3}, {1 << 30, 0}} {
		if err := c.Stamp(s, p[0], p[1]); err == nil {
			t.Errorf("stamped at %v", p)
		}
	}
	if _, err := NewStamp(pix, 7, 4); err == nil {
		t.Error("an odd stamp")
	}
	if _, err := NewStamp(pix[:10], w, h); err == nil {
		t.Error("a stamp behind the end of its samples")
	}
}

func TestBlitAndRows(t *testing.T) {
	a, b := newCanvas(t, 32, 16), newCanvas(t, 32, 16)
	fill(t, a, 0, 0, 32, 16, red)
	fill(t, b, 0, 0, 32, 16, blue)
	if err := b.Blit(a, 8, 4, 16, 8); err != nil {
		t.Fatal(err)
	}
	for _, p := range []struct {
		x, y int
		want YUV
	}{{7, 5, blue}, {8, 4, red}, {23, 11, red}, {24, 11, blue}, {20, 12, blue}} {
		if got := at(b, p.x, p.y); got != p.want {
			t.Errorf("%d,%d is %v, want %v", p.x, p.y, got, p.want)
		}
	}
	if b.Blit(b, 0, 0, 2, 2) == nil || b.Blit(a, 0, 0, 34, 2) == nil || b.Blit(newCanvas(t, 30, 16), 0, 0, 2, 2) == nil {
		t.Error("a copy that cannot be")
	}
	pix := make([]byte, 33*4*5)
	for i := range 33 * 5 {
		copy(pix[4*i:], []byte{0, 0, 255, 9})
	}
	c := newCanvas(t, 33, 17)
	if err := c.SetRows(12, pix, 33*4, 5); err != nil {
		t.Fatal(err)
	}
	if got := at(c, 20, 16); !near(got, blue, 1) {
		t.Errorf("last row is %v", got)
	}
	if got := at(c, 20, 11); got != black {
		t.Errorf("the row before is %v", got)
	}
	for _, k := range [][3]int{{14, 33 * 4, 5}, {1, 33 * 4, 2}, {0, 33 * 4, 3}, {-2, 33 * 4, 2}, {0, 32, 2}, {0, 33 * 4, 6}} {
		if err := c.SetRows(k[0], pix, k[1], k[2]); err == nil {
			t.Errorf("took rows %v", k)
		}
	}
}
