package timing

import (
	"math"
	"testing"
	"time"

	"tapedeck/internal/media"
)

// bench drives tracks by hand. Times are seconds on the recorder's clock.
type bench struct {
	t     *testing.T
	start time.Time
	s     *Sender
}

func newBench(t *testing.T) *bench {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return &bench{t, start, NewSender(NewClock(start, func() time.Time { return start }))}
}

func (b *bench) when(s float64) time.Time { return b.start.Add(time.Duration(math.Round(s * 1e9))) }

// unit arrives and is mapped at once.
func (b *bench) unit(t *Track, at float64, ext int64) float64 {
	t.Arrive(ext, b.when(at))
	return float64(t.Map(ext)) / 1e6
}

func (b *bench) report(t *Track, at, ntp float64, ext int64) {
	sec, frac := math.Modf(ntp)
	t.Report(uint64(sec)<<32|uint64(frac*(1<<32)), uint32(ext), b.when(at))
}

// play sends 20 ms units from one time to another without delay, with a report
// every 3 s, and demands that each is mapped to within tolerance of its time.
func (b *bench) play(t *Track, from, to, ntp0, tolerance float64, ext func(s float64) int64) {
	b.t.Helper()
	nextSR := math.Ceil(from/3) * 3
	for s := from; s < to; s += 0.02 {
		if s >= nextSR {
			nextSR += 3
			b.report(t, s, ntp0+s, ext(s))
		}
		if got := b.unit(t, s, ext(s)); math.Abs(got-s) > tolerance {
			b.t.Fatalf("unit sent at %.3f s is placed at %.3f s", s, got)
		}
	}
}

const ntp0 = 3_900_000_000.

func opus(s float64) int64 { return 1<<32 - 48000 + int64(math.Round(s*48000)) } // wraps after a second

func TestArrivalPlacesATrackWithoutReports(t *testing.T) {
	b := newBench(t)
	tr := b.s.Track(media.Opus)
	for i := range 500 {
		at, jitter := float64(i)*0.02, float64(i%7)*0.003
		if got := b.unit(tr, at+jitter, opus(at)); math.Abs(got-at) > 0.0005 {
			t.Fatalf("unit %d is placed at %.4f s, want %.4f s", i, got, at)
		}
	}
}

func TestAbsurdReportsDoNotMoveTheTimeline(t *testing.T) {
	b := newBench(t)
	tr := b.s.Track(media.Opus)
	b.play(tr, 0, 10, ntp0, 0.001, opus)
	b.report(tr, 10, 0, opus(10))                 // no wall clock
	b.report(tr, 10, ntp0+10+7200, opus(10))      // hours ahead
	b.report(tr, 10, ntp0+10, opus(10)+123456789) // another stream's RTP time
	b.report(tr, 10, 17, opus(10))                // the year 1900
	b.report(tr, 10, ntp0+10, opus(9))            // an old one again
	b.play(tr, 10, 30, ntp0, 0.001, opus)
}

func TestFirstReportMayBeAbsurd(t *testing.T) {
	b := newBench(t)
	sound, picture := b.s.Track(media.Opus), b.s.Track(media.H264)
	h264 := func(s float64) int64 { return int64(math.Round(s * 90000)) }
	for s := 0.; s < 60; s += 0.02 {
		if s >= 1 && s < 1.02 {
			b.report(sound, s, 12345, opus(s))
		}
		if n := math.Mod(s, 3); s > 2 && n < 0.02 {
			b.report(sound, s, ntp0+s, opus(s))
			b.report(picture, s, ntp0+s, h264(s))
		}
		a, v := b.unit(sound, s, opus(s)), b.unit(picture, s, h264(s))
		if math.Abs(a-s) > 0.002 || math.Abs(v-s) > 0.002 {
			t.Fatalf("units of %.2f s are placed at %.4f s and %.4f s", s, a, v)
		}
	}
}

