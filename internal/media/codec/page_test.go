package codec

import "testing"

// Colours of a page land where they belong, and nothing around them changes.
func TestDrawBGRX(t *testing.T) {
	c, err := NewCanvas(16, 8)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const stride = 4 * 6 // a row of six pixels, four of them used
	pix := make([]byte, stride*2)
	for i := 0; i < len(pix); i += 4 {
		copy(pix[i:], []byte{0, 0, 255, 0}) // red
	}
	if err := c.DrawBGRX(pix, stride, 4, 2, 4, 2); err != nil {
		t.Fatal(err)
	}
	want := RGB(255, 0, 0)
	for plane, scale := range []int{1, 2, 2} {
		p, s := c.Plane(plane)
		for y := range 8 / scale {
			for x := range 16 / scale {
				in := x >= 4/scale && x < 8/scale && y >= 2/scale && y < 4/scale
				black := RGB(0, 0, 0)
				expect := black[plane]
				if in {
					expect = want[plane]
				}
				if d := int(p[y*s+x]) - int(expect); d < -2 || d > 2 {
					t.Fatalf("plane %d at %d,%d: %d, want %d", plane, x, y, p[y*s+x], expect)
				}
			}
		}
	}
	for _, bad := range [][5]int{{stride, 5, 2, 4, 2}, {stride, 4, 2, 4, 4}, {8, 4, 2, 4, 2}, {stride, 14, 2, 4, 2}, {stride, -2, 2, 4, 2}} {
		if err := c.DrawBGRX(pix, bad[0], bad[1], bad[2], bad[3], bad[4]); err == nil {
			t.Errorf("%v is drawn", bad)
		}
	}
}

// Prompt: every picture comes out of the call that it went in with.
func TestPromptEncoder(t *testing.T) {
	e, err := NewH264Encoder(EncoderConfig{W: 64, H: 32, FPS: 30, Kbps: 500, Prompt: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	c, err := NewCanvas(64, 32)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for n := range int64(20) {
		if err := c.Fill(0, 0, 2*int(1+n), 32, RGB(byte(n*10), 0, 0)); err != nil {
			t.Fatal(err)
		}
		out, err := e.Encode(c, 7*n, n == 10)
		if err != nil || len(out) != 1 || out[0].Frame != 7*n || out[0].Key != (n == 0 || n == 10) {
			t.Fatalf("picture %d: %d units, %v", n, len(out), err)
		}
	}
}
