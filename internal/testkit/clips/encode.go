package clips

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"tapedeck/internal/media"
)

const (
	rate = 48000
	// lookahead is the delay of libopus at 48 kHz with application "audio", in
	// samples: the pre-skip that the Ogg header tells.
	lookahead = 312
	amplitude = 0.2 // four beeps at once stay below full scale
)

// encode runs ffmpeg once for all files of s.
func encode(ctx context.Context, s Set) error {
	args := []string{"-hide_banner", "-nostdin", "-y", "-v", "error"}
	var graph []string
	var outs []string
	if n := len(s.Layers); n > 0 {
		graph = append(graph, picture(s))
		for i, c := range s.Layers {
			outs = append(outs, "-map", fmt.Sprintf("[v%d]", i))
			outs = append(outs, videoArgs(s.Video[i])...)
			outs = append(outs, c.Path)
		}
	}
	if s.Audio != nil {
		graph = append(graph, sound(s.Tone))
		outs = append(outs, "-map", "[a]", "-c:a", "libopus", "-application", "audio", "-b:a", "48k", "-vbr", "on",
			"-frame_duration", "20", "-page_duration", "20000", s.Audio.Path)
	}
	args = append(args, "-filter_complex", strings.Join(graph, ";"))
	args = append(args, outs...)
	cmd := exec.CommandContext(ctx, "ffmpeg", args...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("ffmpeg (Debian: apt-get install ffmpeg fonts-dejavu-core): %w: %s", err, bytes.TrimSpace(complaint.Bytes()))
	}
	return nil
}

// picture is the filter graph from nothing to the pads [v0], [v1], ...
//
// It draws once in the largest size and scales down, so that all layers show
// the same instant. The flash is chosen by frame number, which has no rounding.
func picture(s Set) string {
	big := s.Video[0]
	for _, v := range s.Video {
		if v.H > big.H {
			big = v
		}
	}
	half := FPS * int(FirstFlash.Milliseconds()) / 1000
	flash := FPS * int(FlashLength.Milliseconds()) / 1000
	small, large := big.H/9, big.H/4
	font := "font=DejaVu Sans Mono:fontcolor=white:borderw=" + strconv.Itoa(max(big.H/120, 1)) + ":bordercolor=black"
	g := []string{
		fmt.Sprintf("color=c=0x%s:s=%dx%d:r=%d:d=%d", strings.TrimPrefix(s.Color, "#"), big.W, big.H, FPS, int(Loop.Seconds())),
		"format=yuv420p",
		// Two things that move: a bar that sweeps the width four times a loop and its mirror image below.
		fmt.Sprintf("drawtext=%s:fontsize=%d:text='■':x='w*mod(n*4/%d\\,1)':y=h*0.03", font, big.H/6, framesPerLoop()),
		fmt.Sprintf("drawtext=%s:fontsize=%d:text='■':x='w*(1-mod(n*4/%d\\,1))':y=h*0.80", font, big.H/6, framesPerLoop()),
		fmt.Sprintf("drawbox=color=white:t=fill:enable='lt(mod(n+%d\\,%d)\\,%d)'", FPS-half, FPS, flash),
		fmt.Sprintf("drawtext=%s:fontsize=%d:text='%d':x=(w-tw)/2:y=h*0.25", font, large, s.UID),
		fmt.Sprintf("drawtext=%s:fontsize=%d:text='%%{pts\\:hms\\:%.3f}':x=(w-tw)/2:y=h*0.60", font, small, FirstFlash.Seconds()),
	}
	n := len(s.Video)
	out := strings.Join(g, ",") + fmt.Sprintf(",split=%d", n)
	for i := range n {
		out += fmt.Sprintf("[s%d]", i)
	}
	for i, v := range s.Video {
		out += fmt.Sprintf(";[s%d]scale=%d:%d:flags=area[v%d]", i, v.W, v.H, i)
	}
	return out
}

func framesPerLoop() int { return FPS * int(Loop.Seconds()) }

// sound is the filter graph of the beeps, ending in pad [a]. It is a lookahead
// shorter than the loop: with the encoder's delay that makes whole packets, and
// what is missing is silence.
func sound(tone int) string {
	first := rate * int(FirstFlash.Milliseconds()) / 1000
	length := rate * int(FlashLength.Milliseconds()) / 1000
	samples := rate*int(Loop.Seconds()) - lookahead
	expr := fmt.Sprintf("%g*sin(2*PI*%d*n/%d)*lt(mod(n+%d\\,%d)\\,%d)", amplitude, tone, rate, rate-first, rate, length)
	return fmt.Sprintf("aevalsrc='%s':s=%d:c=mono,atrim=end_sample=%d,asetnsamples=n=960:p=0[a]", expr, rate, samples)
}

func videoArgs(v Video) []string {
	kbps := strconv.Itoa(v.Kbps) + "k"
	args, _ := recipe(v)
	return append(args, "-g", strconv.Itoa(GOP), "-keyint_min", strconv.Itoa(GOP), "-b:v", kbps, "-maxrate", kbps, "-pix_fmt", "yuv420p", "-threads", "1")
}

// recipe is how ffmpeg encodes a layer, as far as it depends on the codec.
func recipe(v Video) (args []string, known bool) {
	kbps := strconv.Itoa(v.Kbps) + "k"
	profile := "baseline"
	switch {
	case v.Codec == media.H264 && v.Profile == "high":
		profile = "high"
	case v.Profile != "":
		return nil, false
	}
	switch v.Codec {
	case media.VP8:
		return []string{"-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-auto-alt-ref", "0", "-bufsize", kbps, "-f", "ivf"}, true
	case media.VP9:
		return []string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-lag-in-frames", "0", "-bufsize", kbps, "-f", "ivf"}, true
	case media.AV1:
		return []string{"-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-lag-in-frames", "0", "-bufsize", kbps, "-f", "ivf"}, true
	case media.H264:
		return []string{
			"-c:v", "libx264", "-preset", "superfast", "-tune", "zerolatency", "-profile:v", profile, "-bf", "0", "-sc_threshold", "0",
			"-bufsize", strconv.Itoa(v.Kbps/2) + "k", "-x264-params", "slices=1:sliced-threads=0", "-f", "h264",
		}, true
	}
	return nil, false
}
