package depacket_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"tapedeck/internal/media"
	"tapedeck/internal/media/depacket"
	"tapedeck/internal/testkit/samples"
)

// sendH265 packetizes units; lose drops packets by number.
func sendH265(units []media.Unit, lose func(n int) bool) (packets []*rtp.Packet) {
	pay := &codecs.H265Payloader{}
	seq := uint16(65530)
	for _, u := range units {
		payloads := pay.Payload(600, u.Data)
		for j, p := range payloads {
			if lose == nil || !lose(int(seq-65530)) {
				packets = append(packets, &rtp.Packet{Header: rtp.Header{
					Version: 2, SequenceNumber: seq, Timestamp: uint32(u.RTP), Marker: j == len(payloads)-1, //nolint:gosec // wraps by design
				}, Payload: p})
			}
			seq++
		}
	}
	return packets
}

func receive(t testing.TB, packets []*rtp.Packet) (units []media.Unit) {
	t.Helper()
	s, err := depacket.New(media.H265, 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, p := range packets {
		at = at.Add(5 * time.Millisecond)
		s.Push(p, at)
		for u, ok := s.Next(at); ok; u, ok = s.Next(at) {
			units = append(units, u)
		}
	}
	for u, ok := s.Drain(); ok; u, ok = s.Drain() {
		units = append(units, u)
	}
	return units
}

// plain returns the NAL units that a file needs: no delimiters, no SEI.
func plain(annexB []byte) (nals [][]byte) {
	for n := range depacket.NALs(annexB) {
		if t := n[0] >> 1 & 63; t != 35 && t != 39 && t != 40 {
			nals = append(nals, n)
		}
	}
	return nals
}

func TestH265ComesOutAsItWentIn(t *testing.T) {
	t.Parallel()
	units := samples.Pictures(t, media.H265)
	got := receive(t, sendH265(units, nil))
	if len(got) != len(units) {
		t.Fatalf("%d units, want %d", len(got), len(units))
	}
	for i, u := range got {
		if !slices.EqualFunc(plain(u.Data), plain(units[i].Data), bytes.Equal) {
			t.Errorf("unit %d differs", i)
		}
		if u.Key != units[i].Key || u.Key && (u.W != samples.W || u.H != samples.H) || u.Gap != 0 {
			t.Errorf("unit %d: key %v, %dx%d, gap %d", i, u.Key, u.W, u.H, u.Gap)
		}
		if p := depacket.Inspect(media.H265, u.Data); p.Key != u.Key || p.W != u.W {
			t.Errorf("unit %d is inspected as %+v", i, p)
		}
	}
}

func TestH265LossIsTold(t *testing.T) {
	t.Parallel()
	units := samples.Pictures(t, media.H265)
	got := receive(t, sendH265(units, func(n int) bool { return n%17 == 5 }))
	gaps := 0
	for _, u := range got {
		i := int(u.RTP / 3000)
		if !slices.EqualFunc(plain(u.Data), plain(units[i].Data), bytes.Equal) {
			t.Errorf("unit %d is broken", i)
		}
		if u.Gap > 0 {
			gaps++
		}
	}
	if gaps == 0 || len(got) == len(units) {
		t.Errorf("%d units, %d gaps", len(got), gaps)
	}
}
