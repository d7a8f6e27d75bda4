package transcode

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/testkit/samples"
)

// long is a recording of the given minutes with n users who send H.264 and
// AAC, or Opus alone, all the time.
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

// cpu is the processor time of this process and of children that have ended.
func cpu(who int) time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(who, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measured runs work b.N times and reports processor time for each hour of
// recording.
func measured(b *testing.B, who, minutes int, work func()) {
	start := cpu(who)
	for b.Loop() {
		work()
	}
	spent := (cpu(who) - start).Seconds() / float64(b.N)
	b.ReportMetric(spent*60/float64(minutes), "cpu-s/hour")
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapSys)/1e6, "heap-MB")
}

// BenchmarkAudioMix mixes ten minutes of 17 users who all send sound.
func BenchmarkAudioMix(b *testing.B) {
	const minutes = 10
	dir := long(b, minutes, 17, true)
	b.Run("tapedeck", func(b *testing.B) {
		job := Job{Input: dir, Kind: KindAudioMix, Container: "mp3", SampleRate: 48000, Bitrate: 48000, Channels: 2}
		measured(b, syscall.RUSAGE_SELF, minutes, func() { benchRun(b, job) })
	})
	b.Run("ffmpeg", func(b *testing.B) {
		lists, err := filepath.Glob(filepath.Join(dir, "*_audio.m3u8"))
		if err != nil {
			b.Fatal(err)
		}
		args := []string{"-v", "error", "-y", "-threads", "1", "-filter_complex_threads", "1"}
		for _, l := range lists {
			args = append(args, "-i", l)
		}
		args = append(args, "-filter_complex", "amix=inputs="+strconv.Itoa(len(lists)), "-c:a", "libmp3lame", "-b:a", "48k", "-ac", "2", filepath.Join(b.TempDir(), "mix.mp3"))
		measured(b, syscall.RUSAGE_CHILDREN, minutes, func() { ffmpeg(b, args) })
	})
}

// BenchmarkUserMP4 makes the MP4 of one user of 30 minutes.
func BenchmarkUserMP4(b *testing.B) {
	const minutes = 30
	dir := long(b, minutes, 1, false)
	b.Run("tapedeck", func(b *testing.B) {
		job := Job{Input: dir, Kind: KindUsers}
		measured(b, syscall.RUSAGE_SELF, minutes, func() { benchRun(b, job) })
	})
	b.Run("ffmpeg", func(b *testing.B) {
		base := filepath.Join(dir, stem+"__uid_s_100__uid_e_")
		args := []string{
			"-v", "error", "-y", "-i", base + "video.m3u8", "-i", base + "audio.m3u8", "-map", "0:v", "-map", "1:a", "-c", "copy",
			"-movflags", "+faststart", filepath.Join(b.TempDir(), "user.mp4"),
		}
		measured(b, syscall.RUSAGE_CHILDREN, minutes, func() { ffmpeg(b, args) })
	})
}

func ffmpeg(b *testing.B, args []string) {
	b.Helper()
	if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
}

func benchRun(b *testing.B, job Job) {
	b.Helper()
	out := b.TempDir()
	res, err := Run(b.Context(), job, Dir(job.Input), Folder(out), func(Report) {})
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range res.Files {
		if err := os.Remove(filepath.Join(out, f)); err != nil {
			b.Fatal(err)
		}
	}
}
