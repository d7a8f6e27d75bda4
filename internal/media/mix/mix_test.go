package mix

import (
	"math"
	"math/rand/v2"
	"testing"

	"tapedeck/internal/media"
)

const packet = 960 // 20 ms

// tone is n samples of a sine of hz, the first being number at of the sine.
func tone(hz float64, at, n int64) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(0.3 * math.Sin(2*math.Pi*hz*float64(at+int64(i))/Rate))
	}
	return out
}

// readTo reads mono sound up to position end in AAC frames.
func readTo(m *Mixer, end int64) (out []float32) {
	frame := make([]float32, 1024*m.channels)
	for m.Pos() < end {
		m.Read(frame)
		out = append(out, frame...)
	}
	return out
}

// level is the amplitude of a tone of hz in pcm.
func level(pcm []float32, hz float64) float64 {
	var re, im float64
	for i, v := range pcm {
		s, c := math.Sincos(2 * math.Pi * hz * float64(i) / Rate)
		re, im = re+float64(v)*c, im+float64(v)*s
	}
	return 2 * math.Hypot(re, im) / float64(len(pcm))
}

// Two users' beeps are heard at their times, sample by sample, whatever the
// order in which they are pushed, and silence between them.
func TestBeepsLandOnTheSample(t *testing.T) {
	const start = 48000 // the recording begins at one second
	m := New(1, start)
	a, b := m.Add(), m.Add()
	type beep struct {
		s  *Source
		hz float64
		at int64
	}
	beeps := []beep{{a, 1000, 60000}, {b, 1700, 61500}, {a, 1000, 120011}, {b, 1700, 119000}}
	for _, k := range beeps {
		for i := int64(0); i < 4800; i += packet {
			k.s.Push(media.FromSamples48k(k.at+i), tone(k.hz, i, packet))
		}
	}
	a.Close()
	b.Close()
	got := readTo(m, 140000)
	want := make([]float32, len(got))
	for _, k := range beeps {
		for i, v := range tone(k.hz, 0, 4800) {
			want[k.at-start+int64(i)] += v
		}
	}
	for i := range want {
		if d := math.Abs(float64(got[i] - want[i])); d > 0.001 {
			t.Fatalf("at %d: %v, want %v", start+i, got[i], want[i])
		}
	}
	if s := a.Stats(); s.Late+s.Cut+s.Early != 0 {
		t.Errorf("%+v", s)
	}
}

// A sender whose clock is off by up to 300 ppm stays within 5 ms over a quarter of an hour, without one hard correction and with a clean tone.
func TestDriftIsFollowed(t *testing.T) {
	for _, ppm := range []float64{100, -300} {
		m := New(1, 0)
		s := m.Add()
		rng := rand.New(rand.NewPCG(3, 4))
		worst, read := 0.0, int64(0)
		var tail []float32
		frame := make([]float32, 1024)
		const total = 900 * Rate
		for at := int64(0); at < total; at += packet {
			// The true time of sample `at` of this sender, with the mapping's jitter.
			pts := float64(at) * (1 + ppm*1e-6) / Rate * 1e6
			s.Push(media.Time(pts+rng.NormFloat64()*30), tone(1000, at, packet))
			worst = max(worst, math.Abs(s.Offset()))
			for read = m.Pos(); read < s.q.to-2048; read = m.Pos() {
				m.Read(frame)
				if read > total-4*Rate && len(tail) < 2*Rate {
					tail = append(tail, frame...)
				}
			}
		}
		if worst > 0.005*Rate {
			t.Errorf("%v ppm: off by %.2f ms", ppm, worst/Rate*1000)
		}
		if st := s.Stats(); st != (Stats{}) {
			t.Errorf("%v ppm: %+v", ppm, st)
		}
		if snr := toneSNR(tail, 1000/(1+ppm*1e-6)); snr < 60 {
			t.Errorf("%v ppm: SNR of the tone %.1f dB", ppm, snr)
		}
	}
}

