package mix

import (
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/media/timing"
)

// far is a sender whose clocks run fast or slow: a microphone that clicks at
// whole seconds of true time and a camera that flashes with it, seen through
// RTP times, sender reports and a jittery network.
type far struct {
	ppm    float64
	sound  *timing.Track
	camera *timing.Track
	src    *Source
	n      int64 // next sample of the microphone's clock
	worst  float64
}

const clickLength = 48 // samples

// rtp is the sender's media clock at true time t.
func (f *far) rtp(t, rate float64) int64 { return int64(math.Round(t * rate * (1 + f.ppm*1e-6))) }

// packet returns the next 20 ms of the microphone and the true time of its
// first sample.
func (f *far) packet() (pcm []float32, t float64) {
	rate := Rate * (1 + f.ppm*1e-6)
	pcm = make([]float32, packet)
	for i := range pcm {
		if at := float64(f.n+int64(i)) / rate; (at-math.Floor(at))*rate < clickLength {
			pcm[i] = 0.4
		}
	}
	t = float64(f.n) / rate
	f.n += packet
	return pcm, t
}

// Senders of +100, -100 and 0 ppm over a long time: a click is heard when its
// flash is seen, at hour 24 as in minute one, and nothing is cut or filled.
func TestDriftOfADay(t *testing.T) {
	hours := 0.1
	if os.Getenv("TAPEDECK_TEST_LONG") != "" {
		hours = 24
	}
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	when := func(s float64) time.Time { return start.Add(time.Duration(s * 1e9)) }
	for _, ppm := range []float64{100, -100} {
		rng := rand.New(rand.NewPCG(9, uint64(1000+ppm)))
		sender := timing.NewSender(timing.NewClock(start, func() time.Time { return start }))
		m := New(1, 0)
		f := &far{ppm: ppm, sound: sender.Track(media.Opus), camera: sender.Track(media.H264), src: m.Add()}
		run(m, f, rng, when, hours*3600)
		st := f.src.Stats()
		t.Logf("%+.0f ppm over %.2f h: sound is at most %.1f ms from its picture; %+v", ppm, hours, f.worst*1e3, st)
		if f.worst > 0.040 {
			t.Errorf("%+.0f ppm: off by %.1f ms", ppm, f.worst*1e3)
		}
		if st.Cut+st.Inserted+st.Early > Rate/5 { // settling in the first minute
			t.Errorf("%+.0f ppm: %+v", ppm, st)
		}
	}
}

func run(m *Mixer, f *far, rng *rand.Rand, when func(float64) time.Time, length float64) {
	ntp := func(t float64) uint64 {
		sec, frac := math.Modf(3_900_000_000 + t + 0.002*rng.NormFloat64())
		return uint64(sec)<<32 | uint64(frac*(1<<32))
	}
	flashes := map[int64]float64{} // true second → time of its picture on the timeline
	frame := make([]float32, 1024)
	report, second, quiet := 3.0, 1.0, 0
	for t := 0.0; t < length; {
		var pcm []float32
		pcm, t = f.packet()
		arrive := t + 0.03 + 0.01*rng.ExpFloat64()
		if t >= report {
			report += 3
			f.sound.Report(ntp(t), uint32(f.rtp(t, Rate)), when(arrive))
			f.camera.Report(ntp(t), uint32(f.rtp(t, 90000)), when(arrive))
		}
		ext := f.n - packet
		f.sound.Arrive(ext, when(arrive))
		f.src.Push(f.sound.Map(ext), pcm)
		if t >= second {
			// The picture taken at this whole second.
			at := f.rtp(second, 90000)
			f.camera.Arrive(at, when(arrive))
			flashes[int64(second)] = float64(f.camera.Map(at)) / 1e6
			second++
		}
		for float64(m.Pos()) < (t-0.5)*Rate {
			from := m.Pos()
			m.Read(frame)
			for i, v := range frame {
				if v < 0.2 {
					quiet++
					continue
				}
				if heard := float64(from+int64(i)) / Rate; quiet > Rate/4 && heard > 30 {
					if seen, ok := flashes[int64(math.Round(heard))]; ok {
						f.worst = max(f.worst, math.Abs(heard-seen))
					}
				}
				quiet = 0
			}
		}
		delete(flashes, int64(second)-4)
	}
}
