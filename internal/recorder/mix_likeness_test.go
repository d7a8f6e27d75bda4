package recorder

import (
	"fmt"
	"math"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/session"
	"tapedeck/internal/testkit/clips"
)

// A mix of every layout looks like a composition that ffmpeg's filters make of
// the same clips, frame by frame, at the default bit rate of the API. Boxes are
// written down here from spec/layouts.md and not taken from the package that
// places them.
func TestMixLooksLikeTheReference(t *testing.T) {
	const s, g = 0.235, 0.012
	cell := 1. / 2
	for _, c := range []struct {
		name  string
		l     session.Layout
		boxes [3][4]float64 // of users 101, 102 and 104
		fit   [3]bool
	}{
		{"floating", session.Layout{Kind: 0}, [3][4]float64{{0, 0, 1, 1}, {g, 1 - s - g, s, s}, {g + s + g, 1 - s - g, s, s}}, [3]bool{}},
		{"best fit", session.Layout{Kind: 1}, [3][4]float64{{0, 0, cell, cell}, {cell, 0, cell, cell}, {0, cell, cell, cell}}, [3]bool{}},
		{"vertical", session.Layout{Kind: 2, MaxUID: 102}, [3][4]float64{{.8, 0, .2, .25}, {0, 0, .8, 1}, {.8, .25, .2, .25}}, [3]bool{false, true, false}},
		{
			"custom", session.Layout{Kind: 3, Regions: []session.CustomRegion{
				{UID: 104, X: 0, Y: 0, W: 1, H: 0.5, Alpha: 1, Fit: true}, {X: 0, Y: 0.5, W: 0.5, H: 0.5, Alpha: 1, Fit: true}, {X: 0.5, Y: 0.5, W: 0.5, H: 0.5, Alpha: 1},
			}}, [3][4]float64{{0, .5, .5, .5}, {.5, .5, .5, .5}, {0, 0, 1, .5}}, [3]bool{true, false, true},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			const w, h, fps = 640, 360, 30
			plan := mixPlan()
			plan.SliceLength, plan.Streams = 15*time.Second, session.VideoOnly
			c.l.Background = "#404040"
			plan.Mixing = &session.Mixing{Width: w, Height: h, FPS: fps, Bitrate: 500, Layout: c.l}
			st := newStage(t, plan)
			// From the first picture of the clips on: picture n of the mix shows
			// picture n of everybody.
			for i, k := range []int{0, 1, 3} {
				st.actor(k).stay(-53*milli+media.Time(i)*milli, 20*second)
			}
			st.run(2500 * milli)
			st.stop()
			sets, err := clips.Make(t.Context(), clips.CacheDir(), mixCast)
			if err != nil {
				t.Fatal(err)
			}
			graph := fmt.Sprintf("color=c=0x404040:s=%dx%d:r=%d[c0]", w, h, fps)
			args := []string{"-hide_banner", "-i", st.mp4(0)}
			for i, k := range []int{0, 1, 3} {
				if path := sets[k].Layers[0].Path; strings.HasSuffix(path, ".ivf") {
					args = append(args, "-i", path) // knows its rate
				} else {
					args = append(args, "-framerate", fmt.Sprint(fps), "-i", path)
				}
				graph += ";" + reference(i, c.boxes[i], c.fit[i], w, h)
			}
			graph += ";[0:v]setpts=N/30/TB,trim=end_frame=60[m];[c3]setpts=N/30/TB,trim=end_frame=60,format=yuv420p[r];[m][r]ssim"
			out, err := exec.CommandContext(t.Context(), "ffmpeg", append(args, "-filter_complex", graph, "-f", "null", "-")...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			m := regexp.MustCompile(`SSIM Y:([0-9.]+) .*All:([0-9.]+)`).FindSubmatch(out)
			if m == nil {
				t.Fatalf("ffmpeg: %s", out)
			}
			luma, _ := strconv.ParseFloat(string(m[1]), 64)
			all, _ := strconv.ParseFloat(string(m[2]), 64)
			t.Logf("SSIM: luma %.4f, all %.4f", luma, all)
			if luma < 0.97 || all < 0.97 {
				t.Errorf("SSIM: luma %.4f, all %.4f, want 0.97", luma, all)
			}
		})
	}
}

// reference draws user i into a box on the canvas [c<i>], which becomes [c<i+1>].
func reference(i int, box [4]float64, fit bool, w, h int) string {
	edge := func(v float64, size int) int { return 2 * int(math.Round(v*float64(size)/2)) }
	x, y := edge(box[0], w), edge(box[1], h)
	bw, bh := edge(box[0]+box[2], w)-x, edge(box[1]+box[3], h)-y
	var b strings.Builder
	how := fmt.Sprintf("scale=%d:%d:force_original_aspect_ratio=increase:flags=area,crop=%d:%d", bw, bh, bw, bh)
	if fit {
		how = fmt.Sprintf("scale=%d:%d:force_original_aspect_ratio=decrease:flags=area,pad=%d:%d:-1:-1:black", bw, bh, bw, bh)
	}
	fmt.Fprintf(&b, "[%d:v]setpts=N/30/TB,%s[v%d];[c%d][v%d]overlay=%d:%d:shortest=1[c%d]", i+1, how, i, i, i, x, y, i+1)
	return b.String()
}
