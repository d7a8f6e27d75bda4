package probe

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ffmpeg makes a file in a temporary folder from a complex filter graph.
func ffmpeg(t *testing.T, name string, args ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("runs ffmpeg")
	}
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("ffmpeg", append(append([]string{"-v", "error", "-y"}, args...), path)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, out)
	}
	return path
}

// graph draws two users side by side, each with flashes and beeps of its own:
// the left one flashes at 0.5 s, 1.5 s, ..., the right one at 0.7 s, ...; the
// tones are 600 and 1000 Hz, late by left and right ms.
func graph(fps, left, right int) string {
	flash := func(x int, at float64) string {
		n := int(at * float64(fps))
		return fmt.Sprintf("drawbox=x=%d:w=160:color=white:t=fill:enable='lt(mod(n+%d\\,%d)\\,%d)'", x, fps-n, fps, fps/10)
	}
	beep := func(hz int, at float64, late int) string {
		n := int(at*48000) + late*48
		return fmt.Sprintf("0.2*sin(2*PI*%d*n/48000)*lt(mod(n+%d\\,48000)\\,4800)", hz, 48000-n)
	}
	return fmt.Sprintf("color=c=0x204080:s=320x180:r=%d:d=8,format=yuv420p,drawbox=x=160:w=160:color=0x902060:t=fill,%s,%s[v];aevalsrc='%s+%s':s=48000:d=8,asetnsamples=n=960[a]",
		fps, flash(0, 0.5), flash(160, 0.7), beep(600, 0.5, left), beep(1000, 0.7, right))
}

var halves = []Region{{0, 0, 0.5, 1}, {0.5, 0, 0.5, 1}}

func TestOffsetsKnown(t *testing.T) {
	for _, c := range []struct {
		name        string
		fps         int
		left, right int
		file        string
		codecs      []string
	}{
		{"in step, TS", 30, 0, 0, "a.ts", []string{"-c:v", "libx264", "-bf", "0", "-c:a", "aac"}},
		{"late by 60 and early by 35, TS", 30, 60, -35, "a.ts", []string{"-c:v", "libx264", "-bf", "0", "-c:a", "aac"}},
		{"late by 60, MP4 with edit list and B-frames", 30, 60, 10, "a.mp4", []string{"-c:v", "libx264", "-bf", "2", "-c:a", "aac"}},
		{"beeps at the same time, Matroska", 20, 450, 50, "a.mkv", []string{"-c:v", "libvpx", "-deadline", "realtime", "-b:v", "1M", "-c:a", "aac"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"-filter_complex", graph(c.fps, c.left, c.right), "-map", "[v]", "-map", "[a]"}, c.codecs...)
			path := ffmpeg(t, c.file, args...)
			if err := Clean(t.Context(), path); err != nil {
				t.Error(err)
			}
			w, err := Watch(t.Context(), []Segment{{Path: path}}, halves...)
			if err != nil {
				t.Fatal(err)
			}
			if len(w.Warnings) > 0 {
				t.Errorf("warnings: %q", w.Warnings)
			}
			check(t, w, 0, 600, c.left)
			check(t, w, 1, 1000, c.right)
		})
	}
}

func check(t *testing.T, w *Watched, region, tone, late int) {
	t.Helper()
	flashes, beeps := w.Flashes(region), w.Beeps(tone)
	if len(flashes) != 8 || len(beeps) < 7 {
		t.Fatalf("%d Hz: %d flashes and %d beeps, want 8 and 7 or 8", tone, len(flashes), len(beeps))
	}
	want := time.Duration(late) * time.Millisecond
	if want > 400*time.Millisecond { // nearer to the next flash is not asked for: out of reach means no pair
		if n := len(Offsets(flashes, beeps)); n != 0 {
			t.Errorf("%d Hz: %d pairs for beeps that are %v late", tone, n, want)
		}
		return
	}
	s, ok := SyncOf(Offsets(flashes, beeps))
	if !ok {
		t.Fatalf("%d Hz: no offsets", tone)
	}
	for _, d := range []time.Duration{s.Start, s.End, s.Median, s.Lowest, s.Highest} {
		if (d - want).Abs() > 3*time.Millisecond {
			t.Errorf("%d Hz: offset %v, want %v: %v", tone, d, want, s)
		}
	}
	t.Logf("%d Hz, %d ms: %v", tone, late, s)
}

