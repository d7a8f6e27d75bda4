package webm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/webm"
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/samples"
)

func create(t testing.TB) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "test.webm"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

var (
	vp8  = webm.Config{Codec: media.VP8, W: samples.W, H: samples.H}
	opus = webm.Config{Codec: media.Opus, Channels: 1}
)

func fill(t testing.TB, w *webm.Writer, units []media.Unit) {
	t.Helper()
	for _, u := range units {
		if err := w.Frame(u.PTS-units[0].PTS, u.Key, u.Data); err != nil {
			t.Fatal(err)
		}
	}
}

func check(t *testing.T, path, kind string, n int) (probe.Info, probe.Span) {
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
	s, _ := probe.SpanOf(packets, kind)
	if s.Packets != n || !s.KeyFirst {
		t.Errorf("%s: %d packets, want %d, key first %v", filepath.Base(path), s.Packets, n, s.KeyFirst)
	}
	return info, s
}

func TestFilesAreCleanAndComplete(t *testing.T) {
	s := samples.VP8(t)
	for name, c := range map[string]struct {
		cfg   webm.Config
		units []media.Unit
		kind  string
		base  media.Time
	}{
		"vp8":       {vp8, s.Video, "video", 0},
		"opus":      {opus, s.Opus, "audio", 0},
		"vp8 later": {vp8, s.Video, "video", 3_600_000_000},
	} {
		t.Run(name, func(t *testing.T) {
			f := create(t)
			c.cfg.Base = c.base
			w, err := webm.New(f, c.cfg)
			if err != nil {
				t.Fatal(err)
			}
			fill(t, w, c.units)
			if err := w.Close(10_000_000); err != nil {
				t.Fatal(err)
			}
			base := time.Duration(c.base) * time.Microsecond
			info, span := check(t, f.Name(), c.kind, len(c.units))
			if info.Duration != base+10*time.Second || (span.First-base).Abs() > time.Millisecond {
				t.Errorf("duration %v, first packet at %v", info.Duration, span.First)
			}
			seek(t, f.Name(), base+7*time.Second)
		})
	}
}

// seek checks that the cues lead somewhere: decoding starts near the place.
func seek(t *testing.T, path string, to time.Duration) {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "warning", "-read_intervals", fmt.Sprintf("%d%%+#1", int(to.Seconds())),
		"-show_entries", "packet=pts_time", "-of", "csv=p=0", path).CombinedOutput()
	if err != nil {
		t.Fatalf("ffprobe: %v: %s", err, out)
	}
	at, err := time.ParseDuration(strings.TrimSpace(strings.Split(strings.TrimSpace(string(out)), ",")[0]) + "s")
	if err != nil || at > to || to-at > 5500*time.Millisecond {
		t.Errorf("seeking to %v went to %q", to, out)
	}
}

func TestPicturesAreTheSource(t *testing.T) {
	s := samples.VP8(t)
	f := create(t)
	w, err := webm.New(f, vp8)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, w, s.Video)
	if err := w.Close(10_000_000); err != nil {
		t.Fatal(err)
	}
	watched, err := probe.Watch(context.Background(), []probe.Segment{{Path: f.Name()}})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(watched.Flashes(0)); n != 10 || len(watched.Broken(0)) > 0 || len(watched.Warnings) > 0 {
		t.Errorf("%d flashes, %d broken frames, %q", n, len(watched.Broken(0)), watched.Warnings)
	}
}

func TestCrashAtAnyByte(t *testing.T) {
	s := samples.VP8(t)
	for name, c := range map[string]struct {
		cfg   webm.Config
		units []media.Unit
		kind  string
	}{"vp8": {vp8, s.Video, "video"}, "opus": {opus, s.Opus, "audio"}} {
		t.Run(name, func(t *testing.T) {
			f := create(t)
			w, err := webm.New(f, c.cfg)
			if err != nil {
				t.Fatal(err)
			}
			fill(t, w, c.units)
			b, err := os.ReadFile(f.Name())
			if err != nil {
				t.Fatal(err)
			}
			check(t, f.Name(), c.kind, len(c.units)) // a growing file reads too
			last := 0
			for _, cut := range []int{0, 100, 400, len(b)/2 + 3, len(b)} {
				path := filepath.Join(t.TempDir(), "cut.webm")
				if err := os.WriteFile(path, b[:cut], 0o600); err != nil {
					t.Fatal(err)
				}
				r, err := reopen(t, path)
				if errors.Is(err, webm.ErrNothing) {
					if last > 0 {
						t.Errorf("cut at %d: nothing", cut)
					}
					continue
				}
				if err != nil || r.Frames < last {
					t.Fatalf("cut at %d: %+v, %v", cut, r, err)
				}
				last = r.Frames
				info, _ := check(t, path, c.kind, r.Frames)
				if d := media.Time(info.Duration.Microseconds()); d != r.Dur {
					t.Errorf("cut at %d: ffprobe says %d µs, Recover %d", cut, d, r.Dur)
				}
				if again, err := reopen(t, path); err != nil || again != r {
					t.Errorf("recovered again: %+v, %v; first %+v", again, err, r)
				}
			}
			if last != len(c.units) {
				t.Errorf("the whole of it gave %d frames of %d", last, len(c.units))
			}
		})
	}
}

func reopen(t *testing.T, path string) (webm.Recovered, error) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	return webm.Recover(f)
}

func TestMisuse(t *testing.T) {
	for _, c := range []webm.Config{{Codec: media.H264, W: 1, H: 1}, {Codec: media.VP8}, {Codec: media.Opus}} {
		if _, err := webm.New(&bytes.Buffer{}, c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
	w, err := webm.New(&bytes.Buffer{}, opus)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Frame(40_000, true, nil), w.Frame(20_000, true, nil)); !errors.Is(err, webm.ErrOrder) {
		t.Errorf("descending times: %v", err)
	}
}

// memory is a file of bytes.
type memory struct{ b []byte }

func (m *memory) ReadAt(b []byte, off int64) (int, error) {
	return bytes.NewReader(m.b).ReadAt(b, off)
}

func (m *memory) WriteAt(b []byte, off int64) (int, error) {
	if end := off + int64(len(b)); end > int64(len(m.b)) {
		m.b = append(m.b, make([]byte, end-int64(len(m.b)))...)
	}
	return copy(m.b[off:], b), nil
}

func (m *memory) Write(b []byte) (int, error) { return m.WriteAt(b, int64(len(m.b))) }
func (m *memory) Truncate(n int64) error {
	m.b = m.b[:min(n, int64(len(m.b)))]
	return nil
}

func FuzzRecover(f *testing.F) {
	m := &memory{}
	w, err := webm.New(m, opus)
	if err != nil {
		f.Fatal(err)
	}
	for i := range media.Time(3) {
		_ = w.Frame(i*6_000_000, true, []byte{0xFC, 1, 2})
	}
	f.Add(bytes.Clone(m.b))
	_ = w.Close(20_000_000)
	f.Add(m.b)
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &memory{bytes.Clone(b)}
		r, err := webm.Recover(m)
		if err != nil {
			return
		}
		if r.Size != int64(len(m.b)) {
			t.Fatalf("%+v, but %d bytes", r, len(m.b))
		}
		if again, err := webm.Recover(m); err != nil || again != r {
			t.Fatalf("first %+v, then %+v, %v", r, again, err)
		}
	})
}
