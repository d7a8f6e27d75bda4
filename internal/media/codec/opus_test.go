package codec

import (
	"errors"
	"math"
	"testing"
)

// oggPackets returns the Opus packets of an Ogg file (RFC 3533, RFC 7845),
// without its two headers.
func oggPackets(t testing.TB, b []byte) (out [][]byte) {
	t.Helper()
	var pkt []byte
	for len(b) >= 27 && string(b[:4]) == "OggS" {
		lacing := b[27 : 27+int(b[26])]
		body := b[27+int(b[26]):]
		for _, n := range lacing {
			pkt = append(pkt, body[:n]...)
			body = body[n:]
			if n < 255 {
				out, pkt = append(out, pkt), nil
			}
		}
		b = body
	}
	if len(out) < 10 {
		t.Fatalf("%d packets", len(out))
	}
	return out[2:]
}

func rms(pcm []float32) float64 {
	s := 0.0
	for _, v := range pcm {
		s += float64(v) * float64(v)
	}
	return math.Sqrt(s / float64(len(pcm)))
}

// speech is a stand-in that the speech coder handles: syllables of a gliding tone.
func speech(t testing.TB) [][]byte {
	return oggPackets(t, ffmpeg(t, "-f", "lavfi", "-i", "aevalsrc='0.4*sin(2*PI*(180*t+30*sin(3*t)))*gt(mod(t,0.13),0.05)*(0.5+0.5*sin(2*PI*720*t))':s=48000:d=4",
		"-c:a", "libopus", "-application", "voip", "-b:a", "18k", "-frame_duration", "20", "-fec", "1", "-packet_loss", "20", "-f", "ogg"))
}

func TestOpus(t *testing.T) {
	pkts := speech(t)
	for _, channels := range []int{1, 2} {
		d, err := NewOpusDecoder(channels)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		energy := 0.0
		for i, p := range pkts {
			if n := OpusSamples(p); n != 960 {
				t.Fatalf("packet %d is said to hold %d samples", i, n)
			}
			pcm, err := d.Decode(p)
			if err != nil || len(pcm) != 960*channels {
				t.Fatalf("packet %d: %d samples, %v", i, len(pcm), err)
			}
			if channels == 2 && (pcm[100] != pcm[101]) {
				t.Fatal("a mono sender is not in the middle")
			}
			energy += rms(pcm)
		}
		if energy /= float64(len(pkts)); energy < 0.05 {
			t.Errorf("%d channels: level %.3f", channels, energy)
		}
	}
}

// A lost packet is restored from the one after it; where nothing restores it,
// something is heard instead of a hole.
func TestOpusLoss(t *testing.T) {
	pkts := speech(t)
	clean, _ := NewOpusDecoder(1)
	conceal, _ := NewOpusDecoder(1)
	fec, _ := NewOpusDecoder(1)
	defer clean.Close()
	defer conceal.Close()
	defer fec.Close()
	var noise, byConceal, byFEC, heard float64
	distance := func(a, b []float32) (s float64) {
		for i := range a {
			s += float64(a[i]-b[i]) * float64(a[i]-b[i])
		}
		return s
	}
	for i := range pkts {
		want, err := clean.Decode(pkts[i])
		if err != nil {
			t.Fatal(err)
		}
		if i%7 != 5 || i+1 == len(pkts) {
			for _, d := range []*OpusDecoder{conceal, fec} {
				if _, err := d.Decode(pkts[i]); err != nil {
					t.Fatal(err)
				}
			}
			continue
		}
		a, err := conceal.Conceal(960)
		if err != nil {
			t.Fatal(err)
		}
		heard += distance(a, make([]float32, 960))
		b, err := fec.DecodeFEC(pkts[i+1], 960)
		if err != nil {
			t.Fatal(err)
		}
		noise += distance(want, make([]float32, 960))
		byConceal += distance(want, a)
		byFEC += distance(want, b)
	}
	if byFEC > noise/5 || byFEC > byConceal/5 || heard < noise/10 || heard > noise*3 {
		t.Errorf("error energy: silence %.1f, concealed %.1f, restored %.1f; heard instead %.1f", noise, byConceal, byFEC, heard)
	}
}

func TestOpusLimits(t *testing.T) {
	for _, n := range []int{0, 3, -1, 1 << 40} {
		if _, err := NewOpusDecoder(n); err == nil {
			t.Errorf("%d channels", n)
		}
	}
	d, err := NewOpusDecoder(1)
	if err != nil {
		t.Fatal(err)
	}
	var e *Error
	if _, err := d.Decode([]byte{3, 255, 255}); !errors.As(err, &e) {
		t.Errorf("garbage gave %v", err)
	}
	for _, n := range []int{0, -120, 121, 5880, 1 << 40} {
		if _, err := d.Conceal(n); err == nil {
			t.Errorf("concealed %d samples", n)
		}
	}
	if _, err := d.Decode(nil); err == nil {
		t.Error("an empty packet was decoded")
	}
	d.Close()
	if _, err := d.Conceal(960); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if OpusSamples(nil) != 0 || OpusSamples([]byte{3, 255}) != 0 {
		t.Error("garbage has a length")
	}
}

func FuzzOpus(f *testing.F) {
	f.Add([]byte{0x0b, 0x82, 0x11}, true)
	f.Fuzz(func(t *testing.T, pkt []byte, fec bool) {
		d, err := NewOpusDecoder(2)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		for range 3 {
			if fec {
				_, _ = d.DecodeFEC(pkt, 960)
			}
			pcm, err := d.Decode(pkt)
			if err == nil && len(pcm) > 2*maxOpusFrame {
				t.Fatalf("%d samples", len(pcm))
			}
			if n := OpusSamples(pkt); err == nil && n*2 != len(pcm) {
				t.Fatalf("said %d samples a channel, gave %d in all", n, len(pcm))
			}
		}
	})
}
