package probe

import (
	"context"
	"strings"
	"time"
)

// Packet is one packet of a file, without its data.
type Packet struct {
	Type     string // "video" or "audio"
	PTS      time.Duration
	Duration time.Duration // 0 where the container does not tell
	Key      bool
}

// Packets lists the packets of path in file order.
func Packets(ctx context.Context, path string) ([]Packet, error) {
	raw, _, err := ask(ctx, path, "-show_packets")
	return raw.packets(), err
}

func (raw report) packets() []Packet {
	packets := make([]Packet, 0, len(raw.Packets))
	for _, p := range raw.Packets {
		packets = append(packets, Packet{
			Type: p.Type, PTS: seconds(p.PTS), Duration: seconds(p.Duration), Key: strings.HasPrefix(p.Flags, "K"),
		})
	}
	return packets
}

// Span is the stretch of time that packets of one type cover.
type Span struct {
	First, End time.Duration // End includes the last packet's duration
	Packets    int
	KeyFirst   bool // the first packet in file order is a key frame
}

// Length is the time between First and End.
func (s Span) Length() time.Duration { return s.End - s.First }

// SpanOf measures the packets of type kind ("video", "audio"). A last packet of
// unknown duration counts as long as the one before it.
func SpanOf(packets []Packet, kind string) (Span, bool) {
	var s Span
	var last, lastDur, step time.Duration
	for _, p := range packets {
		if p.Type != kind {
			continue
		}
		if s.Packets == 0 {
			s.First, s.KeyFirst, last = p.PTS, p.Key, p.PTS
		}
		s.Packets++
		s.First = min(s.First, p.PTS)
		if p.PTS >= last {
			if p.PTS > last {
				step = p.PTS - last
			}
			last, lastDur = p.PTS, p.Duration
		}
	}
	if s.Packets == 0 {
		return s, false
	}
	if lastDur == 0 {
		lastDur = step
	}
	s.End = last + lastDur
	return s, true
}
