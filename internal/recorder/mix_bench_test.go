package recorder

import (
	"bytes"
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

// BenchmarkMP4Close measures how long an MP4 of two hours takes from its last
// sample to its final name on the disk: 216 000 pictures, 337 500 frames of
// sound, 1.4 GB at 1.5 Mbit/s would be the same but for their bytes.
func BenchmarkMP4Close(b *testing.B) {
	aac := make([]byte, 80)
	picture := append([]byte{0, 0, 0, 1, 0x41}, bytes.Repeat([]byte{7}, 2000)...)
	for b.Loop() {
		b.StopTimer()
		s := newStage(b, mixPlan())
		f := s.mode.files
		f.begin(0)
		if err := f.cut(0); err != nil {
			b.Fatal(err)
		}
		const hours = 2
		v, a := int64(0), int64(0)
		for v < hours*3600*30 {
			at, p := v*3000, packet{key: v%450 == 0, data: picture}
			if a*audioTicks < at {
				at, p = a*audioTicks, packet{key: true, data: aac}
				a++
			} else {
				v++
			}
			p.at = at
			if err := f.mp4.put(p, len(p.data) > 80); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		if err := f.mp4.close(hours * 3600 * second); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		f.mp4 = nil
		s.mode.close()
		b.StartTimer()
	}
}

// BenchmarkMixOfSound measures a mix of four users without pictures, and
// BenchmarkMixAtRest one of four cameras that are switched off.
func BenchmarkMixOfSound(b *testing.B) { quietMix(b, session.AudioOnly) }

// BenchmarkMixAtRest measures a canvas that never changes, with sound.
func BenchmarkMixAtRest(b *testing.B) { quietMix(b, session.Both) }

func quietMix(b *testing.B, streams session.StreamTypes) {
	sound := recordSound(b)
	cpu := 0.0
	const length = 60 * second
	for b.Loop() {
		plan := mixPlan()
		plan.Streams, plan.SliceLength = streams, 15*time.Second
		plan.Mixing = &session.Mixing{Width: 1280, Height: 720, FPS: 30, Bitrate: 1500, Layout: session.Layout{Kind: 1}}
		s := newStage(b, plan)
		for uid := range uint32(4) {
			a := &actor{s: s, user: person(uid + 1), drop: func(bool, int64) bool { return false }, audio: sound}
			a.stay(0, 2*length)
		}
		before := cpuSeconds()
		s.run(length)
		s.stop()
		cpu += cpuSeconds() - before
		s.mode.close()
	}
	b.ReportMetric(cpu/float64(b.N)/(float64(length)/1e6), "cpu-s/s")
}
