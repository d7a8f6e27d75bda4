package codec

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tapedeck/internal/media"
	"tapedeck/internal/testkit/clips"
)

// ffmpeg runs the program once for the given arguments and keeps the output,
// which it must write to stdout, in the cache folder.
func ffmpeg(t testing.TB, args ...string) []byte {
	t.Helper()
	if testing.Short() {
		t.Skip("runs ffmpeg")
	}
	line := append([]string{"-hide_banner", "-nostdin", "-v", "error", "-threads", "1"}, args...)
	line = append(line, "-bitexact", "pipe:1")
	sum := sha256.Sum256([]byte(strings.Join(line, "\x00")))
	path := filepath.Join(clips.CacheDir(), "codec-"+hex.EncodeToString(sum[:12]))
	if b, err := os.ReadFile(path); err == nil {
		return b
	}
	cmd := exec.Command("ffmpeg", line...)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil || out.Len() == 0 {
		t.Fatalf("ffmpeg %s: %v: %s", strings.Join(line, " "), err, complaint.Bytes())
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
		tmp := path + ".tmp"
		if os.WriteFile(tmp, out.Bytes(), 0o644) == nil {
			_ = os.Rename(tmp, path)
		}
	}
	return out.Bytes()
}

// run pipes in through ffmpeg without a cache.
func run(t testing.TB, in []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("ffmpeg", append([]string{"-hide_banner", "-nostdin", "-v", "warning", "-threads", "1"}, args...)...)
	var out, complaint bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &complaint
	if err := cmd.Run(); err != nil || complaint.Len() > 0 {
		t.Fatalf("ffmpeg %s: %v: %s", strings.Join(args, " "), err, complaint.Bytes())
	}
	return out.Bytes()
}

// ivfFrames splits an IVF file (VP8, VP9, AV1).
func ivfFrames(t testing.TB, b []byte) [][]byte {
	t.Helper()
	var out [][]byte
	for b = b[32:]; len(b) >= 12; {
		n := int(binary.LittleEndian.Uint32(b))
		out = append(out, b[12:12+n])
		b = b[12+n:]
	}
	if len(out) == 0 {
		t.Fatal("no frames in the IVF file")
	}
	return out
}

// audFrames splits an Annex B stream at its access unit delimiters, which it drops.
func audFrames(t testing.TB, b []byte, aud []byte) [][]byte {
	t.Helper()
	start := append([]byte{0, 0, 0, 1}, aud...)
	var out [][]byte
	for i, part := range bytes.Split(b, start) {
		if i == 0 {
			continue
		}
		at := bytes.Index(part, []byte{0, 0, 1})
		if at > 0 && part[at-1] == 0 {
			at--
		}
		out = append(out, part[at:])
	}
	if len(out) == 0 {
		t.Fatal("no delimiters in the stream")
	}
	return out
}

type recipe struct {
	name  string
	codec media.Codec
	args  []string // encoder and format
}

var recipes = []recipe{
	{"h264", media.H264, []string{"-c:v", "libx264", "-preset", "superfast", "-tune", "zerolatency", "-profile:v", "baseline", "-bsf:v", "h264_metadata=aud=insert", "-f", "h264"}},
	{"hevc", media.H265, []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:bframes=0:pools=1:aud=1", "-f", "hevc"}},
	{"vp8", media.VP8, []string{"-c:v", "libvpx", "-deadline", "realtime", "-auto-alt-ref", "0", "-lag-in-frames", "0", "-f", "ivf"}},
	{"vp9", media.VP9, []string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-lag-in-frames", "0", "-f", "ivf"}},
	{"av1", media.AV1, []string{"-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-lag-in-frames", "0", "-f", "ivf"}},
}

// encoded makes frames pictures of a source filter.
func (r recipe) encoded(t testing.TB, source string, extra ...string) (raw []byte, frames [][]byte) {
	t.Helper()
	args := append([]string{"-f", "lavfi", "-i", source, "-g", "20", "-b:v", "800k"}, extra...)
	raw = ffmpeg(t, append(args, r.args...)...)
	return raw, r.split(t, raw)
}

func (r recipe) split(t testing.TB, raw []byte) [][]byte {
	switch r.codec {
	case media.H264:
		return audFrames(t, raw, []byte{0x09})
	case media.H265:
		return audFrames(t, raw, []byte{0x46, 0x01})
	}
	return ivfFrames(t, raw)
}

// i420 copies the planes of a canvas without padding.
func i420(c *Canvas) []byte {
	w, h := c.Size()
	var out []byte
	for i := range 3 {
		p, stride := c.Plane(i)
		pw, ph := w, h
		if i > 0 {
			pw, ph = (w+1)/2, (h+1)/2
		}
		for y := range ph {
			out = append(out, p[y*stride:y*stride+pw]...)
		}
	}
	return out
}

// at returns the colour of a pixel.
func at(c *Canvas, x, y int) YUV {
	py, sy := c.Plane(0)
	pu, su := c.Plane(1)
	pv, sv := c.Plane(2)
	return YUV{py[y*sy+x], pu[y/2*su+x/2], pv[y/2*sv+x/2]}
}

func near(a, b YUV, tolerance int) bool {
	for i := range a {
		if d := int(a[i]) - int(b[i]); d > tolerance || d < -tolerance {
			return false
		}
	}
	return true
}

func newCanvas(t testing.TB, w, h int) *Canvas {
	t.Helper()
	c, err := NewCanvas(w, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func newDecoder(t testing.TB, c media.Codec) *VideoDecoder {
	t.Helper()
	d, err := NewVideoDecoder(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}
