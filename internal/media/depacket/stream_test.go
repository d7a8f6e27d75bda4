package depacket

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"tapedeck/internal/media"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// Parameter sets of x264 for 320x180.
var (
	sps = unhex("6742c00dd901419f9f0110000003001000000303c8f142a480")
	pps = unhex("68cb83cb20")
)

func nal(header byte, size int, r *rand.Rand) []byte {
	b := []byte{header, 0x80 | byte(r.Uint32())}
	for len(b) < size {
		b = append(b, byte(1+r.IntN(255))) // no start code can arise
	}
	return b
}

// h264Clip makes access units, a key frame first and then every tenth.
func h264Clip(frames int) [][]byte {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // repeatable
	var units [][]byte
	for i := range frames {
		var u []byte
		if i%10 == 0 {
			u = appendNAL(appendNAL(appendNAL(nil, sps), pps), nal(0x65, 4000+r.IntN(4000), r))
		} else {
			u = appendNAL(nil, nal(0x41, 200+r.IntN(2500), r))
		}
		units = append(units, u)
	}
	return units
}

func vp8Clip(frames int) [][]byte {
	r := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // repeatable
	var units [][]byte
	for i := range frames {
		u := []byte{0x31, 0, 0}
		if i%10 == 0 {
			u = []byte{0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00}
		}
		for range 300 + r.IntN(3000) {
			u = append(u, byte(r.Uint32()))
		}
		units = append(units, u)
	}
	return units
}