// toneSNR fits a sine of hz in short windows, whose phase may drift, and
// compares it with what is left.
func toneSNR(pcm []float32, hz float64) float64 {
	const win = 2400
	var signal, noise float64
	for ; len(pcm) >= win; pcm = pcm[win:] {
		var cc, ss, cs, xc, xs float64
		for i, v := range pcm[:win] {
			s, c := math.Sincos(2 * math.Pi * hz * float64(i) / Rate)
			cc, ss, cs, xc, xs = cc+c*c, ss+s*s, cs+c*s, xc+float64(v)*c, xs+float64(v)*s
		}
		d := cc*ss - cs*cs
		a, b := (xc*ss-xs*cs)/d, (xs*cc-xc*cs)/d
		for i, v := range pcm[:win] {
			s, c := math.Sincos(2 * math.Pi * hz * float64(i) / Rate)
			fit := a*c + b*s
			signal, noise = signal+fit*fit, noise+(float64(v)-fit)*(float64(v)-fit)
		}
	}
	return 10 * math.Log10(signal/noise)
}

// One push after another with a jump of the time between them.
func TestGapsAndOverlaps(t *testing.T) {
	ms := func(n int64) int64 { return n * Rate / 1000 }
	for _, c := range []struct {
		name     string
		jump     int64 // of the second push's position, samples
		begins   int64 // where its tone is then heard
		inserted int64
		cut      int64
	}{
		{"in step", 0, packet, 0, 0},
		{"5 ms: drift", ms(5), packet, 0, 0},
		{"-5 ms: drift", -ms(5), packet, 0, 0},
		{"lost packet", packet, 2 * packet, packet, 0},
		{"pause of 60 ms", ms(60), packet + ms(60), ms(60), 0},
		{"pause of 400 ms", ms(400), packet + ms(400), ms(400), 0},
		{"overlap of 12 ms", -ms(12), packet, 0, ms(12)},
		{"back by 110 ms", -ms(110), 0, 0, packet},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := New(1, 0)
			s := m.Add()
			s.Push(media.FromSamples48k(0), tone(1000, 0, packet))
			second := make([]float32, 4800)
			for i := range second {
				second[i] = 0.5
			}
			s.Push(media.FromSamples48k(packet+c.jump), second)
			s.Close()
			got := readTo(m, 48000)
			first := int64(-1)
			for i, v := range got {
				if v > 0.45 {
					first = int64(i)
					break
				}
			}
			if c.name == "back by 110 ms" {
				// Its time lies before the mixer's start: only the rest is heard.
				c.begins = 0
			}
			if d := first - c.begins; d < -1 || d > 1 {
				t.Errorf("heard from %d, want %d", first, c.begins)
			}
			if st := s.Stats(); st.Inserted-c.inserted > 1 || c.inserted-st.Inserted > 1 || st.Cut-c.cut > 1 || c.cut-st.Cut > 1 {
				t.Errorf("%+v, want %d inserted and %d cut", st, c.inserted, c.cut)
			}
			for i := c.begins + 5000; i < int64(len(got)); i++ {
				if got[i] != 0 {
					t.Fatalf("no silence at %d: %v", i, got[i])
				}
			}
		})
	}
}

func TestLateAndEarly(t *testing.T) {
	m := New(1, 0)
	s := m.Add()
	readTo(m, 48000)
	pos := m.Pos()
	s.Push(media.FromSamples48k(pos-1440), tone(500, 0, packet)) // wholly late
	s.Push(media.FromSamples48k(pos-480), tone(500, packet, packet))
	s.Push(media.FromSamples48k(pos+31*Rate), tone(500, 0, packet))
	s.Close()
	got := readTo(m, pos+1024)
	want := tone(500, packet+480, 480)
	for i, v := range want {
		if math.Abs(float64(got[i]-v)) > 1e-3 {
			t.Fatalf("at %d: %v, want %v", i, got[i], v)
		}
	}
	if st := s.Stats(); st.Late != 1440 || st.Early != packet {
		t.Errorf("%+v", st)
	}
	if len(m.sources) != 0 {
		t.Error("a closed source that is played out stays")
	}
	s.Push(media.FromSamples48k(m.Pos()), tone(500, 0, packet))
	if got := readTo(m, m.Pos()+1024); level(got, 500) > 1e-6 {
		t.Error("a closed source is heard")
	}
}

