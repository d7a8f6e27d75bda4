package timing

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"tapedeck/internal/media"
)

// world simulates one participant with a microphone and a camera whose clocks
// drift, seen through a jittery network. Times are seconds by the recorder's
// clock. No test here waits: an hour takes a moment.
type world struct {
	audioPPM, videoPPM float64 // of the media clocks
	wallPPM            float64 // of the sender's wall clock
	srNoise            float64 // s, standard deviation in a report
	videoLag           float64 // s, additional delay of pictures
	firstSR            float64
	length             float64
	muted              func(audio bool, t float64) bool
	ntpStep            func(t float64) float64 // s added to reports
}

type mapped struct{ true, got float64 }

type arrival struct {
	at     float64
	sent   float64
	ext    int64
	report bool
}

func (w world) stream(r *rand.Rand, audio bool) (list []arrival, rtpAt func(float64) int64) {
	rate, step, ppm, lag := 90000., 1./30, w.videoPPM, w.videoLag
	if audio {
		rate, step, ppm, lag = 48000, 0.02, w.audioPPM, 0
	}
	base := int64(r.Uint32())
	rtpAt = func(t float64) int64 { return base + int64(math.Round(t*rate*(1+ppm*1e-6))) }
	for n := 0; float64(n)*step < w.length; n++ {
		t := float64(n) * step
		if w.muted != nil && w.muted(audio, t) {
			continue
		}
		delay := 0.030 + 0.010*r.ExpFloat64() + lag
		if r.Float64() < 0.01 {
			delay += 0.2 * r.Float64()
		}
		list = append(list, arrival{at: t + delay, sent: t, ext: rtpAt(t)})
	}
	for t := w.firstSR; t < w.length; t += 3 {
		if w.muted != nil && w.muted(audio, t) {
			continue
		}
		list = append(list, arrival{at: t + 0.03 + 0.01*r.ExpFloat64(), sent: t, ext: rtpAt(t), report: true})
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].at < list[j].at })
	return list, rtpAt
}

// run returns what every unit of both tracks was mapped to, in sending order.
func (w world) run(t *testing.T, seed uint64) (audio, video []mapped) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // repeatable
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	when := func(s float64) time.Time { return start.Add(time.Duration(s * 1e9)) }
	clock := NewClock(start, func() time.Time { return start })
	s := NewSender(clock)
	tracks := [2]*Track{s.Track(media.Opus), s.Track(media.H264)}
	a, _ := w.stream(r, true)
	v, _ := w.stream(r, false)
	wall := func(t float64) uint64 {
		at := 3_900_000_000. + 12345.678 + t*(1+w.wallPPM*1e-6) + w.srNoise*r.NormFloat64()
		if w.ntpStep != nil {
			at += w.ntpStep(t)
		}
		sec, frac := math.Modf(at)
		return uint64(sec)<<32 | uint64(frac*(1<<32))
	}
	out := [2][]mapped{}
	held := [2][]arrival{} // a reorder buffer that waits for 300 ms
	release := func(i int, until float64) {
		sort.SliceStable(held[i], func(a, b int) bool { return held[i][a].ext < held[i][b].ext })
		for len(held[i]) > 0 && held[i][0].sent <= until {
			u := held[i][0]
			held[i] = held[i][1:]
			if n := len(out[i]); n > 0 && out[i][n-1].true > u.sent {
				continue // too late for the buffer
			}
			out[i] = append(out[i], mapped{u.sent, float64(tracks[i].Map(u.ext)) / 1e6})
		}
	}
	for len(a) > 0 || len(v) > 0 {
		i, list := 0, &a
		if len(a) == 0 || len(v) > 0 && v[0].at < a[0].at {
			i, list = 1, &v
		}
		e := (*list)[0]
		*list = (*list)[1:]
		if e.report {
			tracks[i].Report(wall(e.sent), uint32(e.ext), when(e.at))
			continue
		}
		tracks[i].Arrive(e.ext, when(e.at))
		held[i] = append(held[i], e)
		release(0, e.at-0.3)
		release(1, e.at-0.3)
	}
	release(0, math.Inf(1))
	release(1, math.Inf(1))
	return out[0], out[1]
}

