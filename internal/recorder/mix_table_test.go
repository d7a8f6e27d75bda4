package recorder

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/media/codec"
	"tapedeck/internal/media/compose"
	"tapedeck/internal/media/layout"
	"tapedeck/internal/session"
	"tapedeck/internal/testkit/clips"
	"tapedeck/internal/testkit/publish"
)

// The table of docs/benchmarks.md (make bench-mix): what composing costs beside
// what decoding the inputs and encoding the output cost alone, and beside other
// programs that do the same with the same encoder settings. All figures are CPU
// seconds, user and system, of one second of output.

const (
	tableLength = 6 // seconds of output a run
	tableRounds = 3 // of every program in turn
)

// form is an output of the table.
type form struct{ w, h, fps, kbps int }

// footage is the input of one user.
type footage struct {
	codec   media.Codec
	w, h    int
	path    string // elementary stream
	wrapped string // the same in Matroska, which has times
}

// shoot makes the pictures of user i: a soft background, somebody who moves in
// front of it, a camera's noise; encoded as browsers do.
func shoot(b *testing.B, i int, c media.Codec, w, h, kbps int) footage {
	b.Helper()
	dir := filepath.Join(clips.CacheDir(), "mix-table-1")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	s := footage{codec: c, w: w, h: h, path: filepath.Join(dir, fmt.Sprintf("%d-%v-%dx%d-%d", i, c, w, h, kbps))}
	s.wrapped = s.path + ".mkv"
	args := []string{"-c:v", "libx264", "-preset", "superfast", "-tune", "zerolatency", "-profile:v", "baseline"}
	kind := "h264"
	if c == media.VP8 {
		kind, args = "ivf", []string{"-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-auto-alt-ref", "0"}
	}
	s.path += "." + kind
	if _, err := os.Stat(s.wrapped); !errors.Is(err, fs.ErrNotExist) {
		return s
	}
	rate := fmt.Sprintf("%dk", kbps)
	graph := fmt.Sprintf("mandelbrot=s=640x360:start_x=-0.7436:start_y=%.4f:start_scale=0.05:maxiter=200,trim=end_frame=1,loop=-1:1,setpts=N/30/TB,hue=h=%d,gblur=2,format=yuv420p[b];"+
		"mandelbrot=s=320x320:start_x=-0.16:start_y=1.04:start_scale=%.3f:maxiter=150,trim=end_frame=1,loop=-1:1,setpts=N/30/TB,scale=220:260,gblur=1.2,format=yuva420p,rotate=0.12*sin(2*t+%d):c=none[f];"+
		"[b][f]overlay=x='210+40*sin(1.7*t+%d)':y='95+12*sin(3.1*t)':eval=frame,noise=alls=3:allf=t,scale=%d:%d:flags=area,format=yuv420p", 0.1318+0.002*float64(i), 40*i, 0.08+0.004*float64(i), i, 2*i, w, h)
	args = append([]string{"-v", "error", "-y", "-filter_complex", graph, "-t", fmt.Sprint(tableLength), "-r", "30", "-g", "180", "-b:v", rate, "-maxrate", rate, "-bufsize", rate, "-threads", "1"}, args...)
	ffmpeg(b, append(args, "-f", kind, s.path)...)
	ffmpeg(b, "-v", "error", "-y", "-r", "30", "-f", kind, "-i", s.path, "-c", "copy", s.wrapped)
	return s
}

// ffmpeg runs the program and returns its CPU seconds.
func ffmpeg(b *testing.B, args ...string) float64 { b.Helper(); return program(b, "ffmpeg", args...) }

func program(b *testing.B, name string, args ...string) float64 {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), name, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		b.Fatalf("%s: %v: %s", name, err, said.String())
	}
	return (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
}

