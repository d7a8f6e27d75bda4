package recorder

import (
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/session"
	"tapedeck/internal/testkit/clips"
	"tapedeck/internal/testkit/publish"
)

// BenchmarkMix measures a best-fit mix of four senders of 640x360 at 30
// pictures a second on 1280x720: CPU seconds of the whole process for one
// second of recording, and its peak memory.
func BenchmarkMix(b *testing.B) {
	people := []clips.Person{
		{UID: 1, Color: "#2050b0", Tone: 600, Video: []clips.Video{{Codec: media.H264, W: 640, H: 360, Kbps: 500}}},
		{UID: 2, Color: "#b05010", Tone: 1000, Video: []clips.Video{{Codec: media.VP8, W: 640, H: 360, Kbps: 500}}},
		{UID: 3, Color: "#30a030", Tone: 1500, Video: []clips.Video{{Codec: media.H264, W: 640, H: 360, Kbps: 500}}},
		{UID: 4, Color: "#802080", Tone: 2100, Video: []clips.Video{{Codec: media.VP8, W: 640, H: 360, Kbps: 500}}},
	}
	sets, err := clips.Make(b.Context(), clips.CacheDir(), people)
	if err != nil {
		b.Fatal(err)
	}
	const length = 6 * second
	b.ReportAllocs()
	cpu := 0.0
	for b.Loop() {
		plan := mixPlan()
		plan.SliceLength = 15 * time.Second
		plan.Mixing = &session.Mixing{Width: 1280, Height: 720, FPS: 30, Bitrate: 1500, Layout: session.Layout{Kind: 1}}
		s := newStage(b, plan)
		for i, set := range sets {
			a := &actor{s: s, user: person(people[i].UID), drop: func(bool, int64) bool { return false }}
			if set.Layers[0].Codec == media.VP8 {
				a.video, err = publish.LoadIVF(set.Layers[0].Path)
			} else {
				a.video, err = publish.LoadH264(set.Layers[0].Path, clips.FPS)
			}
			if err != nil {
				b.Fatal(err)
			}
			if a.audio, err = publish.LoadOgg(set.Audio.Path); err != nil {
				b.Fatal(err)
			}
			a.stay(0, 2*length)
		}
		before := cpuSeconds()
		s.run(length)
		s.stop()
		cpu += cpuSeconds() - before
		s.mode.close()
	}
	b.ReportMetric(cpu/float64(b.N)/(float64(length)/1e6), "cpu-s/s")
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	b.ReportMetric(float64(u.Maxrss)/1024, "MB-peak")
}

// cpuSeconds is the CPU time of this process so far.
func cpuSeconds() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
