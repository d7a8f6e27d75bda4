package mp4_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/h264"
	"tapedeck/internal/media/mux/mp4"
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/samples"
)

// file makes Write of WriteAt.
type file struct {
	*os.File
	writes int
}

func (f *file) Write(b []byte) (int, error) {
	f.writes++
	return f.File.Write(b)
}

func create(t testing.TB) *file {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "test.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return &file{File: f}
}

func tracks(t testing.TB, s samples.Set) (*mp4.VideoTrack, *mp4.AudioTrack) {
	t.Helper()
	sps, pps := h264.ParameterSets(s.Video[0].Data)
	w, h, err := h264.Size(sps)
	if err != nil || w != samples.W || h != samples.H {
		t.Fatalf("size %d×%d, %v", w, h, err)
	}
	return &mp4.VideoTrack{W: w, H: h, SPS: sps, PPS: pps},
		&mp4.AudioTrack{SampleRate: 48000, Channels: 1, Config: samples.Config()}
}

// fill writes the units in order of time, moved by the given offsets.
func fill(t testing.TB, w *mp4.Writer, video, audio []media.Unit, videoBy, audioBy media.Time) {
	t.Helper()
	for len(video)+len(audio) > 0 {
		var err error
		if len(audio) == 0 || (len(video) > 0 && video[0].PTS+videoBy <= audio[0].PTS+audioBy) {
			err = w.Video((video[0].PTS + videoBy).Ticks90k(), video[0].Key, video[0].Data)
			video = video[1:]
		} else {
			err = w.Audio((audio[0].PTS + audioBy).Samples48k(), audio[0].Data)
			audio = audio[1:]
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

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

// boxes lists the top-level boxes of a file.
func boxes(t *testing.T, path string) (names []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for len(b) >= 8 {
		n := uint64(binary.BigEndian.Uint32(b))
		if n == 1 {
			n = binary.BigEndian.Uint64(b[8:])
		}
		names = append(names, string(b[4:8]))
		if n < 8 || n > uint64(len(b)) {
			return append(names, "torn")
		}
		b = b[n:]
	}
	return names
}

func check(t *testing.T, path string, video, audio int) probe.Info {
	t.Helper()
	ctx := context.Background()
	if err := probe.Clean(ctx, path); err != nil {
		t.Error(err)
	}
	info, _, err := probe.Inspect(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	packets, err := probe.Packets(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	v, _ := probe.SpanOf(packets, "video")
	a, _ := probe.SpanOf(packets, "audio")
	if v.Packets != video || a.Packets != audio || (video > 0 && !v.KeyFirst) {
		t.Errorf("%s: %d frames and %d audio frames, want %d and %d", filepath.Base(path), v.Packets, a.Packets, video, audio)
	}
	return info
}

func TestFinishedFileIsProgressive(t *testing.T) {
	s := samples.H264(t)
	for name, c := range map[string]struct{ videoBy, audioBy media.Time }{
		"primed audio":  {0, 0},
		"late audio":    {0, 480_000},
		"late video":    {250_000, 21_334},
		"both at start": {0, 21_334},
	} {
		t.Run(name, func(t *testing.T) {
			f := create(t)
			v, a := tracks(t, s)
			w, err := mp4.New(f, v, a)
			if err != nil {
				t.Fatal(err)
			}
			fill(t, w, s.Video, s.AAC, c.videoBy, c.audioBy)
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			info := check(t, f.Name(), len(s.Video), len(s.AAC))
			if got := strings.Join(boxes(t, f.Name()), " "); got != "ftyp mdat moov" {
				t.Errorf("boxes: %s", got)
			}
			if name == "late audio" && md5(t, f.Name(), "v") != md5(t, source(t, s), "v") {
				t.Error("the pictures differ from the source's")
			}
			checkSync(t, f.Name(), c.audioBy-c.videoBy)
			if d := time.Duration(w.Dur()) * time.Microsecond; (info.Duration - d).Abs() > 2*time.Millisecond {
				t.Errorf("ffprobe says %v, the writer %v", info.Duration, d)
			}
		})
	}
}

// checkSync measures flashes against beeps: the tracks' starts must be honoured.
func checkSync(t *testing.T, path string, want media.Time) {
	t.Helper()
	w, err := probe.Watch(context.Background(), []probe.Segment{{Path: path}})
	if err != nil {
		t.Fatal(err)
	}
	if want.Ticks90k() > 36000 {
		return // beyond what pairs flashes and beeps
	}
	sync, ok := probe.SyncOf(probe.Offsets(w.Flashes(0), w.Beeps(samples.ToneH264)))
	off := sync.Median - time.Duration(want)*time.Microsecond
	if !ok || off.Abs() > 12*time.Millisecond {
		t.Errorf("sound is off by %v: %v", off, sync)
	}
}

func source(t *testing.T, s samples.Set) string {
	t.Helper()
	var b []byte
	for _, u := range s.Video {
		b = append(b, u.Data...)
	}
	path := filepath.Join(t.TempDir(), "source.h264")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOneTrack(t *testing.T) {
	s := samples.H264(t)
	v, a := tracks(t, s)
	f := create(t)
	w, err := mp4.New(f, v, nil)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, w, s.Video, nil, 0, 0)
	if err := errors.Join(w.Close(), w.Audio(0, []byte{1})); !errors.Is(err, mp4.ErrNoTrack) {
		t.Fatal(err)
	}
	check(t, f.Name(), 300, 0)
	f = create(t)
	if w, err = mp4.New(f, nil, a); err != nil {
		t.Fatal(err)
	}
	fill(t, w, nil, s.AAC, 0, 0)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	check(t, f.Name(), 0, len(s.AAC))
	// A track that never got a sample does not harm the file.
	f = create(t)
	if w, err = mp4.New(f, v, a); err != nil {
		t.Fatal(err)
	}
	fill(t, w, s.Video, nil, 0, 0)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	check(t, f.Name(), 300, 0)
}

// A crash at any byte leaves a file that plays, and Recover makes it whole.
func TestCrashAtAnyByte(t *testing.T) {
	s := samples.H264(t)
	v, a := tracks(t, s)
	f := create(t)
	w, err := mp4.New(f, v, a)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, w, s.Video, s.AAC, 0, 0)
	if err := w.Cut(); err != nil {
		t.Fatal(err)
	}
	growing, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if f.writes < 5 {
		t.Errorf("only %d fragments in 10 s", f.writes)
	}
	check(t, save(t, growing), 299, len(s.AAC)-1)
	last := 0
	for _, cut := range []int{0, 20, 700, len(growing)/2 + 1, len(growing)} {
		path := save(t, growing[:cut])
		r, err := open(t, path)
		if errors.Is(err, mp4.ErrNothing) {
			if last > 0 {
				t.Errorf("cut at %d: nothing", cut)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if r.Video < last || r.Whole {
			t.Errorf("cut at %d: %+v", cut, r)
		}
		last = r.Video
		check(t, path, r.Video, r.Audio)
		if got := strings.Join(boxes(t, path), " "); got != "ftyp mdat moov" {
			t.Errorf("boxes: %s", got)
		}
		again, err := open(t, path)
		if err != nil || !again.Whole || again.Video != r.Video || again.Dur != r.Dur || again.Size != r.Size {
			t.Errorf("recovered again: %+v, %v; first %+v", again, err, r)
		}
	}
	checkSync(t, f.Name(), 0)
	if last < 299 {
		t.Errorf("the whole of it gave %d frames", last)
	}
}

// Close may be interrupted too: between the index and the header, and amid the index.
func TestCrashWhileClosing(t *testing.T) {
	s := samples.H264(t)
	v, a := tracks(t, s)
	f := create(t)
	w, err := mp4.New(f, v, a)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, w, s.Video, s.AAC, 0, 0)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	placeholder := append([]byte{0, 0, 0, 16}, "free\x00\x00\x00\x00\x00\x00\x00\x00"...)
	for name, torn := range map[string][]byte{
		"header not written": append(append(bytes.Clone(b[:32]), placeholder...), b[48:]...),
		"index torn":         append(append(bytes.Clone(b[:32]), placeholder...), b[48:len(b)-500]...),
	} {
		path := save(t, torn)
		r, err := open(t, path)
		if err != nil || r.Whole || r.Video != 300 || r.Size != int64(len(b)) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		check(t, path, 300, len(s.AAC))
	}
}

func save(t *testing.T, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cut.mp4")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, path string) (mp4.Recovered, error) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	return mp4.Recover(f)
}

func TestMisuse(t *testing.T) {
	s := samples.H264(t)
	v, a := tracks(t, s)
	if _, err := mp4.New(create(t), nil, nil); err == nil {
		t.Error("a file without tracks was made")
	}
	if _, err := mp4.New(create(t), &mp4.VideoTrack{W: 1, H: 1}, nil); err == nil {
		t.Error("a track without parameter sets was made")
	}
	f := create(t)
	w, err := mp4.New(f, v, a)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, w, s.Video[:40], nil, 0, 0)
	if err := w.Video(3000, false, s.Video[1].Data); !errors.Is(err, mp4.ErrOrder) {
		t.Errorf("descending times: %v", err)
	}
	large := samples.H264Large(t)
	if err := w.Video(40*3000, true, large.Video[0].Data); !errors.Is(err, mp4.ErrFormat) {
		t.Errorf("other format: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	check(t, f.Name(), 40, 0)
	f = create(t)
	if w, err = mp4.New(f, v, a); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil || f.writes != 0 {
		t.Errorf("an empty file: %v, %d writes", err, f.writes)
	}
}
