package visitor

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// What every visitor's camera and microphone show: the colour below, a white
// flash of a tenth of a second every second, and a beep of the tone as often.
const (
	Red, Green, Blue = 0x20, 0x90, 0x50
	Tone             = 900 // Hz

	video = "camera.mjpeg"
	sound = "microphone.wav"
)

// media makes the files that the browser plays in a loop.
func media(ctx context.Context, dir string) error {
	picture := fmt.Sprintf("color=c=0x%02x%02x%02x:s=320x180:r=30:d=2,drawbox=color=white:t=fill:enable='lt(mod(n+15\\,30)\\,3)'", Red, Green, Blue)
	beeps := fmt.Sprintf("aevalsrc='0.3*sin(2*PI*%d*t)*lt(mod(t+0.5\\,1)\\,0.1)':s=48000:d=2", Tone)
	cmd := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-y",
		"-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", beeps,
		"-map", "0", "-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p", "-f", "mjpeg", filepath.Join(dir, video),
		"-map", "1", "-ac", "1", "-c:a", "pcm_s16le", filepath.Join(dir, sound))
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("visitor: ffmpeg: %w: %s", err, bytes.TrimSpace(complaint.Bytes()))
	}
	return nil
}
