package player

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// slack allows for the 21 ms by which ffmpeg's sound begins before the picture
// and for the 0.1 s that hls.js steps over a hole at the start.
const slack = 0.15

// record makes a playlist of three slices of 2 s with the ffmpeg program.
func record(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("runs ffmpeg and Chromium")
	}
	dir := t.TempDir()
	cmd := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=30:d=6", "-f", "lavfi", "-i", "sine=d=6:r=48000",
		"-c:v", "libx264", "-bf", "0", "-g", "30", "-pix_fmt", "yuv420p", "-c:a", "aac", "-f", "hls", "-hls_time", "2", "-hls_list_size", "0",
		"-hls_playlist_type", "vod", filepath.Join(dir, "a.m3u8"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, out)
	}
	return dir
}

func play(t *testing.T, dir string) Report {
	t.Helper()
	r, err := Play(t.Context(), dir, "a.m3u8", 8, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", r)
	return r
}

func TestPlaysToTheEnd(t *testing.T) {
	r := play(t, record(t))
	if err := r.Complete(slack); err != nil {
		t.Error(err)
	}
	if r.W != 320 || r.H != 180 || r.Frames == 0 || r.Listed < 5.9 || r.Listed > 6.1 {
		t.Errorf("%+v", r)
	}
}

func TestHoleIsSeen(t *testing.T) {
	dir := record(t)
	// A playlist that promises a slice which was never stored.
	if err := os.Remove(filepath.Join(dir, "a1.ts")); err != nil {
		t.Fatal(err)
	}
	if err := play(t, dir).Complete(slack); err == nil {
		t.Error("a recording with a missing slice is complete")
	}
}

func TestJumpIsSeen(t *testing.T) {
	dir := record(t)
	// The middle slice is not listed: the times jump by two seconds.
	list := filepath.Join(dir, "a.m3u8")
	b, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(b), "#EXTINF:2.000000,\na1.ts\n", "", 1)
	if err := os.WriteFile(list, []byte(text), 0o600); err != nil || text == string(b) {
		t.Fatalf("nothing was cut: %v\n%s", err, text)
	}
	if err := play(t, dir).Complete(slack); err == nil {
		t.Error("a recording whose times jump is complete")
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	dir := record(t)
	t.Setenv("TMPDIR", t.TempDir())
	play(t, dir)
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "tapedeck-player-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
	out, err := exec.Command("ps", "-eo", "args").Output()
	if err != nil {
		t.Skip("no ps")
	}
	if strings.Contains(string(out), os.TempDir()) {
		t.Error("a browser process is still running")
	}
}