func TestDriftIsSeen(t *testing.T) {
	// Beeps 1.01 s apart against flashes 1 s apart.
	g := "color=c=blue:s=160x90:r=30:d=8,drawbox=color=white:t=fill:enable='lt(mod(n\\,30)\\,3)'[v];" +
		"aevalsrc='0.2*sin(2*PI*600*n/48000)*lt(mod(n\\,48480)\\,4800)':s=48000:d=8[a]"
	path := ffmpeg(t, "a.ts", "-filter_complex", g, "-map", "[v]", "-map", "[a]", "-c:v", "libx264", "-bf", "0", "-c:a", "aac")
	w, err := Watch(t.Context(), []Segment{{Path: path}})
	if err != nil {
		t.Fatal(err)
	}
	s, ok := SyncOf(Offsets(w.Flashes(0), w.Beeps(600)))
	if !ok || (s.End-s.Start-40*time.Millisecond).Abs() > 3*time.Millisecond { // median of flashes 1..3 to median of 5..7
		t.Fatalf("sync %v, want a growth of 40 ms", s)
	}
	if err := s.Within(40 * time.Millisecond); err == nil {
		t.Fatal("a drift of 40 ms and more passed")
	}
}

func TestSubFrame(t *testing.T) {
	// The source flashes in 1/60 s frames; a blend of two of them is half bright
	// when a flash begins in the second one.
	g := "color=c=black:s=160x90:r=60:d=4,drawbox=color=white:t=fill:enable='lt(mod(n+29\\,60)\\,6)',tblend=all_mode=average,framestep=2[v]"
	path := ffmpeg(t, "a.mp4", "-filter_complex", g, "-map", "[v]", "-c:v", "libx264", "-crf", "10")
	w, err := Watch(t.Context(), []Segment{{Path: path}})
	if err != nil {
		t.Fatal(err)
	}
	flashes := w.Flashes(0)
	if len(flashes) == 0 {
		t.Fatal("no flash")
	}
	first := flashes[0].Start
	for i, f := range flashes {
		if d := f.Start - first - time.Duration(i)*time.Second; d.Abs() > 2*time.Millisecond {
			t.Errorf("flash %d is off by %v", i, d)
		}
	}
	half := time.Second / 60
	if d := first % (2 * half); (d - half).Abs() > 4*time.Millisecond {
		t.Errorf("flash begins %v into its frame, want about %v", d, half)
	}
}

func TestSegmentsShareATimeline(t *testing.T) {
	path := ffmpeg(t, "a.ts", "-filter_complex", graph(30, 20, 20), "-map", "[v]", "-map", "[a]", "-c:v", "libx264", "-bf", "0", "-c:a", "aac")
	w, err := Watch(t.Context(), []Segment{{Path: path}, {Path: path, Shift: 20 * time.Second}}, halves...)
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Sound) != 2 {
		t.Errorf("%d runs of sound, want 2: the hole must stay a hole", len(w.Sound))
	}
	f, b := w.Flashes(0), w.Beeps(600)
	if len(f) != 16 || len(b) != 16 {
		t.Fatalf("%d flashes, %d beeps, want 16 of each", len(f), len(b))
	}
	if d := f[8].Start - f[0].Start; d != 20*time.Second {
		t.Errorf("second part lies %v after the first, want 20 s", d)
	}
}

