package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// patience bounds one run of a program: some malformed files keep ffmpeg busy
// for ever.
const patience = 60 * time.Second

// Info is what ffprobe says about a file or playlist.
type Info struct {
	Format   string // ffprobe's format_name
	Duration time.Duration
	Start    time.Duration
	Size     int64
	Streams  []Stream
}

// Stream is one elementary stream.
type Stream struct {
	Type      string // "video" or "audio"
	Codec     string // ffprobe's codec_name
	Profile   string
	W, H      int // pixels, video
	FrameRate string
	Rate      int // Hz, audio
	Channels  int
	Start     time.Duration
	Duration  time.Duration
}

// Codecs returns the codec names joined with "+", as in "h264+aac".
func (i Info) Codecs() string {
	names := make([]string, 0, len(i.Streams))
	for _, s := range i.Streams {
		names = append(names, s.Codec)
	}
	return strings.Join(names, "+")
}

// Stream returns the first stream of type kind.
func (i Info) Stream(kind string) (Stream, bool) {
	for _, s := range i.Streams {
		if s.Type == kind {
			return s, true
		}
	}
	return Stream{}, false
}

// report is ffprobe's JSON.
type report struct {
	Format struct {
		Name     string `json:"format_name"`
		Duration string `json:"duration"`
		Start    string `json:"start_time"`
		Size     string `json:"size"`
	} `json:"format"`
	Streams []struct {
		Type      string `json:"codec_type"`
		Codec     string `json:"codec_name"`
		Profile   string `json:"profile"`
		Width     int    `json:"width"`
		Height    int    `json:"height"`
		FrameRate string `json:"r_frame_rate"`
		Rate      string `json:"sample_rate"`
		Channels  int    `json:"channels"`
		Start     string `json:"start_time"`
		Duration  string `json:"duration"`
	} `json:"streams"`
	Packets []struct {
		Type     string `json:"codec_type"`
		PTS      string `json:"pts_time"`
		Duration string `json:"duration_time"`
		Flags    string `json:"flags"`
	} `json:"packets"`
}

// Inspect runs ffprobe on path. It also returns every line that ffprobe printed
// at level "warning" or worse.
func Inspect(ctx context.Context, path string) (Info, []string, error) {
	raw, warnings, err := ask(ctx, path, "-show_format", "-show_streams")
	return raw.info(), warnings, err
}

// Scan is Inspect and Packets in one run of ffprobe.
func Scan(ctx context.Context, path string) (Info, []Packet, []string, error) {
	raw, warnings, err := ask(ctx, path, "-show_format", "-show_streams", "-show_packets")
	return raw.info(), raw.packets(), warnings, err
}

func ask(ctx context.Context, path string, questions ...string) (report, []string, error) {
	var raw report
	args := append([]string{"-hide_banner", "-v", "warning", "-of", "json"}, questions...)
	out, warnings, err := run(ctx, "ffprobe", append(args, path)...)
	if err != nil {
		return raw, warnings, err
	}
	if err := json.Unmarshal(out, &raw); err != nil {
		return raw, warnings, fmt.Errorf("probe: read ffprobe's answer: %w", err)
	}
	return raw, warnings, nil
}

func (raw report) info() Info {
	size, _ := strconv.ParseInt(raw.Format.Size, 10, 64) // absent for playlists
	info := Info{Format: raw.Format.Name, Duration: seconds(raw.Format.Duration), Start: seconds(raw.Format.Start), Size: size}
	for _, s := range raw.Streams {
		rate, _ := strconv.Atoi(s.Rate) // absent for video
		info.Streams = append(info.Streams, Stream{
			Type: s.Type, Codec: s.Codec, Profile: s.Profile, W: s.Width, H: s.Height, FrameRate: s.FrameRate,
			Rate: rate, Channels: s.Channels, Start: seconds(s.Start), Duration: seconds(s.Duration),
		})
	}
	return info
}

// Clean reports nil when ffprobe and a full decode of every stream print
// nothing at level "warning".
func Clean(ctx context.Context, path string) error {
	_, said, err := Inspect(ctx, path)
	if err != nil {
		return err
	}
	_, more, err := run(ctx, "ffmpeg", "-hide_banner", "-nostdin", "-v", "warning", "-i", path, "-map", "0", "-f", "null", "-")
	if err != nil {
		return err
	}
	if said = append(said, more...); len(said) > 0 {
		return fmt.Errorf("probe: %s: %s", path, strings.Join(said, " | "))
	}
	return nil
}

// seconds parses ffprobe's decimal seconds; absent and "N/A" give 0.
func seconds(s string) time.Duration {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return time.Duration(math.Round(f*1e6)) * time.Microsecond
}

// run returns standard output and the non-empty lines of standard error.
func run(ctx context.Context, name string, args ...string) ([]byte, []string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err := cmd.Run()
	said := lines(complaint.String())
	if err != nil {
		return nil, said, fmt.Errorf("probe: %s on %s (Debian: apt-get install ffmpeg): %w: %s", name, args[len(args)-1], err, strings.Join(said, " | "))
	}
	return out.Bytes(), said, nil
}

func lines(s string) []string {
	var out []string
	for l := range strings.Lines(s) {
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, l)
		}
	}
	return out
}
