package ts

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A slice of silence lasts as long as it is to, decodes without a complaint,
// and holds nothing but zeros.
func TestSilence(t *testing.T) {
	for channels := 1; channels <= 2; channels++ {
		b, err := Silence(48_000, channels, Base, 470)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 10*900 {
			t.Errorf("10 s of silence are %d bytes", len(b))
		}
		path := filepath.Join(t.TempDir(), "silence.ts")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(context.Background(), "ffmpeg", "-v", "warning", "-i", path, "-f", "s16le", "-")
		var complaints strings.Builder
		cmd.Stderr = &complaints
		pcm, err := cmd.Output()
		if err != nil || complaints.Len() > 0 {
			t.Errorf("%d channels: %v, %s", channels, err, complaints.String())
		}
		if len(pcm) != 470*1024*2*channels {
			t.Errorf("%d channels: %d bytes of sound", channels, len(pcm))
		}
		for i, s := range pcm {
			if s != 0 {
				t.Fatalf("%d channels: byte %d is %d", channels, i, s)
			}
		}
	}
	if _, err := Silence(48_000, 3, Base, 1); err == nil {
		t.Error("three channels were accepted")
	}
}