func TestColoursFreezesAndDamage(t *testing.T) {
	// 0-2 s moving, 2-4 s still, 4-5 s black, 5-6 s the green of zeroed planes.
	g := "color=c=0x204080:s=320x180:r=20:d=2,format=yuv420p,drawbox=x=0:w=20:color=white:t=fill:enable='lt(mod(n\\,2)\\,1)'[a];" +
		"color=c=0x802020:s=320x180:r=20:d=2,format=yuv420p[b];color=c=black:s=320x180:r=20:d=1,format=yuv420p[c];" +
		"color=c=black:s=320x180:r=20:d=1,format=yuv420p,lutyuv=y=0:u=0:v=0[d];[a][b][c][d]concat=n=4[v]"
	path := ffmpeg(t, "a.mp4", "-filter_complex", g, "-map", "[v]", "-c:v", "libx264", "-crf", "16")
	w, err := Watch(t.Context(), []Segment{{Path: path}}, Region{0.5, 0, 0.5, 1}, Whole())
	if err != nil {
		t.Fatal(err)
	}
	r, gr, b := w.Frames[5].Sight[0].RGB()
	if r < 24 || r > 40 || gr < 56 || gr > 72 || b < 120 || b > 136 {
		t.Errorf("colour %.0f %.0f %.0f, want about 32 64 128", r, gr, b)
	}
	if f := w.Freezes(1, 1500*time.Millisecond, 0, 4*time.Second); len(f) != 1 || (f[0].End-f[0].Start-1950*time.Millisecond).Abs() > 110*time.Millisecond {
		t.Errorf("freezes %v, want one of 1.95 s", f)
	}
	if n := len(w.Blacks(0)); n != 20 {
		t.Errorf("%d black frames, want 20", n)
	}
	if n := len(w.Broken(0)); n != 20 {
		t.Errorf("%d broken frames, want 20", n)
	}
}

func TestCleanComplains(t *testing.T) {
	path := ffmpeg(t, "a.ts", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=20:d=3", "-c:v", "libx264")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(b) / 2; i < len(b)/2+4*188; i++ {
		b[i] ^= 0x5a
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Clean(t.Context(), path); err == nil {
		t.Error("a damaged file is clean")
	}
	if _, _, err := Inspect(t.Context(), filepath.Join(t.TempDir(), "none.ts")); err == nil {
		t.Error("a missing file has information")
	}
}

func TestPacketsAndInfo(t *testing.T) {
	path := ffmpeg(t, "a.ts", "-filter_complex", graph(30, 0, 0), "-map", "[v]", "-map", "[a]", "-c:v", "libx264", "-bf", "0", "-g", "30", "-c:a", "aac")
	packets, err := Packets(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	s, ok := SpanOf(packets, "video")
	if !ok || !s.KeyFirst || s.Packets != 240 || (s.Length()-8*time.Second).Abs() > time.Millisecond {
		t.Errorf("video span %+v", s)
	}
	cut := packets
	for i, p := range packets { // as if the file began after its first key frame
		if p.Type == "video" && p.Key {
			cut = packets[i+1:]
			break
		}
	}
	if s, _ := SpanOf(cut, "video"); s.KeyFirst {
		t.Error("a stretch that starts in the middle of a group starts with a key frame")
	}
	info, _, err := Inspect(t.Context(), path)
	if err != nil || info.Codecs() != "h264+aac" || info.Streams[0].W != 320 || info.Streams[1].Rate != 48000 {
		t.Errorf("info %+v, %v", info, err)
	}
}

func TestParsePlaylist(t *testing.T) {
	const text = `#EXTM3U
#EXT-X-VERSION:3
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-ALLOW-CACHE:YES
#EXT-X-TARGETDURATION:18
#EXT-X-DISCONTINUITY
#EXT-X-AGORA-TRACK-EVENT:EVENT=START,TRACK_TYPE=AUDIO,TIME=20190920125142289
#EXTINF:15.019000
s_c_20190920125142289.ts
#EXTINF:2.500000,
s_c_20190920125157308.ts
#EXT-X-ENDLIST
`
	p, err := ParsePlaylist(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	want := time.Date(2019, 9, 20, 12, 51, 57, 308e6, time.UTC)
	if !p.Ended || p.Target != 18 || p.Sum() != 17519*time.Millisecond || len(p.Slices) != 2 ||
		!p.Slices[0].Discontinuity || len(p.Slices[0].Tags) != 1 || !p.Slices[1].UTC.Equal(want) {
		t.Errorf("%+v", p)
	}
	master, err := ParsePlaylist(strings.NewReader("#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",URI=\"a.m3u8\"\n#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\nv.m3u8\n"))
	if err != nil || !master.Master() || strings.Join(master.Lists, " ") != "a.m3u8 v.m3u8" {
		t.Errorf("%+v, %v", master, err)
	}
	for _, bad := range []string{"", "#EXTINF:1.0\na.ts\n", "#EXTM3U\na.ts\n", "#EXTM3U\n#EXTINF:x\na.ts\n"} {
		if _, err := ParsePlaylist(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is a playlist", bad)
		}
	}
}