// Sources join and leave, and a pause longer than all buffers is just silence.
func TestComeAndGo(t *testing.T) {
	m := New(2, 0)
	var got []float32
	push := func(s *Source, from, to int64, hz float64) {
		for at := from; at < to; at += packet {
			mono := tone(hz, at, packet)
			st := make([]float32, 0, 2*packet)
			for _, v := range mono {
				st = append(st, v, 0) // left only
			}
			s.Push(media.FromSamples48k(at), st)
		}
	}
	a := m.Add()
	push(a, 0, 48000, 1000)
	got = append(got, readTo(m, 40000)...)
	b := m.Add()
	push(b, 52800, 96000, 2000)
	push(a, 48000, 72000, 1000)
	a.Close()
	got = append(got, readTo(m, 100*Rate)...)
	push(b, 101*Rate, 102*Rate, 2000)
	got = append(got, readTo(m, 103*Rate)...)
	left := func(from, to int64) (out []float32) {
		for i := from; i < to; i++ {
			out = append(out, got[2*i])
			if got[2*i+1] != 0 {
				t.Fatalf("sound on the right at %d", i)
			}
		}
		return out
	}
	for _, c := range []struct {
		from, to int64
		hz       float64
		want     float64
	}{
		{4800, 48000, 1000, 0.3}, {4800, 48000, 2000, 0}, {57600, 67200, 1000, 0.3}, {57600, 67200, 2000, 0.3}, {76800, 91200, 1000, 0},
		{76800, 91200, 2000, 0.3}, {2 * Rate, 100 * Rate, 2000, 0}, {101*Rate + 4800, 102 * Rate, 2000, 0.3},
	} {
		if l := level(left(c.from, c.to), c.hz); math.Abs(l-c.want) > 0.01 {
			t.Errorf("%d..%d: level of %v Hz is %.3f, want %.3f", c.from, c.to, c.hz, l, c.want)
		}
	}
}

func TestClip(t *testing.T) {
	last := float32(-2)
	for v := float32(-5); v < 5; v += 0.001 {
		y := clip(v)
		if y < last || y < -1 || y > 1 {
			t.Fatalf("clip(%v) = %v after %v", v, y, last)
		}
		if v > -knee && v < knee && y != v {
			t.Fatalf("clip(%v) = %v", v, y)
		}
		last = y
	}
	inf := float32(math.Inf(1))
	if clip(inf) != 1 || clip(-inf) != -1 || clip(float32(math.NaN())) != 0 {
		t.Errorf("%v %v %v", clip(inf), clip(-inf), clip(float32(math.NaN())))
	}
}

// Whatever is pushed, reading neither fails nor keeps memory for ever.
func TestHostileTimes(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	m := New(1, 0)
	s := m.Add()
	frame := make([]float32, 1024)
	for i := range 20000 {
		var at media.Time
		switch rng.IntN(4) {
		case 0:
			at = media.Time(rng.Int64()) - math.MaxInt64/2
		case 1:
			at = media.Time(rng.IntN(60e6)) - 30e6 + media.FromSamples48k(m.Pos())
		default:
			at = media.FromSamples48k(m.Pos() + int64(rng.IntN(9600)) - 4800)
		}
		s.Push(at, tone(440, 0, int64(rng.IntN(3*packet))))
		if i%2 == 0 {
			m.Read(frame)
		}
		if n := len(s.q.buf); n > 70*Rate {
			t.Fatalf("%d samples queued", n)
		}
	}
}

func BenchmarkMix(b *testing.B) {
	m := New(1, 0)
	var ss []*Source
	for range 17 {
		ss = append(ss, m.Add())
	}
	pcm := tone(440, 0, packet)
	frame := make([]float32, packet)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ { // 20 ms of 17 users a turn
		for k, s := range ss {
			s.Push(media.Time(float64(i*20000)*(1+float64(k-8)*1e-5)), pcm)
		}
		m.Read(frame)
	}
}
