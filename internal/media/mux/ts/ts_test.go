package ts_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/ts"
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/samples"
)

var both = ts.Config{Video: true, Audio: true, SampleRate: 48000, Channels: 1}

// write muxes the units in order of time.
func write(t *testing.T, w *ts.Writer, units ...[]media.Unit) {
	t.Helper()
	for {
		best := -1
		for i, u := range units {
			if len(u) > 0 && (best < 0 || u[0].PTS < units[best][0].PTS) {
				best = i
			}
		}
		if best < 0 {
			return
		}
		u := units[best][0]
		units[best] = units[best][1:]
		var err error
		if u.Codec.Video() {
			err = w.Video(ts.PTS(u.PTS), ts.PTS(u.PTS), u.Key, u.Data)
		} else {
			err = w.Audio(ts.PTS(u.PTS), u.Data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// shifted returns a copy of units moved in time.
func shifted(units []media.Unit, by media.Time) []media.Unit {
	out := append([]media.Unit(nil), units...)
	for i := range out {
		out[i].PTS += by
	}
	return out
}

// slices cuts the sample into slices of n frames and returns their bytes.
func slices(t *testing.T, s samples.Set, n int, base media.Time) [][]byte {
	t.Helper()
	w := ts.New(both)
	video, audio := shifted(s.Video, base), shifted(s.AAC, base)
	var out [][]byte
	for len(video) > 0 {
		k := min(n, len(video))
		cut := len(audio)
		if k < len(video) {
			for cut = 0; cut < len(audio) && audio[cut].PTS < video[k].PTS; cut++ {
			}
		}
		var b bytes.Buffer
		if err := w.Begin(&b, false); err != nil {
			t.Fatal(err)
		}
		write(t, w, video[:k], audio[:cut])
		if err := w.End(); err != nil {
			t.Fatal(err)
		}
		out = append(out, b.Bytes())
		video, audio = video[k:], audio[cut:]
	}
	return out
}

func save(t *testing.T, name string, parts ...[]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, bytes.Join(parts, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// md5 decodes a file and returns one hash a frame without timestamps.
func md5(t *testing.T, path, stream string) string {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-v", "warning", "-i", path, "-map", "0:"+stream, "-f", "framemd5", "-fps_mode", "passthrough", "-").CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg %s: %v\n%s", path, err, out)
	}
	var sums []string
	for l := range strings.Lines(string(out)) {
		if !strings.HasPrefix(l, "#") {
			f := strings.Split(l, ",")
			sums = append(sums, strings.TrimSpace(f[len(f)-1]))
		}
	}
	return strings.Join(sums, "\n")
}

func source(t *testing.T, s samples.Set) string {
	t.Helper()
	var b []byte
	for _, u := range s.Video {
		b = append(b, u.Data...)
	}
	return save(t, "source.h264", b)
}

func TestSlicesAreCleanAndComplete(t *testing.T) {
	s := samples.H264(t)
	parts := slices(t, s, 100, 0)
	if len(parts) != 3 {
		t.Fatalf("%d slices", len(parts))
	}
	for i, p := range parts {
		path := save(t, "slice.ts", p)
		if err := probe.Clean(context.Background(), path); err != nil {
			t.Error(err)
		}
		packets, err := probe.Packets(context.Background(), path)
		if err != nil {
			t.Fatal(err)
		}
		v, _ := probe.SpanOf(packets, "video")
		if v.Packets != 100 || !v.KeyFirst {
			t.Errorf("slice %d: %d frames, key first %v", i, v.Packets, v.KeyFirst)
		}
		if want := 10*time.Second + time.Duration(i)*100*time.Second/30; (v.First - want).Abs() > time.Millisecond {
			t.Errorf("slice %d begins at %v, want %v", i, v.First, want)
		}
	}
	whole := save(t, "whole.ts", parts...)
	if err := probe.Clean(context.Background(), whole); err != nil {
		t.Error(err)
	}
	packets, err := probe.Packets(context.Background(), whole)
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := probe.SpanOf(packets, "audio"); a.Packets != len(s.AAC) {
		t.Errorf("%d audio frames, want %d", a.Packets, len(s.AAC))
	}
	if md5(t, whole, "v") != md5(t, source(t, s), "v") {
		t.Error("the pictures differ from the source's")
	}
}

func TestPTSWraps(t *testing.T) {
	s := samples.H264(t)
	// 2^33 ticks less the base and 5 s: the clock wraps in the middle.
	base := media.FromTicks90k(1<<33 - ts.Base - 5*90000)
	whole := save(t, "wrap.ts", slices(t, s, 150, base)...)
	if err := probe.Clean(context.Background(), whole); err != nil {
		t.Error(err)
	}
	got, err := ts.Scan(bytes.NewReader(read(t, whole)))
	if err != nil {
		t.Fatal(err)
	}
	if got.Video.Units != 300 || got.Dur() < 9_950_000 || got.Dur() > 10_050_000 {
		t.Errorf("scan: %+v, %d µs", got, got.Dur())
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAudioOnlyCarriesTheClock(t *testing.T) {
	s := samples.H264(t)
	w := ts.New(ts.Config{Audio: true, SampleRate: 48000, Channels: 1})
	var b bytes.Buffer
	if err := w.Begin(&b, false); err != nil {
		t.Fatal(err)
	}
	write(t, w, s.AAC)
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	path := save(t, "audio.ts", b.Bytes())
	if err := probe.Clean(context.Background(), path); err != nil {
		t.Error(err)
	}
	last, gap := int64(-1), int64(0)
	for p := b.Bytes(); len(p) > 0; p = p[188:] {
		if p[3]&0x20 != 0 && p[4] > 0 && p[5]&0x10 != 0 {
			pcr := int64(p[6])<<25 | int64(p[7])<<17 | int64(p[8])<<9 | int64(p[9])<<1 | int64(p[10])>>7
			if last >= 0 {
				gap = max(gap, pcr-last)
			}
			last = pcr
		}
	}
	if last < 0 || gap > 9000 {
		t.Errorf("clock references up to %d ticks apart, want at most 9000", gap)
	}
}

func TestOpus(t *testing.T) {
	s := samples.H264(t)
	w := ts.New(ts.Config{Audio: true, AudioCodec: media.Opus, Channels: 1})
	var b bytes.Buffer
	if err := w.Begin(&b, false); err != nil {
		t.Fatal(err)
	}
	write(t, w, s.Opus)
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	path := save(t, "opus.ts", b.Bytes())
	if err := probe.Clean(context.Background(), path); err != nil {
		t.Error(err)
	}
	packets, err := probe.Packets(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := probe.SpanOf(packets, "audio"); a.Packets != len(s.Opus) || (a.Length()-10*time.Second).Abs() > 30*time.Millisecond {
		t.Errorf("%d packets over %v, want %d over 10 s", a.Packets, a.Length(), len(s.Opus))
	}
	got, _ := ts.Scan(bytes.NewReader(b.Bytes()))
	if got.Audio.Units != len(s.Opus) || got.Bytes != int64(b.Len()) {
		t.Errorf("scan: %+v", got)
	}
}

// A worker that goes on does not know the counters of the one before.
func TestResumeIsMarked(t *testing.T) {
	s := samples.H264(t)
	first := slices(t, s, 150, 0)[0]
	w := ts.New(both)
	var b bytes.Buffer
	if err := w.Begin(&b, true); err != nil {
		t.Fatal(err)
	}
	write(t, w, shifted(s.Video, 8_000_000), shifted(s.AAC, 8_000_000))
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	if err := probe.Clean(context.Background(), save(t, "resumed.ts", first, b.Bytes())); err != nil {
		t.Error(err)
	}
	marked := map[int]bool{}
	seen := map[int]bool{}
	for p := b.Bytes(); len(p) > 0; p = p[188:] {
		pid := int(p[1]&0x1F)<<8 | int(p[2])
		has := p[3]&0x20 != 0 && p[4] > 0 && p[5]&0x80 != 0
		if !seen[pid] {
			marked[pid] = has
		} else if has {
			t.Fatalf("a later packet of PID %#x is marked", pid)
		}
		seen[pid] = true
	}
	for pid, m := range marked {
		if !m {
			t.Errorf("the first packet of PID %#x is not marked", pid)
		}
	}
}

func TestScanKeepsWholeUnits(t *testing.T) {
	s := samples.H264(t)
	b := slices(t, s, 300, 0)[0]
	whole, err := ts.Scan(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if whole.Bytes != int64(len(b)) || whole.Video.Units != 300 || whole.Audio.Units != len(s.AAC) {
		t.Fatalf("whole: %+v of %d bytes", whole, len(b))
	}
	units := 0
	for cut := 0; cut < len(b); cut += 997 {
		got, err := ts.Scan(bytes.NewReader(b[:cut]))
		if err != nil {
			t.Fatal(err)
		}
		if got.Bytes > int64(cut) || got.Bytes%188 != 0 || got.Video.Units < units {
			t.Fatalf("cut at %d: %+v", cut, got)
		}
		units = got.Video.Units
		if again, _ := ts.Scan(bytes.NewReader(b[:got.Bytes])); again != got {
			t.Fatalf("cut at %d: %+v, then %+v", cut, got, again)
		}
	}
	if units < 298 {
		t.Errorf("only %d units in nearly all of it", units)
	}
	// What was kept is clean.
	got, _ := ts.Scan(bytes.NewReader(b[:len(b)*2/3+77]))
	path := save(t, "kept.ts", b[:got.Bytes])
	if err := probe.Clean(context.Background(), path); err != nil {
		t.Error(err)
	}
	packets, err := probe.Packets(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := probe.SpanOf(packets, "video"); v.Packets != got.Video.Units {
		t.Errorf("ffprobe sees %d frames, Scan %d", v.Packets, got.Video.Units)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, c := range map[string]ts.Config{
		"nothing":  {},
		"vp8":      {Video: true, VideoCodec: media.VP8},
		"rate":     {Audio: true, SampleRate: 47999, Channels: 1},
		"channels": {Audio: true, SampleRate: 48000, Channels: 3},
	} {
		if err := ts.New(c).Begin(&bytes.Buffer{}, false); !errors.Is(err, ts.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWriterNeedsNoMemoryPerFrame(t *testing.T) {
	s := samples.H264(t)
	w := ts.New(both)
	var b bytes.Buffer
	b.Grow(16 << 20)
	if err := w.Begin(&b, false); err != nil {
		t.Fatal(err)
	}
	write(t, w, s.Video[:60])
	pts := int64(1 << 20)
	if n := testing.AllocsPerRun(100, func() {
		pts += 3000
		_ = w.Video(pts, pts, false, s.Video[1].Data)
	}); n > 1 {
		t.Errorf("%v allocations a frame", n)
	}
}

func FuzzScan(f *testing.F) {
	w := ts.New(both)
	var b bytes.Buffer
	if err := w.Begin(&b, true); err != nil {
		f.Fatal(err)
	}
	_ = w.Video(900000, 900000, true, []byte{0, 0, 0, 1, 0x65, 1, 2, 3})
	_ = w.Audio(900000, []byte{1, 2, 3})
	_ = w.End()
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := ts.Scan(bytes.NewReader(b))
		if err != nil || got.Bytes > int64(len(b)) {
			t.Fatalf("%+v, %v", got, err)
		}
	})
}

// TestShortSliceIsRecognised: a stop right after a cut leaves a slice of a few
// packets, which readers have to take for MPEG-TS all the same, and which
// recovery keeps whole.
func TestShortSliceIsRecognised(t *testing.T) {
	s := samples.H264(t)
	w := ts.New(ts.Config{Audio: true, SampleRate: 48000, Channels: 1})
	var b bytes.Buffer
	if err := w.Begin(&b, false); err != nil {
		t.Fatal(err)
	}
	write(t, w, s.AAC[:2])
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	if err := probe.Clean(context.Background(), save(t, "short.ts", b.Bytes())); err != nil {
		t.Error(err)
	}
	got, err := ts.Scan(bytes.NewReader(b.Bytes()))
	if err != nil || got.Bytes != int64(b.Len()) {
		t.Errorf("recovery keeps %d of %d bytes (%v)", got.Bytes, b.Len(), err)
	}
}
