package compose

import (
	"testing"

	"tapedeck/internal/media"
	"tapedeck/internal/media/codec"
	"tapedeck/internal/media/layout"
	"tapedeck/internal/session"
)

// sender encodes plain pictures, one access unit each.
type sender struct {
	t *testing.T
	d *codec.VideoDecoder
}

func newSender(t *testing.T) *sender {
	t.Helper()
	d, err := codec.NewVideoDecoder(media.H264)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return &sender{t, d}
}

// show decodes a picture of one colour.
func (s *sender) show(w, h int, colour codec.YUV) *codec.VideoDecoder {
	s.t.Helper()
	e, err := codec.NewH264Encoder(codec.EncoderConfig{W: w, H: h, FPS: 15, Kbps: 2000})
	if err != nil {
		s.t.Fatal(err)
	}
	defer e.Close()
	c, err := codec.NewCanvas(w, h)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	if err := c.Fill(0, 0, w, h, colour); err != nil {
		s.t.Fatal(err)
	}
	out, err := e.Encode(c, 0, true)
	if err != nil {
		s.t.Fatal(err)
	}
	if len(out) == 0 {
		if out, err = e.Flush(); err != nil {
			s.t.Fatal(err)
		}
	}
	if ok, err := s.d.Decode(out[0].Data); !ok || err != nil {
		s.t.Fatalf("no picture: %v", err)
	}
	return s.d
}

var (
	grey   = codec.RGB(90, 90, 90)
	red    = codec.RGB(200, 20, 20)
	green  = codec.RGB(20, 180, 20)
	blue   = codec.RGB(30, 30, 220)
	yellow = codec.RGB(220, 220, 30)
	black  = codec.RGB(0, 0, 0)
)

type want struct {
	x, y   int
	colour codec.YUV
}

func draw(t *testing.T, c *Composer, changed bool, ws ...want) {
	t.Helper()
	got, err := c.Draw()
	if err != nil {
		t.Fatal(err)
	}
	if got != changed {
		t.Errorf("changed: %v, want %v", got, changed)
	}
	look(t, c, ws...)
}

func look(t *testing.T, c *Composer, ws ...want) {
	t.Helper()
	for _, w := range ws {
		for i := range 3 {
			p, stride := c.Canvas().Plane(i)
			k := min(i, 1)
			v := p[(w.y>>k)*stride+w.x>>k]
			if d := int(v) - int(w.colour[i]); d > 4 || d < -4 {
				t.Errorf("pixel %d,%d plane %d is %d, want %v", w.x, w.y, i, v, w.colour)
			}
		}
	}
}

