package depacket

import (
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"tapedeck/internal/media"
)

// A phone that is turned says so in its packets, with the last of a frame: the
// units carry it, also those of the frames that say nothing.
func TestOrientation(t *testing.T) {
	const id = 5
	for _, c := range []struct {
		kind  media.Codec
		clip  [][]byte
		pay   rtp.Payloader
		known uint8
		want  []int
	}{
		{media.H264, h264Clip(8), &codecs.H264Payloader{}, id, []int{0, 0, 270, 270, 180, 90, 90, 0}},
		{media.VP8, vp8Clip(8), &codecs.VP8Payloader{}, id, []int{0, 0, 270, 270, 180, 90, 90, 0}},
		{media.VP8, vp8Clip(8), &codecs.VP8Payloader{}, 0, make([]int, 8)}, // not negotiated: somebody else's extension
	} {
		s, err := New(c.kind, DefaultWait)
		if err != nil {
			t.Fatal(err)
		}
		s.Oriented(c.known)
		// Camera, flip and rotation bits; clockwise. 9 and 12 have flags that mean nothing here.
		said := map[int]byte{0: 0, 2: 9, 4: 2, 5: 3, 7: 12}
		var seq uint16
		var got []int
		at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		for i, unit := range c.clip {
			payloads := c.pay.Payload(1000, unit)
			for k, b := range payloads {
				last := k == len(payloads)-1
				p := &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: seq, Timestamp: uint32(i * 3000), Marker: last}, Payload: b}
				if v, ok := said[i]; ok && last {
					if err := p.SetExtension(id, []byte{v}); err != nil {
						t.Fatal(err)
					}
				}
				raw, err := p.Marshal() // as it comes from the network
				if err != nil {
					t.Fatal(err)
				}
				var arrived rtp.Packet
				if err := arrived.Unmarshal(raw); err != nil {
					t.Fatal(err)
				}
				s.Push(&arrived, at)
				seq++
			}
			for u, ok := s.Next(at); ok; u, ok = s.Next(at) {
				got = append(got, u.Turn)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: turned by %v, want %v", c.kind, got, c.want)
		}
	}
}