func packetize(units [][]byte, pay rtp.Payloader, ticks uint32, seq uint16, ts uint32) []*rtp.Packet {
	var packets []*rtp.Packet
	for i, u := range units {
		payloads := pay.Payload(1150, u)
		for j, p := range payloads {
			packets = append(packets, &rtp.Packet{Header: rtp.Header{
				Version: 2, SequenceNumber: seq, Timestamp: ts + uint32(i)*ticks, Marker: j == len(payloads)-1,
			}, Payload: p})
			seq++
		}
	}
	return packets
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// feed sends packets one a millisecond and returns all units.
func feed(t testing.TB, s *Stream, packets []*rtp.Packet) []media.Unit {
	t.Helper()
	var units []media.Unit
	at := start
	for _, p := range packets {
		at = at.Add(time.Millisecond)
		if p != nil {
			s.Push(p, at)
		}
		for u, ok := s.Next(at); ok; u, ok = s.Next(at) {
			units = append(units, u)
		}
	}
	for u, ok := s.Drain(); ok; u, ok = s.Drain() {
		units = append(units, u)
	}
	return units
}

func newStream(t testing.TB, c media.Codec) *Stream {
	t.Helper()
	s, err := New(c, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// damage describes what a network does to packets.
var damage = map[string]func(in []*rtp.Packet, r *rand.Rand) []*rtp.Packet{
	"clean": func(in []*rtp.Packet, _ *rand.Rand) []*rtp.Packet { return in },
	"reordered": func(in []*rtp.Packet, r *rand.Rand) []*rtp.Packet {
		for i := range len(in) - 8 {
			if r.IntN(10) == 0 && i > 0 {
				j := i + 1 + r.IntN(7)
				in[i], in[j] = in[j], in[i]
			}
		}
		return in
	},
	"duplicates": func(in []*rtp.Packet, r *rand.Rand) (out []*rtp.Packet) {
		for _, p := range in {
			out = append(out, p)
			if r.IntN(20) == 0 {
				out = append(out, p)
			}
		}
		return out
	},
	"late duplicates": func(in []*rtp.Packet, r *rand.Rand) (out []*rtp.Packet) {
		for i, p := range in {
			out = append(out, p)
			if r.IntN(20) == 0 {
				out = append(out, in[max(0, i-r.IntN(60))])
			}
		}
		return out
	},
	"retransmitted": func(in []*rtp.Packet, r *rand.Rand) []*rtp.Packet {
		out := append([]*rtp.Packet(nil), in...)
		for i := 1; i < len(in)-90; i++ {
			if r.IntN(100) == 0 {
				p := out[i]
				copy(out[i:], out[i+1:i+60])
				out[i+59] = p
			}
		}
		return out
	},
	"padding": func(in []*rtp.Packet, _ *rand.Rand) (out []*rtp.Packet) {
		seq := in[0].SequenceNumber - 3
		for i, p := range in {
			if i == 0 || in[i-1].Marker && i%3 == 0 {
				for range 3 {
					pad := make([]byte, 255)
					pad[254] = 255
					out = append(out, &rtp.Packet{Header: rtp.Header{Version: 2, Padding: true, SequenceNumber: seq, Timestamp: p.Timestamp - 3000}, Payload: pad})
					seq++
				}
			}
			c := *p
			c.SequenceNumber = seq
			seq++
			out = append(out, &c)
		}
		return out
	},
}

func TestUnitsComeOutAsTheyWentIn(t *testing.T) {
	for _, c := range []struct {
		name  string
		codec media.Codec
		units [][]byte
		pay   func() rtp.Payloader
	}{
		{"h264", media.H264, h264Clip(300), func() rtp.Payloader { return &codecs.H264Payloader{} }},
		{"vp8", media.VP8, vp8Clip(300), func() rtp.Payloader { return &codecs.VP8Payloader{EnablePictureID: true} }},
	} {
		for name, hurt := range damage {
			t.Run(c.name+" "+name, func(t *testing.T) {
				r := rand.New(rand.NewPCG(9, 9)) //nolint:gosec // repeatable
				s := newStream(t, c.codec)
				const ts = 1<<32 - 3000*100 // both counters wrap on the way
				got := feed(t, s, hurt(packetize(c.units, c.pay(), 3000, 65500, ts), r))
				if len(got) != len(c.units) {
					t.Fatalf("%d units, want %d; %+v", len(got), len(c.units), s.Counts())
				}
				for i, u := range got {
					if !bytes.Equal(u.Data, c.units[i]) {
						t.Fatalf("unit %d differs", i)
					}
					if u.Gap != 0 || u.Key != (i%10 == 0) || u.Codec != c.codec || u.RTP != ts+int64(i)*3000 {
						t.Fatalf("unit %d: gap %d, key %v, %v, RTP %d", i, u.Gap, u.Key, u.Codec, u.RTP)
					}
					if u.Key && (u.W != 320 || u.H != 180) || !u.Key && u.W != 0 {
						t.Fatalf("unit %d is %dx%d", i, u.W, u.H)
					}
				}
				if n := s.Counts(); n.Lost != 0 || n.Frames != int64(len(got)) {
					t.Errorf("counts %+v", n)
				}
			})
		}
	}
}

func TestLossIsToldAndNothingBrokenComesOut(t *testing.T) {
	for _, c := range []struct {
		codec media.Codec
		units [][]byte
		pay   rtp.Payloader
	}{
		{media.H264, h264Clip(600), &codecs.H264Payloader{}},
		{media.VP8, vp8Clip(600), &codecs.VP8Payloader{}},
	} {
		t.Run(c.codec.String(), func(t *testing.T) {
			r := rand.New(rand.NewPCG(7, 7)) //nolint:gosec // repeatable
			packets := packetize(c.units, c.pay, 3000, 100, 0)
			hurt := map[int]bool{} // frames
			for i := 30; i < len(packets); i++ {
				if r.IntN(50) == 0 {
					// A key frame is whole without its parameter sets: they are known.
					if packets[i].Payload[0] != 0x78 {
						hurt[int(packets[i].Timestamp/3000)] = true
					}
					packets[i] = nil
				}
			}
			s := newStream(t, c.codec)
			next, gaps := 0, 0
			for _, u := range feed(t, s, packets) {
				i := int(u.RTP / 3000)
				if !bytes.Equal(u.Data, c.units[i]) {
					t.Fatalf("unit %d is broken", i)
				}
				if (i != next) != (u.Gap > 0) && !u.Key {
					t.Errorf("unit %d follows %d with gap %d", i, next-1, u.Gap)
				}
				if i != next {
					gaps++
				}
				next = i + 1
			}
			n := s.Counts()
			if want := int64(len(c.units) - len(hurt)); n.Frames != want {
				t.Errorf("%d frames, want %d", n.Frames, want)
			}
			if n.Lost == 0 || gaps == 0 || len(hurt) < 10 {
				t.Errorf("the test lost nothing: %+v", n)
			}
		})
	}
}

func TestAHoleIsWaitedForAndNoLonger(t *testing.T) {
	units := h264Clip(13)
	packets := packetize(units[9:], &codecs.H264Payloader{}, 3000, 1, 0)
	s := newStream(t, media.H264)
	var lost *rtp.Packet
	for _, p := range packets {
		if p.Timestamp == 3000 && lost == nil && p.Payload[0]&0x1f == 28 {
			lost = p // of the key frame
			continue
		}
		s.Push(p, start)
	}
	if u, ok := s.Next(start); !ok || u.RTP != 0 {
		t.Fatal("the unit in front of the hole did not come")
	}
	if _, ok := s.Next(start.Add(99 * time.Millisecond)); ok {
		t.Fatal("a unit came across the hole")
	}
	if at, ok := s.Deadline(); !ok || !at.Equal(start.Add(100*time.Millisecond)) {
		t.Errorf("deadline is %v, %v", at, ok)
	}
	u, ok := s.Next(start.Add(100 * time.Millisecond))
	if !ok || u.RTP != 6000 || u.Gap == 0 {
		t.Errorf("unit is %v: RTP %d, gap %d", ok, u.RTP, u.Gap)
	}
	if _, fresh := s.Push(lost, start.Add(time.Second)); fresh || s.Counts().Late != 1 {
		t.Errorf("a packet that was given up was taken; %+v", s.Counts())
	}
	if _, fresh := s.Push(packets[len(packets)-1], start.Add(time.Second)); fresh || s.Counts().Dup != 1 {
		t.Errorf("a duplicate was taken; %+v", s.Counts())
	}
	s.Next(start.Add(time.Second))
	if at, ok := s.Deadline(); ok {
		t.Errorf("deadline %v with nothing to wait for", at)
	}
}

func TestSenderMayBeginAnew(t *testing.T) {
	units := h264Clip(40)
	for _, seq := range []uint16{100 + 30000, 100 - 20000 + 65535} {
		s := newStream(t, media.H264)
		packets := packetize(units[:20], &codecs.H264Payloader{}, 3000, 100, 0)
		// One lost corner packet, so that something waits when the jump comes.
		packets = append(packets[:len(packets)-2], packets[len(packets)-1])
		packets = append(packets, packetize(units[20:], &codecs.H264Payloader{}, 3000, seq, 1<<31)...)
		got := feed(t, s, packets)
		last := got[len(got)-1]
		if len(got) < 30 || !bytes.Equal(last.Data, units[39]) {
			t.Errorf("jump to %d: %d units", seq, len(got))
		}
		gaps := 0
		for _, u := range got {
			if u.Gap > 0 {
				gaps++
			}
		}
		if gaps != 1 {
			t.Errorf("jump to %d: %d gaps", seq, gaps)
		}
	}
}

func TestASingleStrayPacketIsIgnored(t *testing.T) {
	units := vp8Clip(60)
	packets := packetize(units, &codecs.VP8Payloader{}, 3000, 100, 0)
	stray := *packets[0]
	stray.SequenceNumber += 20000
	packets = append(packets[:30:30], append([]*rtp.Packet{&stray}, packets[30:]...)...)
	s := newStream(t, media.VP8)
	if got := feed(t, s, packets); len(got) != 60 || s.Counts().Lost != 0 {
		t.Errorf("%d units; %+v", len(got), s.Counts())
	}
}

func TestJoiningInTheMiddleOfAFrame(t *testing.T) {
	units := h264Clip(12)
	packets := packetize(units, &codecs.H264Payloader{}, 3000, 100, 0)
	s := newStream(t, media.H264)
	got := feed(t, s, packets[3:])
	if len(got) != 11 || got[0].RTP != 3000 || got[0].Gap != 0 {
		t.Errorf("%d units, the first of RTP %d with gap %d", len(got), got[0].RTP, got[0].Gap)
	}
}

func TestTheFirstPacketsMayComeInAnyOrder(t *testing.T) {
	units := h264Clip(12)
	packets := packetize(units, &codecs.H264Payloader{}, 3000, 1, 0)
	packets[0], packets[2] = packets[2], packets[0]
	s := newStream(t, media.H264)
	if got := feed(t, s, packets); len(got) != 12 {
		t.Errorf("%d units; %+v", len(got), s.Counts())
	}
}
