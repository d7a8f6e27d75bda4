package transcode

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"tapedeck/internal/media"
	"tapedeck/internal/testkit/samples"
)

// long is a recording of the given minutes with n users who send H.264 and
// AAC, or with Opus alone.
func long(b *testing.B, minutes, n int, opusOnly bool) string {
	dir := b.TempDir()
	a := samples.H264(b)
	for u := range n {
		id := strconv.Itoa(100 + u)
		audio := newTrack(b, dir, id, "audio")
		video := newTrack(b, dir, id, "video")
		for k := range minutes * 6 {
			from := media.Time(k) * 10 * sec
			if opusOnly {
				audio.ts(a.Opus[1:], from, 2000)
				continue
			}
			audio.ts(a.AAC[1:], from, 2000)
			video.ts(a.Video, from, 300)
		}
		audio.end()
		if !opusOnly {
			video.end()
		}
	}
	return dir
}

// BenchmarkAudioMix mixes ten minutes of 17 users who all send sound.
func BenchmarkAudioMix(b *testing.B) {
	job := Job{Input: long(b, 10, 17, true), Kind: KindAudioMix, Container: "mp3", SampleRate: 48000, Bitrate: 48000, Channels: 2}
	for b.Loop() {
		benchRun(b, job)
	}
}

// BenchmarkUserMP4 makes the MP4 of one user of 30 minutes.
func BenchmarkUserMP4(b *testing.B) {
	job := Job{Input: long(b, 30, 1, false), Kind: KindUsers}
	for b.Loop() {
		benchRun(b, job)
	}
}

func benchRun(b *testing.B, job Job) {
	out := b.TempDir()
	res, err := Run(b.Context(), job, Folder(out), func(Report) {})
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range res.Files {
		if err := os.Remove(filepath.Join(out, f)); err != nil {
			b.Fatal(err)
		}
	}
}
