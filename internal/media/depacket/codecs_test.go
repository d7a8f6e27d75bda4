package depacket

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"tapedeck/internal/media"
)

// Key frames of libvpx and libaom, 64x48, cut short.
var (
	vp9Key = unhex("824983420003f002f60438241c184a0003307cb17a3f4de3ef81")
	av1Seq = unhex("0a0a00000002aff79b5f2008")
	av1Key = append(bytes.Clone(av1Seq), unhex("320c031400 22c0000080 0ba0db71")...)
)

func packet(seq uint16, ts uint32, marker bool, payload ...byte) *rtp.Packet {
	return &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: seq, Timestamp: ts, Marker: marker}, Payload: payload}
}

func TestInspect(t *testing.T) {
	h264Key := appendNAL(appendNAL(appendNAL(nil, sps), pps), []byte{0x65, 0x88, 1})
	for _, c := range []struct {
		name  string
		codec media.Codec
		data  []byte
		want  Picture
	}{
		{"h264 key", media.H264, h264Key, Picture{true, 320, 180}},
		{"h264 delta", media.H264, appendNAL(nil, []byte{0x41, 0x9a}), Picture{}},
		{"h264 nothing", media.H264, nil, Picture{}},
		{"vp8 key", media.VP8, vp8Clip(1)[0], Picture{true, 320, 180}},
		{"vp8 scaled", media.VP8, []byte{0x10, 0, 0, 0x9d, 1, 0x2a, 0x40, 0x41, 0xb4, 0x80}, Picture{true, 320, 180}},
		{"vp8 short", media.VP8, []byte{0x10, 0, 0, 0x9d}, Picture{}},
		{"vp9 key", media.VP9, vp9Key, Picture{true, 64, 48}},
		{"vp9 delta", media.VP9, []byte{0x86, 0x00, 0x40}, Picture{}},
		{"av1 key", media.AV1, av1Key, Picture{true, 64, 48}},
		{"av1 delta", media.AV1, []byte{0x32, 0x02, 0x30, 0x00}, Picture{}},
		{"opus", media.Opus, []byte{0x78, 1}, Picture{Key: true}},
		{"unknown", media.Unknown, h264Key, Picture{}},
		{"h265 nonsense", media.H265, h264Key, Picture{}},
	} {
		if got := Inspect(c.codec, c.data); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestH264ParameterSetsStayWithTheirPicture(t *testing.T) {
	idr, slice := []byte{0x65, 0x88, 1, 2}, []byte{0x41, 0x9a, 3}
	s := newStream(t, media.H264)
	stap := append([]byte{0x78, 0, byte(len(sps))}, sps...)
	stap = append(append(stap, 0, byte(len(pps))), pps...)
	got := feed(t, s, []*rtp.Packet{
		packet(1, 0, true, stap...),                    // on their own: no unit
		packet(2, 3000, false, 0x09, 0xf0),             // delimiter
		packet(3, 3000, false, 0x06, 5, 1, 2, 3, 0x80), // SEI
		packet(4, 3000, true, idr...),
		packet(5, 6000, true, slice...),
		packet(6, 9000, false, idr...),          // two slices
		packet(7, 9000, true, 0x65, 0x20, 7, 7), // first_mb_in_slice is not 0
	})
	sets := appendNAL(appendNAL(nil, sps), pps)
	want := [][]byte{
		appendNAL(bytes.Clone(sets), idr),
		appendNAL(nil, slice),
		appendNAL(appendNAL(bytes.Clone(sets), idr), []byte{0x65, 0x20, 7, 7}),
	}
	if len(got) != len(want) {
		t.Fatalf("%d units, want %d", len(got), len(want))
	}
	for i, u := range got {
		if !bytes.Equal(u.Data, want[i]) || u.Gap != 0 {
			t.Errorf("unit %d (gap %d) is\n%x, want\n%x", i, u.Gap, u.Data, want[i])
		}
	}
	if !got[0].Key || got[1].Key || !got[2].Key || got[2].W != 320 {
		t.Error("key frames are not told")
	}
}

func TestH264WithoutParameterSetsIsNotDecodable(t *testing.T) {
	s := newStream(t, media.H264)
	if got := feed(t, s, []*rtp.Packet{packet(1, 0, true, 0x65, 0x88, 1)}); len(got) != 0 {
		t.Errorf("%d units", len(got))
	}
}

func TestSplitH264(t *testing.T) {
	sets := appendNAL(appendNAL(nil, sps), pps)
	var stream []byte
	stream = append(stream, 0, 0, 0, 1, 0x09, 0x10)
	stream = append(stream, sets...)
	stream = append(stream, 0, 0, 1, 0x06, 5, 0x80, 0, 0, 1, 0x65, 0x88, 1, 0, 0)
	stream = append(stream, 0, 0, 1, 0x65, 0x20, 2) // second slice
	stream = append(stream, 0, 0, 1, 0x41, 0x9a, 3) // next picture
	stream = append(stream, sets...)                // belongs to the one after
	stream = append(stream, 0, 0, 1, 0x65, 0x88, 4, 0, 0, 1, 0x0c, 0xff)
	want := [][]byte{
		appendNAL(appendNAL(bytes.Clone(sets), []byte{0x65, 0x88, 1}), []byte{0x65, 0x20, 2}),
		appendNAL(nil, []byte{0x41, 0x9a, 3}),
		appendNAL(bytes.Clone(sets), []byte{0x65, 0x88, 4}),
	}
	if got := SplitH264(stream); !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("got %x\nwant %x", got, want)
	}
}

func TestFramesThatTheServerMadeAreDropped(t *testing.T) {
	t.Run("vp8", func(t *testing.T) {
		units := vp8Clip(3)
		packets := packetize(units, &codecs.VP8Payloader{}, 3000, 10, 0)
		seq := packets[len(packets)-1].SequenceNumber
		for i := range uint16(6) {
			packets = append(packets, packet(seq+1+i, 9000+3000*uint32(i), true, 0x10, 0x10, 0, 0, 0x9d, 1, 0x2a, 8, 0, 8, 0, 1, 2))
		}
		if got := feed(t, newStream(t, media.VP8), packets); len(got) != 3 {
			t.Errorf("%d units, want 3", len(got))
		}
	})
	t.Run("h264", func(t *testing.T) {
		// The key frame that LiveKit v1.13 sends, one STAP-A.
		blank := unhex("18 0018 6742c01f0fd91f8888840000030004000003 00c83c60c920 0006 6887cb83cb20 000a 6588840af2628000a7be")
		packets := packetize(h264Clip(3), &codecs.H264Payloader{}, 3000, 10, 0)
		seq := packets[len(packets)-1].SequenceNumber
		for i := range uint16(6) {
			packets = append(packets, packet(seq+1+i, 9000+3000*uint32(i), true, blank...))
		}
		if got := feed(t, newStream(t, media.H264), packets); len(got) != 3 {
			t.Errorf("%d units, want 3", len(got))
		}
	})
}

func opusPackets(seq uint16, ts uint32, payloads ...[]byte) []*rtp.Packet {
	var out []*rtp.Packet
	for i, p := range payloads {
		out = append(out, packet(seq+uint16(i), ts+960*uint32(i), false, p...))
	}
	return out
}

func TestSilenceAtTheEndIsDroppedAndOtherSilenceIsNot(t *testing.T) {
	sound := []byte{0x78, 1, 2, 3}
	blank := make([]byte, 80)
	copy(blank, []byte{0xf8, 0xff, 0xfe})
	silence := slices.Repeat([][]byte{blank}, 10)
	between := append(append([][]byte{sound}, silence...), sound)
	for _, c := range []struct {
		name    string
		packets []*rtp.Packet
		want    int
	}{
		{"the end", opusPackets(1, 0, append([][]byte{sound, sound}, silence...)...), 2},
		{"between sound", opusPackets(1, 0, between...), 12},
		{"much of it", opusPackets(1, 0, append([][]byte{sound}, slices.Repeat([][]byte{blank}, 50)...)...), 1 + 50 - held},
		{"before a mute", append(opusPackets(1, 0, append([][]byte{sound}, silence...)...), opusPackets(12, 48000*60, sound)...), 2},
		{"silence of an encoder", opusPackets(1, 0, sound, []byte{0xf8, 0xff, 0xfe}, []byte{0xf8, 0xff, 0xfe}), 3},
	} {
		s := newStream(t, media.Opus)
		got := feed(t, s, c.packets)
		if len(got) != c.want {
			t.Errorf("%s: %d units, want %d", c.name, len(got), c.want)
		}
		for i := 1; i < len(got); i++ {
			if got[i].RTP <= got[i-1].RTP {
				t.Errorf("%s: unit %d is out of order", c.name, i)
			}
		}
	}
}

func TestLossOfSoundIsCountedInPackets(t *testing.T) {
	packets := opusPackets(1, 0, slices.Repeat([][]byte{{0x78, 1, 2}}, 20)...)
	packets[5], packets[6] = nil, nil
	s := newStream(t, media.Opus)
	var units []media.Unit
	at := start
	for _, p := range packets {
		at = at.Add(20 * time.Millisecond)
		if p != nil {
			s.Push(p, at)
		}
		for u, ok := s.Next(at); ok; u, ok = s.Next(at) {
			units = append(units, u)
		}
	}
	if len(units) != 18 || units[5].Gap != 2 || units[5].RTP != 7*960 || units[6].Gap != 0 {
		t.Errorf("%d units; unit 5 is RTP %d with gap %d", len(units), units[5].RTP, units[5].Gap)
	}
}

func TestVP9LayersBecomeASuperframe(t *testing.T) {
	s := newStream(t, media.VP9)
	upper := []byte{0x87, 1, 2, 3, 4}
	// Non-flexible mode with layer indices (RFC 9628 section 4.2): L, B, E set.
	base := append([]byte{0x2c, 0x00, 0x05}, vp9Key...)
	got := feed(t, s, []*rtp.Packet{
		packet(1, 0, false, base...),
		packet(2, 0, true, append([]byte{0x2c, 0x03, 0x05}, upper...)...),
		packet(3, 3000, true, append([]byte{0x6c, 0x00, 0x06}, 0x86, 0, 0x40)...),
	})
	if len(got) != 2 || !got[0].Key || got[1].Key || got[0].W != 64 {
		t.Fatalf("got %+v", got)
	}
	index := []byte{0xd9, byte(len(vp9Key)), 0, 0, 0, byte(len(upper)), 0, 0, 0, 0xd9}
	if want := slices.Concat(vp9Key, upper, index); !bytes.Equal(got[0].Data, want) {
		t.Errorf("superframe is\n%x, want\n%x", got[0].Data, want)
	}
	if !bytes.Equal(got[1].Data, []byte{0x86, 0, 0x40}) {
		t.Errorf("a single layer is %x", got[1].Data)
	}
}

func TestAV1(t *testing.T) {
	s := newStream(t, media.AV1)
	got := feed(t, s, packetize([][]byte{av1Key, {0x32, 0x02, 0x30, 0x00}}, &codecs.AV1Payloader{}, 3000, 1, 0))
	if len(got) != 2 || !got[0].Key || got[0].W != 64 || got[0].H != 48 || got[1].Key {
		t.Fatalf("got %+v", got)
	}
	if !bytes.Equal(got[0].Data, av1Key) {
		t.Errorf("key frame is\n%x, want\n%x", got[0].Data, av1Key)
	}
}

func TestUnknownCodecIsRefused(t *testing.T) {
	for _, c := range []media.Codec{media.Unknown, media.AAC} {
		if _, err := New(c, DefaultWait); err == nil {
			t.Errorf("%v is taken", c)
		}
	}
}

// FuzzStream: whatever arrives, nothing panics, and units come in order.
func FuzzStream(f *testing.F) {
	f.Add(uint8(0), []byte{1, 0, 3, 0x65, 0x88, 1})
	f.Add(uint8(1), []byte{200, 1, 4, 0x90, 0x80, 0, 0})
	f.Add(uint8(2), append([]byte{1, 0, byte(3 + len(vp9Key)), 0x2c, 0x00, 0x05}, vp9Key...))
	f.Add(uint8(3), append([]byte{1, 0, byte(1 + len(av1Key)), 0x10}, av1Key...))
	f.Add(uint8(4), []byte{255, 3, 1, 0xf8, 0, 0, 2, 0xf8, 1})
	f.Add(uint8(5), []byte{1, 0, 4, 0x26, 1, 0x80, 9, 1, 2, 5, 0x62, 1, 0x93, 0x80, 9, 1, 1, 4, 0x62, 1, 0x53, 9})
	f.Add(uint8(5), []byte{1, 1, 8, 0x60, 1, 0, 4, 0x26, 1, 0x80, 9})
	f.Fuzz(func(t *testing.T, which uint8, in []byte) {
		kinds := []media.Codec{media.H264, media.VP8, media.VP9, media.AV1, media.Opus, media.H265}
		s := newStream(t, kinds[int(which)%len(kinds)])
		var packets []*rtp.Packet
		var seq uint16
		var ts uint32
		for len(in) > 3 {
			// A step of the sequence number, flags, a length, a payload.
			seq += uint16(int8(in[0])) //nolint:gosec // any value will do
			if in[1]&2 != 0 {
				ts += 3000
			}
			if in[1]&4 != 0 {
				seq += 9000
			}
			n := min(int(in[2]), len(in)-3)
			p := packet(seq, ts, in[1]&1 != 0, in[3:3+n]...)
			p.Padding = in[1]&8 != 0
			packets = append(packets, p)
			in = in[3+n:]
		}
		for _, u := range feed(t, s, packets) {
			if len(u.Data) == 0 || u.Gap < 0 {
				t.Errorf("unit with %d bytes and gap %d", len(u.Data), u.Gap)
			}
		}
		c := s.Counts()
		if c.Lost < 0 || c.Packets > int64(len(packets)) || c.Frames > c.Packets {
			t.Errorf("counts %+v of %d packets", c, len(packets))
		}
	})
}