func TestStepOfTheSendersWallClock(t *testing.T) {
	for _, step := range []float64{-3600, 0.6, 7200} {
		w := world{audioPPM: 30, videoPPM: -30, srNoise: 0.001, firstSR: 3, length: 300, ntpStep: func(t float64) float64 {
			if t > 100 {
				return step
			}
			return 0
		}}
		audio, video := w.run(t, 3)
		checkOrder(t, "sound", audio, 1500e-6)
		checkOrder(t, "picture", video, videoSlew+1000e-6)
		if av, dist := skew(audio, video, 20); av > 0.010 || dist > 0.060 {
			t.Errorf("step of %v s: A/V error %.1f ms, distance %.1f ms", step, av*1e3, dist*1e3)
		}
	}
}

func TestMuteIsRealTime(t *testing.T) {
	w := world{audioPPM: 80, videoPPM: -80, wallPPM: 50, srNoise: 0.002, firstSR: 3, length: 1500, muted: func(audio bool, t float64) bool {
		return t > 100 && t < 130 || audio && t > 200 && t < 900 || !audio && t > 950 && t < 1300
	}}
	audio, video := w.run(t, 5)
	checkOrder(t, "sound", audio, 1500e-6)
	checkOrder(t, "picture", video, videoSlew+1000e-6)
	if av, dist := skew(audio, video, 30); av > 0.020 || dist > 0.060 {
		t.Errorf("A/V error %.1f ms, distance %.1f ms", av*1e3, dist*1e3)
	}
}

func TestRTPClockMayChange(t *testing.T) {
	for name, jump := range map[string]int64{
		"forward": 48000 * 1000, "far forward": 1 << 40, "back": -48000 * 1000, "a little forward": 48000 * 2, "a little back": -48000 * 6,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			tr := b.s.Track(media.Opus)
			b.play(tr, 0, 20, ntp0, 0.001, opus)
			b.play(tr, 20, 60, ntp0, 0.002, func(s float64) int64 { return opus(s) + jump })
		})
	}
}

func TestRTPClockThatStoodStill(t *testing.T) {
	b := newBench(t)
	tr := b.s.Track(media.Opus)
	b.play(tr, 0, 20, ntp0, 0.001, opus)
	// Ten seconds pass that the RTP clock does not know of.
	for s := 30.; s < 40; s += 0.02 {
		got := b.unit(tr, s, opus(s-10))
		if s > 30+pausedFor+0.1 && math.Abs(got-s) > 0.001 {
			t.Fatalf("unit of %.2f s is placed at %.3f s", s, got)
		}
	}
}

func TestStallIsNoJump(t *testing.T) {
	b := newBench(t)
	tr := b.s.Track(media.Opus)
	b.play(tr, 0, 20, ntp0, 0.001, opus)
	for s := 20.; s < 28; s += 0.02 { // eight seconds of sound in a burst
		if got := b.unit(tr, 28, opus(s)); math.Abs(got-s) > 0.001 {
			t.Fatalf("unit of %.2f s is placed at %.3f s", s, got)
		}
	}
	b.play(tr, 28, 40, ntp0, 0.001, opus)
}

func TestLateStartIsCorrected(t *testing.T) {
	b := newBench(t)
	tr := b.s.Track(media.Opus)
	for s := 0.; s < 0.5; s += 0.02 { // the first half second is read late
		b.unit(tr, 0.5, opus(s))
	}
	b.play(tr, 0.5, 1000, ntp0, 0.6, opus)
	if got := b.unit(tr, 1000, opus(1000)); math.Abs(got-1000) > 0.002 {
		t.Errorf("unit of 1000 s is placed at %.4f s", got)
	}
}