func compose(t *testing.T) *Composer {
	t.Helper()
	c, err := New(640, 360)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestBestFitLife(t *testing.T) {
	c := compose(t)
	best := session.Layout{Kind: layout.BestFit}
	place := func(uids ...uint32) { c.Arrange(Scene{Regions: layout.Place(best, uids, 640, 360), Colour: grey}) }
	a, b := newSender(t), newSender(t)

	draw(t, c, true, want{320, 180, black}) // nobody yet: default background
	draw(t, c, false)
	place(1, 2, 3)
	draw(t, c, true, want{160, 90, grey}, want{480, 90, grey}, want{639, 359, grey})
	c.Show(1, a.show(320, 180, red))
	draw(t, c, true, want{160, 90, red}, want{0, 0, red}, want{319, 179, red}, want{322, 90, grey})
	draw(t, c, false)
	c.Show(2, b.show(180, 320, blue)) // portrait into landscape: cropped
	draw(t, c, true, want{160, 90, red}, want{322, 2, blue}, want{480, 90, blue}, want{638, 170, blue})

	place(1, 2, 3) // nothing new
	draw(t, c, false)
	place(2, 3) // user 1 left: user 2 moves and keeps the last picture
	c.Hide(1)
	draw(t, c, true, want{10, 10, blue}, want{310, 350, blue}, want{480, 180, grey})
	c.Show(1, a.d) // has no region
	draw(t, c, false)
	c.Hide(2)
	draw(t, c, true, want{160, 180, grey})
	c.Hide(2)
	draw(t, c, false)
}

// A picture that is painted before its turn is on the canvas, and the next Draw
// tells of it; what Paint has to leave comes with Draw.
func TestPaintDrawsEarly(t *testing.T) {
	c := compose(t)
	best := session.Layout{Kind: layout.BestFit}
	a, b := newSender(t), newSender(t)
	show := func(s *sender, uid uint32, w, h int, colour codec.YUV) {
		c.Show(uid, s.show(w, h, colour))
		c.Paint(uid)
	}

	c.Arrange(Scene{Regions: layout.Place(best, []uint32{1, 2}, 640, 360), Colour: grey})
	show(a, 1, 320, 180, red)
	look(t, c, want{160, 180, black}) // a new scene waits for Draw
	draw(t, c, true, want{160, 180, red}, want{480, 180, grey})

	show(b, 2, 320, 180, blue)
	look(t, c, want{160, 180, red}, want{480, 180, blue})
	draw(t, c, true, want{160, 180, red}, want{480, 180, blue})
	draw(t, c, false)
	c.Paint(2) // nothing new
	c.Paint(7) // nobody
	draw(t, c, false)

	// In the floating layout small windows lie on the large one: all of it is Draw's.
	c.Arrange(Scene{Regions: layout.Place(session.Layout{}, []uint32{1, 2}, 640, 360), Colour: grey})
	draw(t, c, true, want{320, 100, red}, want{80, 310, blue})
	show(a, 1, 320, 180, green)
	look(t, c, want{320, 100, red}, want{80, 310, blue})
	draw(t, c, true, want{320, 100, green}, want{80, 310, blue})
}

func TestVerticalShowsTheWholeLargePicture(t *testing.T) {
	c := compose(t)
	c.Arrange(Scene{Regions: layout.Place(session.Layout{Kind: layout.Vertical, MaxUID: 9}, []uint32{5, 9}, 640, 360), Colour: grey})
	c.Show(9, newSender(t).show(160, 160, red))
	// Large region 512x360: a square becomes 360x360 between black bars.
	draw(t, c, true, want{70, 180, black}, want{80, 5, red}, want{250, 180, red}, want{430, 355, red}, want{442, 180, black}, want{560, 40, grey}, want{560, 300, grey})
}

func TestFloatingKeepsSmallWindowsOnTop(t *testing.T) {
	c := compose(t)
	c.Arrange(Scene{Regions: layout.Place(session.Layout{}, []uint32{1, 2, 3}, 640, 360), Colour: grey})
	big, small := newSender(t), newSender(t)
	c.Show(2, small.show(160, 90, yellow))
	c.Show(1, big.show(320, 180, red))
	// User 3 sends no video: the large picture shows through.
	draw(t, c, true, want{320, 100, red}, want{80, 310, yellow}, want{240, 310, red})
	c.Show(1, big.show(320, 180, green))
	draw(t, c, true, want{320, 100, green}, want{80, 310, yellow}, want{240, 310, green})
	c.Show(2, small.show(160, 90, blue))
	draw(t, c, true, want{320, 100, green}, want{80, 310, blue})
}

// A translucent box over another one is blended once, however often either is
// drawn again.
func TestTranslucentBoxes(t *testing.T) {
	c := compose(t)
	boxes := []session.CustomRegion{
		{UID: 1, X: 0, Y: 0, W: 0.5, H: 1, Alpha: 1},
		{UID: 2, X: 0.25, Y: 0.25, W: 0.5, H: 0.5, Alpha: 0.5}, // half on user 1, half on the background
		{UID: 3, X: 0.75, Y: 0, W: 0.25, H: 1, Alpha: 1},
	}
	c.Arrange(Scene{Regions: layout.Place(session.Layout{Kind: layout.Custom, Regions: boxes}, []uint32{1, 2, 3}, 640, 360), Colour: grey})
	mid := func(a, b codec.YUV) (m codec.YUV) {
		for i := range m {
			m[i] = byte((int(a[i]) + int(b[i])) / 2)
		}
		return m
	}
	a, b := newSender(t), newSender(t)
	c.Show(1, a.show(320, 180, red))
	c.Show(2, b.show(320, 180, blue))
	ws := []want{{80, 180, red}, {240, 180, mid(red, blue)}, {400, 180, mid(grey, blue)}, {400, 20, grey}, {600, 180, grey}}
	draw(t, c, true, ws...)
	for range 3 {
		c.Show(1, a.d)
		draw(t, c, true, ws...)
		c.Show(2, b.d)
		draw(t, c, true, ws...)
	}
	c.Show(1, a.show(320, 180, green))
	draw(t, c, true, want{80, 180, green}, want{240, 180, mid(green, blue)}, want{400, 180, mid(grey, blue)})
}

func TestColour(t *testing.T) {
	for s, c := range map[string]codec.YUV{"#C81414": red, "#c81414": red, "#000000": black, "": black, "red": black, "#12345": black, "#12345g": black, "#+12345": black} {
		if got := Colour(s); got != c {
			t.Errorf("%q is %v, want %v", s, got, c)
		}
	}
	if _, err := New(641, 360); err == nil {
		t.Error("an odd canvas")
	}
}

// A translucent box on the bare background does not get denser by being drawn
// again.
func TestTranslucentBoxAlone(t *testing.T) {
	c := compose(t)
	boxes := []session.CustomRegion{{UID: 1, X: 0.25, Y: 0.25, W: 0.5, H: 0.5, Alpha: 0.5}}
	c.Arrange(Scene{Regions: layout.Place(session.Layout{Kind: layout.Custom, Regions: boxes}, []uint32{1}, 640, 360), Colour: grey})
	a := newSender(t)
	c.Show(1, a.show(320, 180, red))
	mid := codec.YUV{byte((int(red[0]) + int(grey[0])) / 2), byte((int(red[1]) + int(grey[1])) / 2), byte((int(red[2]) + int(grey[2])) / 2)}
	draw(t, c, true, want{320, 180, mid})
	for range 5 {
		c.Show(1, a.d)
		draw(t, c, true, want{320, 180, mid}, want{10, 10, grey})
	}
}

// still makes a canvas of two halves.
func still(t *testing.T, w, h int, left, right codec.YUV) *codec.Canvas {
	t.Helper()
	c, err := codec.NewCanvas(w, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Fill(0, 0, w/2, h, left); err != nil {
		t.Fatal(err)
	}
	if err := c.Fill(w/2, 0, w/2, h, right); err != nil {
		t.Fatal(err)
	}
	return c
}

// A backdrop shows where nobody is, under translucent boxes, and where somebody
// was.
func TestBackdrop(t *testing.T) {
	c := compose(t)
	boxes := []session.CustomRegion{{UID: 1, X: 0, Y: 0, W: 0.25, H: 1, Alpha: 1}, {UID: 2, X: 0.75, Y: 0, W: 0.25, H: 1, Alpha: 0.5}}
	scene := Scene{Regions: layout.Place(session.Layout{Kind: layout.Custom, Regions: boxes}, []uint32{1, 2}, 640, 360), Colour: grey, Backdrop: still(t, 640, 360, yellow, blue)}
	c.Arrange(scene)
	a, b := newSender(t), newSender(t)
	c.Show(1, a.show(320, 180, red))
	c.Show(2, b.show(320, 180, green))
	mid := codec.YUV{byte((int(blue[0]) + int(green[0])) / 2), byte((int(blue[1]) + int(green[1])) / 2), byte((int(blue[2]) + int(green[2])) / 2)}
	draw(t, c, true, want{80, 180, red}, want{240, 180, yellow}, want{400, 180, blue}, want{560, 180, mid})
	c.Show(2, b.d)
	draw(t, c, true, want{560, 180, mid})
	c.Hide(1)
	draw(t, c, true, want{80, 180, yellow}, want{560, 180, mid})
	scene.Backdrop = nil
	c.Arrange(scene)
	draw(t, c, true, want{80, 180, grey}, want{240, 180, grey})
}

// A still picture takes the place of a user's video, cropped or whole.
func TestStill(t *testing.T) {
	c := compose(t)
	c.Arrange(Scene{Regions: layout.Place(session.Layout{Kind: layout.BestFit}, []uint32{1, 2}, 640, 360), Colour: grey})
	a := newSender(t)
	c.Show(1, a.show(320, 180, red))
	pic := still(t, 320, 80, yellow, blue)
	c.Still(2, pic, true)
	draw(t, c, true, want{100, 180, red}, want{340, 180, yellow}, want{620, 180, blue}, want{480, 40, black})
	c.Still(2, pic, false)
	draw(t, c, true, want{340, 40, yellow}, want{620, 340, blue})
	draw(t, c, false)
	c.Show(2, a.d)
	draw(t, c, true, want{480, 180, red})
	c.Still(1, pic, false)
	draw(t, c, true, want{20, 20, yellow}, want{480, 180, red})
}

// An overlay lies above everything, is blended once, and moving pictures under
// it do not wear it out; tiles that it does not touch are left alone.
func TestOverlay(t *testing.T) {
	pix := make([]byte, 4*40*20)
	for i := range 40 * 20 {
		copy(pix[4*i:], []byte{255, 255, 255, 128})
	}
	stamp, err := codec.NewStamp(pix, 40, 20)
	if err != nil {
		t.Fatal(err)
	}
	defer stamp.Close()
	white := codec.RGB(255, 255, 255)
	mix := func(a codec.YUV) (m codec.YUV) {
		for i := range m {
			m[i] = byte((int(a[i]) + int(white[i])) / 2)
		}
		return m
	}
	c := compose(t)
	c.Arrange(Scene{
		Regions: layout.Place(session.Layout{}, []uint32{1, 2, 3}, 640, 360), Colour: grey,
		Overlays: []Overlay{{X: 20, Y: 300, Stamp: stamp}, {X: 300, Y: 20, Stamp: stamp}},
	})
	big, small := newSender(t), newSender(t)
	draw(t, c, true, want{320, 30, mix(grey)}, want{40, 310, mix(grey)})
	c.Show(1, big.show(320, 180, red))
	draw(t, c, true, want{320, 30, mix(red)}, want{40, 310, mix(red)})
	c.Show(2, small.show(160, 90, yellow))
	for range 4 {
		draw(t, c, true, want{320, 30, mix(red)}, want{40, 310, mix(yellow)}, want{100, 330, yellow})
		c.Show(2, small.d)
	}
	draw(t, c, true)
	for range 4 {
		c.Show(1, big.d)
		draw(t, c, true, want{320, 30, mix(red)}, want{40, 310, mix(yellow)}, want{240, 310, red})
	}
	if _, marked := c.Draw(); marked != nil {
		t.Fatal(marked)
	}
	c.Show(2, small.d)
	if err := c.spread(); err != nil {
		t.Fatal(err)
	}
	for _, tl := range c.tiles {
		// The small window hides what is under its label: the large one rests.
		if wantDirty := tl.UID == 2 || tl.stamp != nil && tl.X == 20; tl.dirty != wantDirty {
			t.Errorf("tile %+v dirty %v", tl.Region, tl.dirty)
		}
	}
}
