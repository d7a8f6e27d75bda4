package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"math"
	"os/exec"
	"testing"

	"tapedeck/internal/media"
)

// corners are the colours of a picture's quarters: top left, top right, bottom
// left, bottom right.
func corners() [4][3]byte {
	return [4][3]byte{{200, 30, 30}, {30, 160, 60}, {40, 60, 200}, {230, 210, 90}}
}

// encode makes one key frame of a picture in four colours.
func encode(t testing.TB, c media.Codec, w, h int, matrix, rng string) media.Unit {
	t.Helper()
	rgb := make([]byte, 0, w*h*3)
	for y := range h {
		for x := range w {
			k := corners()[y*2/h*2+x*2/w]
			rgb = append(rgb, k[:]...)
		}
	}
	space := matrix
	if matrix == "bt601" {
		space = "smpte170m"
	}
	args := []string{
		"-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", fmt.Sprintf("%dx%d", w, h), "-i", "-",
		"-vf", fmt.Sprintf("scale=out_color_matrix=%s:out_range=%s,format=yuv420p", matrix, rng),
		"-colorspace", space, "-color_range", rng, "-frames:v", "1",
	}
	switch c {
	case media.H264:
		args = append(args, "-c:v", "libx264", "-preset", "ultrafast", "-qp", "8", "-f", "h264", "-")
	case media.VP9:
		args = append(args, "-c:v", "libvpx-vp9", "-deadline", "realtime", "-b:v", "3M", "-f", "ivf", "-")
	default:
		args = append(args, "-c:v", "libvpx", "-deadline", "realtime", "-b:v", "3M", "-qmax", "10", "-f", "ivf", "-")
	}
	cmd := exec.Command("ffmpeg", args...)
	cmd.Stdin = bytes.NewReader(rgb)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, complaint.String())
	}
	data := out.Bytes()
	if c != media.H264 {
		data = data[44:] // the headers of the file and of its one frame
	}
	return media.Unit{Codec: c, Key: true, W: w, H: h, Data: data}
}

// mean is the average colour in the middle of a quarter of the picture.
func mean(img image.Image, quarter int) [3]float64 {
	b := img.Bounds()
	w, h := b.Dx()/2, b.Dy()/2
	x0, y0 := quarter%2*w, quarter/2*h
	var sum [3]float64
	n := 0.0
	for y := y0 + h/4; y < y0+h*3/4; y++ {
		for x := x0 + w/4; x < x0+w*3/4; x++ {
			r, g, bl, _ := img.At(x, y).RGBA()
			sum[0], sum[1], sum[2], n = sum[0]+float64(r>>8), sum[1]+float64(g>>8), sum[2]+float64(bl>>8), n+1
		}
	}
	return [3]float64{sum[0] / n, sum[1] / n, sum[2] / n}
}

func TestPicturesHaveTheColoursAndTheSizeOfTheSource(t *testing.T) {
	cases := []struct {
		codec       media.Codec
		w, h        int
		matrix, rng string
	}{
		{media.H264, 640, 360, "bt601", "tv"},
		{media.H264, 640, 360, "bt709", "tv"},
		{media.H264, 640, 360, "bt601", "pc"},
		{media.H264, 640, 360, "bt709", "pc"},
		{media.H264, 360, 640, "bt709", "tv"}, // a telephone upright
		{media.VP8, 640, 360, "bt601", "tv"},
		{media.VP8, 321, 181, "bt601", "tv"},
		{media.VP9, 320, 180, "bt601", "tv"},
		{media.VP9, 320, 180, "bt709", "tv"},
	}
	for _, tc := range cases {
		t.Run(fmt.Sprintf("%s %dx%d %s %s", tc.codec, tc.w, tc.h, tc.matrix, tc.rng), func(t *testing.T) {
			b, err := Picture(encode(t, tc.codec, tc.w, tc.h, tc.matrix, tc.rng))
			if err != nil {
				t.Fatal(err)
			}
			img, err := jpeg.Decode(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			if s := img.Bounds().Size(); s.X != tc.w&^1 || s.Y != tc.h&^1 {
				t.Errorf("the picture is %v", s)
			}
			for q, want := range corners() {
				got := mean(img, q)
				for i := range want {
					if math.Abs(got[i]-float64(want[i])) > 8 {
						t.Errorf("quarter %d is %.0f, want %v", q, got, want)
						break
					}
				}
			}
		})
	}
}

func TestWhatIsNoKeyFrameGivesNoPicture(t *testing.T) {
	u := encode(t, media.H264, 320, 180, "bt601", "tv")
	for name, data := range map[string][]byte{
		"nothing":              nil,
		"noise":                {1, 2, 3, 4, 5, 6, 7, 8},
		"parameter sets alone": u.Data[:40],
	} {
		u.Data = data
		if b, err := Picture(u); err == nil {
			t.Errorf("%s gave a picture of %d bytes", name, len(b))
		}
	}
	if _, err := Picture(media.Unit{Codec: media.Opus, Data: []byte{1}}); err == nil || errors.Is(err, ErrNoPicture) {
		t.Errorf("sound gave %v", err)
	}
}

// BenchmarkPicture is what one picture costs: a camera in 1280x720.
func BenchmarkPicture(b *testing.B) {
	u := encode(b, media.H264, 1280, 720, "bt601", "tv")
	b.ReportMetric(float64(len(u.Data)), "bytes/keyframe")
	for b.Loop() {
		if _, err := Picture(u); err != nil {
			b.Fatal(err)
		}
	}
}