func (s footage) clip(b *testing.B) *publish.Clip {
	b.Helper()
	load := func() (*publish.Clip, error) { return publish.LoadH264(s.path, 30) }
	if s.codec == media.VP8 {
		load = func() (*publish.Clip, error) { return publish.LoadIVF(s.path) }
	}
	c, err := load()
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// costs is one round of a row: CPU seconds of one second of output.
type costs struct{ decode, encode, ours, worker, xstack, xstackDefault, gst float64 }

// sum is what the parts cost alone.
func (c costs) sum() float64 { return c.decode + c.encode }

// median of a figure over the rounds. Ratios are taken within a round: the speed of
// the machine drifts from one to the next.
func median(rounds []costs, figure func(costs) float64) float64 {
	var all []float64
	for _, c := range rounds {
		all = append(all, figure(c))
	}
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// BenchmarkMixTable prints the table. It takes minutes and wants a quiet machine:
// make bench-mix.
func BenchmarkMixTable(b *testing.B) {
	if os.Getenv("TAPEDECK_BENCH_MIX") == "" {
		b.Skip("make bench-mix")
	}
	gst := "not installed"
	if _, err := exec.LookPath("gst-launch-1.0"); err == nil {
		gst = "installed"
	}
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("load before: %sGStreamer: %s\n\n", load, gst)
	fmt.Println("| output | inputs | users | decode alone | encode alone | sum | ours, pictures | ours / sum | ours with sound | ffmpeg, one thread | ours / it | ffmpeg as it comes | ours / it | GStreamer |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	sound := recordSound(b)
	for _, f := range []form{{1280, 720, 30, 1500}, {640, 360, 15, 500}} {
		for _, c := range []media.Codec{media.H264, media.VP8} {
			for _, n := range []int{1, 4, 9, 17} {
				if only := os.Getenv("MIX_TABLE_USERS"); only != "" && only != fmt.Sprint(n) {
					continue
				}
				tableRow(b, f, c, 640, 360, 500, n, sound, gst == "installed")
			}
		}
	}
	// The layers that a simulcast sender would be asked for.
	if only := os.Getenv("MIX_TABLE_USERS"); only == "" || only == "17" {
		tableRow(b, form{1280, 720, 30, 1500}, media.H264, 320, 180, 150, 17, sound, false)
	}
	load, _ = os.ReadFile("/proc/loadavg")
	fmt.Printf("\nload after: %s", load)
}

func recordSound(b *testing.B) *publish.Clip {
	sets, err := clips.Make(b.Context(), clips.CacheDir(), mixCast)
	if err != nil {
		b.Fatal(err)
	}
	c, err := publish.LoadOgg(sets[0].Audio.Path)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

func tableRow(b *testing.B, f form, c media.Codec, w, h, kbps, n int, sound *publish.Clip, gst bool) {
	var shots []footage
	for i := range n {
		shots = append(shots, shoot(b, i, c, w, h, kbps))
	}
	regions := layout.Place(session.Layout{Kind: layout.BestFit}, uids(n), f.w, f.h)
	var rounds []costs
	for range tableRounds {
		d := costs{gst: math.NaN()}
		d.decode = decodeAlone(b, shots)
		d.encode = encodeAlone(b, f, shots, regions)
		d.ours = mixCost(b, f, shots, nil)
		d.worker = mixCost(b, f, shots, sound)
		d.xstack = ffmpeg(b, xstack(f, shots, regions, "-threads", "1")...)
		d.xstackDefault = ffmpeg(b, xstack(f, shots, regions)...)
		if gst {
			d.gst = program(b, "gst-launch-1.0", compositor(f, shots, regions)...)
		}
		rounds = append(rounds, d)
	}
	cost := func(figure func(costs) float64) string {
		return fmt.Sprintf("%.3f", median(rounds, figure)/tableLength)
	}
	ratio := func(figure func(costs) float64) string { return fmt.Sprintf("**%.2f**", median(rounds, figure)) }
	other := "-"
	if gst {
		other = cost(func(c costs) float64 { return c.gst })
	}
	fmt.Printf("| %dx%d@%d | %v %dx%d@30 | %d |", f.w, f.h, f.fps, c, w, h, n)
	for _, cell := range []string{
		cost(func(c costs) float64 { return c.decode }), cost(func(c costs) float64 { return c.encode }), cost(costs.sum),
		cost(func(c costs) float64 { return c.ours }), ratio(func(c costs) float64 { return c.ours / c.sum() }),
		cost(func(c costs) float64 { return c.worker }),
		cost(func(c costs) float64 { return c.xstack }), ratio(func(c costs) float64 { return c.ours / c.xstack }),
		cost(func(c costs) float64 { return c.xstackDefault }), ratio(func(c costs) float64 { return c.ours / c.xstackDefault }),
		other,
	} {
		fmt.Printf(" %s |", cell)
	}
	fmt.Println()
}

func uids(n int) (out []uint32) {
	for i := range n {
		out = append(out, uint32(i+1))
	}
	return out
}

// decodeAlone decodes the inputs in the order in which a room sends them: one
// picture of everybody, then the next.
func decodeAlone(b *testing.B, shots []footage) float64 {
	var inputs []*publish.Clip
	for _, s := range shots {
		inputs = append(inputs, s.clip(b))
	}
	before := cpuSeconds()
	var decoders []*codec.VideoDecoder
	for _, s := range shots {
		d, err := codec.NewVideoDecoder(s.codec)
		if err != nil {
			b.Fatal(err)
		}
		defer d.Close()
		decoders = append(decoders, d)
	}
	for i := range tableLength * 30 {
		for k, d := range decoders {
			if _, err := d.Decode(inputs[k].Frames[i].Data); err != nil {
				b.Fatal(err)
			}
		}
	}
	return cpuSeconds() - before
}

// encodeAlone composes the output once, keeps it, and encodes it from there. Reading
// it is not counted.
func encodeAlone(b *testing.B, f form, shots []footage, regions []layout.Region) float64 {
	raw := composed(b, f, shots, regions)
	defer func() { _ = os.Remove(raw) }()
	file, err := os.Open(raw)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	c, err := codec.NewCanvas(f.w, f.h)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	before := cpuSeconds()
	e, err := codec.NewH264Encoder(codec.EncoderConfig{W: f.w, H: f.h, FPS: f.fps, Kbps: f.kbps})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	cost := cpuSeconds() - before
	for i := range int64(tableLength * f.fps) {
		readPicture(b, file, c)
		before := cpuSeconds()
		if _, err := e.Encode(c, i, i == 0); err != nil {
			b.Fatal(err)
		}
		cost += cpuSeconds() - before
	}
	return cost
}

func readPicture(b *testing.B, from io.Reader, c *codec.Canvas) {
	w, h := c.Size()
	for p := range 3 {
		plane, stride := c.Plane(p)
		for y := range h >> min(p, 1) {
			if _, err := io.ReadFull(from, plane[y*stride:][:w>>min(p, 1)]); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// composed writes the pictures of the output to a file of I420.
func composed(b *testing.B, f form, shots []footage, regions []layout.Region) string {
	c, err := compose.New(f.w, f.h)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	c.Arrange(compose.Scene{Regions: regions, Colour: codec.RGB(0, 0, 0)})
	var inputs []*publish.Clip
	var decoders []*codec.VideoDecoder
	for _, s := range shots {
		d, err := codec.NewVideoDecoder(s.codec)
		if err != nil {
			b.Fatal(err)
		}
		defer d.Close()
		inputs, decoders = append(inputs, s.clip(b)), append(decoders, d)
	}
	file, err := os.CreateTemp(b.TempDir(), "composed")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for i := range tableLength * 30 {
		for k, d := range decoders {
			if fresh, err := d.Decode(inputs[k].Frames[i].Data); err != nil || !fresh {
				b.Fatal(fresh, err)
			}
			c.Show(uint32(k+1), d)
		}
		if i%(30/f.fps) != 0 {
			continue
		}
		if _, err := c.Draw(); err != nil {
			b.Fatal(err)
		}
		for p := range 3 {
			plane, stride := c.Canvas().Plane(p)
			for y := range f.h >> min(p, 1) {
				if _, err := file.Write(plane[y*stride:][:f.w>>min(p, 1)]); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	return file.Name()
}

// mixCost is what the whole mode costs: queue, decoding, composing, encoding, HLS
// and, with sound, decoding, mixing and encoding that.
func mixCost(b *testing.B, f form, shots []footage, sound *publish.Clip) float64 {
	plan := mixPlan()
	plan.SliceLength, plan.MP4 = 15*time.Second, sound != nil
	if sound == nil {
		plan.Streams = session.VideoOnly
	}
	plan.Mixing = &session.Mixing{Width: f.w, Height: f.h, FPS: f.fps, Bitrate: f.kbps, Layout: session.Layout{Kind: layout.BestFit}}
	s := newStage(b, plan)
	for i, k := range shots {
		a := &actor{s: s, user: channel.User{UID: uint32(i + 1)}, drop: func(bool, int64) bool { return false }, video: k.clip(b), audio: sound}
		a.stay(-50*milli, 2*tableLength*second) // its first picture is the only key frame
	}
	before := cpuSeconds()
	s.run(tableLength * second)
	s.stop()
	cost := cpuSeconds() - before
	s.mode.close()
	return cost
}

// settings are the encoder's of package codec, in x264's words.
func (f form) x264() string {
	return fmt.Sprintf("mbtree=1:rc-lookahead=%d:scenecut=0:open-gop=0:weightp=0", min(5, f.fps*2/3))
}

// xstack composes with ffmpeg. threads are the options that bound its threads,
// none for what it does by itself.
func xstack(f form, shots []footage, regions []layout.Region, threads ...string) []string {
	args := []string{"-v", "error", "-y"}
	if len(threads) > 0 {
		args = append(args, "-filter_complex_threads", "1")
	}
	var graph strings.Builder
	var places, pads string
	left, top := regions[0].X, regions[0].Y
	for i, s := range shots {
		r := regions[i]
		args = append(append(args, threads...), "-i", s.wrapped)
		fmt.Fprintf(&graph, "[%d:v]fps=%d,scale=%d:%d:force_original_aspect_ratio=increase,crop=%d:%d,setsar=1[v%d];", i, f.fps, r.W, r.H, r.W, r.H, i)
		pads += fmt.Sprintf("[v%d]", i)
		places += fmt.Sprintf("|%d_%d", r.X-left, r.Y-top)
	}
	if len(shots) > 1 {
		fmt.Fprintf(&graph, "%sxstack=inputs=%d:layout=%s:fill=black[x];[x]", pads, len(shots), places[1:])
	} else {
		graph.WriteString(pads)
	}
	fmt.Fprintf(&graph, "pad=%d:%d:%d:%d", f.w, f.h, left, top)
	rate := fmt.Sprintf("%dk", f.kbps)
	args = append(args, "-filter_complex", graph.String(), "-r", fmt.Sprint(f.fps), "-t", fmt.Sprint(tableLength), "-c:v", "libx264", "-preset", "superfast", "-bf", "0", "-g", fmt.Sprint(5*f.fps),
		"-x264-params", f.x264(), "-b:v", rate, "-maxrate", rate, "-bufsize", fmt.Sprintf("%dk", 2*f.kbps), "-pix_fmt", "yuv420p")
	return append(append(args, threads...), "-f", "mpegts", os.DevNull)
}

func compositor(f form, shots []footage, regions []layout.Region) []string {
	args := []string{"-q", "compositor", "name=c", "background=black", "max-threads=1"}
	for i, r := range regions {
		args = append(args, fmt.Sprintf("sink_%d::xpos=%d", i, r.X), fmt.Sprintf("sink_%d::ypos=%d", i, r.Y), fmt.Sprintf("sink_%d::width=%d", i, r.W), fmt.Sprintf("sink_%d::height=%d", i, r.H))
	}
	args = append(args, "!", fmt.Sprintf("video/x-raw,width=%d,height=%d,framerate=%d/1", f.w, f.h, f.fps), "!", "x264enc", "speed-preset=superfast", "bframes=0", "threads=1",
		fmt.Sprintf("key-int-max=%d", 5*f.fps), fmt.Sprintf("bitrate=%d", f.kbps), fmt.Sprintf("rc-lookahead=%d", min(5, f.fps*2/3)), "option-string="+f.x264(), "!", "fakesink", "sync=false")
	for i, s := range shots {
		decoder := "avdec_h264"
		if s.codec == media.VP8 {
			decoder = "avdec_vp8"
		}
		args = append(args, "filesrc", "location="+s.wrapped, "!", "matroskademux", "!", decoder, "max-threads=1", "!", fmt.Sprintf("c.sink_%d", i))
	}
	return args
}