// checkOrder demands strictly increasing times and a rate near 1, up to the
// resolution of the RTP clock.
func checkOrder(t *testing.T, name string, list []mapped, rate float64) {
	t.Helper()
	for i := 1; i < len(list); i++ {
		dt, dx := list[i].got-list[i-1].got, list[i].true-list[i-1].true
		if dt <= 0 {
			t.Fatalf("%s: time stands still at %.3f s", name, list[i].true)
		}
		if dx < gap && math.Abs(dt-dx) > dx*rate+1./48000+2e-6 {
			t.Fatalf("%s: %.6f s after %.6f s at %.3f s", name, dt, dx, list[i].true)
		}
	}
}

// skew returns the largest A/V error after a time, and the largest distance of
// sound to the recorder's clock.
func skew(audio, video []mapped, after float64) (av, drift float64) {
	j := 0
	for _, v := range video {
		for j < len(audio)-1 && math.Abs(audio[j+1].true-v.true) <= math.Abs(audio[j].true-v.true) {
			j++
		}
		if v.true < after || math.Abs(audio[j].true-v.true) > 0.05 {
			continue
		}
		ea, ev := audio[j].got-audio[j].true, v.got-v.true
		av = math.Max(av, math.Abs(ea-ev))
		drift = math.Max(drift, math.Abs(ea))
	}
	return av, drift
}

func TestSoundAndPictureStayTogetherForAnHour(t *testing.T) {
	for _, c := range []struct {
		name        string
		w           world
		after       float64
		av, maxDist float64
	}{
		{"no drift", world{}, 30, 0.005, 0.05},
		{"drift 80 ppm against 20 ppm", world{audioPPM: 80, videoPPM: -20, srNoise: 0.002}, 30, 0.010, 0.06},
		{"drift 150 ppm, wall clock 100 ppm", world{audioPPM: 150, videoPPM: -50, wallPPM: 100, srNoise: 0.002}, 30, 0.012, 0.06},
		{"wall clock -100 ppm", world{audioPPM: -150, videoPPM: 100, wallPPM: -100, srNoise: 0.002}, 30, 0.012, 0.06},
		{"noisy reports", world{audioPPM: 150, videoPPM: -50, wallPPM: 100, srNoise: 0.008}, 30, 0.020, 0.07},
		{"late pictures", world{audioPPM: 50, videoPPM: 50, videoLag: 0.080, srNoise: 0.002}, 40, 0.012, 0.06},
		{"late reports", world{audioPPM: 50, videoPPM: 50, videoLag: 0.040, firstSR: 8, srNoise: 0.002}, 40, 0.012, 0.06},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.w.length = 3600
			if c.w.firstSR == 0 {
				c.w.firstSR = 3
			}
			audio, video := c.w.run(t, 7)
			checkOrder(t, "sound", audio, 1500e-6)
			checkOrder(t, "picture", video, videoSlew+1000e-6)
			av, dist := skew(audio, video, c.after)
			begin, _ := skew(audio, video, 0)
			t.Logf("A/V error: largest %.1f ms, %.1f ms in the beginning; sound lies %.1f ms behind", av*1e3, begin*1e3, dist*1e3)
			if av > c.av || dist > c.maxDist {
				t.Errorf("A/V error %.1f ms, want %.1f at most; distance %.1f ms, want %.1f at most", av*1e3, c.av*1e3, dist*1e3, c.maxDist*1e3)
			}
			if begin > 0.030+c.w.videoLag {
				t.Errorf("A/V error is %.1f ms in the beginning", begin*1e3)
			}
		})
	}
}