func TestErrorsOfMoreThanASecondAreSteps(t *testing.T) {
	b := newBench(t)
	sound, picture := b.s.Track(media.Opus), b.s.Track(media.VP8)
	h264 := func(s float64) int64 { return int64(math.Round(s * 90000)) }
	b.play(sound, 0, 10, ntp0, 0.001, opus)
	const lag = 2. // pictures arrive two seconds after their sound
	last := 0.
	for s := 0.; s < 20; s += 0.02 {
		if s > 3 && math.Mod(s, 3) < 0.02 {
			b.report(picture, s+lag, ntp0+s, h264(s))
		}
		got := b.unit(picture, s+lag, h264(s))
		if got <= last {
			t.Fatalf("time stands still at %.2f s", s)
		}
		last = got
		if s > 3+2*lag+0.5 && math.Abs(got-s) > 0.001 {
			t.Fatalf("picture of %.2f s is placed at %.4f s", s, got)
		}
	}
}

func TestUnitsOfTheOldClockFollowTheLast(t *testing.T) {
	b := newBench(t)
	tr := b.s.Track(media.Opus)
	b.play(tr, 0, 5, ntp0, 0.001, opus)
	tr.Arrive(opus(5), b.when(5))
	tr.Arrive(opus(5.02)-48000*100, b.when(5.02)) // a new clock, while one unit waits
	old, fresh := tr.Map(opus(5)), tr.Map(opus(5.02)-48000*100)
	if old > 5_001_000 || old < 4_900_000 || math.Abs(float64(fresh)-5_020_000) > 1000 {
		t.Errorf("units are placed at %d µs and %d µs", old, fresh)
	}
}

func TestEveryCallGoesForward(t *testing.T) {
	b := newBench(t)
	tr := b.s.Track(media.H264)
	last := tr.Map(100)
	for _, ext := range []int64{100, 100, 99, -5, 101, 1 << 50, 0, math.MaxInt32, 102} {
		tr.Arrive(ext, b.when(1))
		if got := tr.Map(ext); got <= last {
			t.Errorf("%d is placed at %d µs after %d µs", ext, got, last)
		} else {
			last = got
		}
	}
}

func TestRemovedTracksAreForgotten(t *testing.T) {
	b := newBench(t)
	one, two := b.s.Track(media.Opus), b.s.Track(media.H264)
	b.s.Remove(one)
	b.s.Remove(one)
	if len(b.s.tracks) != 1 || b.s.tracks[0] != two {
		t.Errorf("%d tracks are left", len(b.s.tracks))
	}
}

// FuzzTrack: whatever packets and reports say, time goes forward and stays
// near the clock.
func FuzzTrack(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19})
	f.Add([]byte{3, 200, 7, 0, 3, 200, 7, 1, 2, 2, 2, 2, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, in []byte) {
		start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		s := NewSender(NewClock(start, func() time.Time { return start }))
		tracks := [2]*Track{s.Track(media.Opus), s.Track(media.H264)}
		last := [2]media.Time{math.MinInt64, math.MinInt64}
		at, ext, ntp := start, [2]int64{}, uint64(3_900_000_000)<<32
		for len(in) >= 4 {
			i := int(in[0] & 1)
			step := int64(int8(in[1])) << (in[0] >> 4)
			at = at.Add(time.Duration(in[2]) * time.Millisecond)
			ext[i] += step
			switch in[0] >> 1 & 3 {
			case 0, 1:
				tracks[i].Arrive(ext[i], at)
			case 2:
				ntp += uint64(int64(int8(in[3])) << (in[2] >> 2)) //nolint:gosec // any value will do
				tracks[i].Report(ntp, uint32(ext[i]), at)         //nolint:gosec // any value will do
			case 3:
				got := tracks[i].Map(ext[i])
				if got <= last[i] {
					t.Fatalf("%d after %d", got, last[i])
				}
				if ahead := got - s.clock.At(at); last[i] < 0 && ahead > 2_000_000 {
					t.Fatalf("the first unit lies %d µs ahead", ahead)
				}
				last[i] = got
			}
			in = in[4:]
		}
	})
}
