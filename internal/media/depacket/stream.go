// Package depacket turns the RTP packets of one track into access units: it
// puts them in order, drops duplicates and padding, waits for retransmissions
// for a bounded time, and knows where something was lost and which units can be
// decoded on their own.
package depacket

import (
	"fmt"
	"time"

	"github.com/pion/rtp"

	"tapedeck/internal/media"
)

// DefaultWait is how long a lost packet is waited for: retransmissions are
// asked for up to five times, which takes about this long.
const DefaultWait = 600 * time.Millisecond

const (
	videoRing = 2048 // packets; 5 s of 4 Mbit/s
	audioRing = 256  // 5 s of 20 ms packets
)

// codec makes units of whole frames. assemble returns nil data where a frame
// carries no picture or cannot be used; lost then says how many packets of it
// count as lost.
type codec interface {
	// head reports whether a payload begins a frame.
	head(payload []byte) bool
	assemble(f frame) (u media.Unit, lost int)
}

// Stream makes the access units of one track. It is not safe for concurrent
// use.
type Stream struct {
	kind  media.Codec
	order *reorder
	codec codec
	seal  *seal
	lost  int          // packets of frames that could not be used, not told yet
	blank []media.Unit // frames of silence that may be the server's
	ready []media.Unit

	turnID uint8 // of the orientation extension, 0 for none
	turned int   // degrees
}

// New makes the stream of a track. It fails for a codec that this package does
// not know.
func New(kind media.Codec, wait time.Duration) (*Stream, error) {
	s := &Stream{kind: kind, seal: &seal{}}
	switch kind {
	case media.H264:
		s.codec = &h264Codec{seal: s.seal}
	case media.H265:
		s.codec = &h265Codec{seal: s.seal}
	case media.VP8:
		s.codec = vp8Codec{s.seal}
	case media.VP9:
		s.codec = vp9Codec{s.seal}
	case media.AV1:
		s.codec = av1Codec{s.seal}
	case media.Opus:
		s.codec = opusCodec{s.seal}
		s.order = newReorder(audioRing, wait, true, nil)
		return s, nil
	default:
		return nil, fmt.Errorf("depacket: %v is not supported", kind)
	}
	s.order = newReorder(videoRing, wait, false, s.codec.head)
	return s, nil
}

// Encrypted lets every frame go through open. Call it before the first Push.
func (s *Stream) Encrypted(open Opener) { s.seal.open = open }

// Push takes a packet that was received at a moment. It returns the packet's
// extended (unwrapped) RTP timestamp; fresh is false for duplicates, padding and
// packets that come too late to be used.
func (s *Stream) Push(p *rtp.Packet, at time.Time) (ext int64, fresh bool) {
	ext, fresh = s.order.push(p, at)
	return ext, fresh && !empty(p)
}

// Next returns the next access unit, all but its PTS, or false when none is
// complete. Call it until then after each Push, and at Deadline.
func (s *Stream) Next(now time.Time) (media.Unit, bool) { return s.next(now, false) }

// Drain is Next at the end of a track: it waits for nothing any more.
func (s *Stream) Drain() (media.Unit, bool) { return s.next(time.Time{}, true) }

// Deadline is when Next may return something even if no packet comes.
func (s *Stream) Deadline() (time.Time, bool) { return s.order.deadline() }

// Missing appends the sequence numbers of the packets that are waited for to a
// slice, oldest first: those behind which another packet came before a time. It is
// what is worth asking the sender for.
func (s *Stream) Missing(to []uint16, before time.Time) []uint16 {
	return s.order.missing(to, before)
}

// Counts returns what happened to the packets so far.
func (s *Stream) Counts() Counts { return s.order.counts }

func (s *Stream) next(now time.Time, flush bool) (media.Unit, bool) {
	for len(s.ready) == 0 {
		f, ok := s.order.pop(now, flush)
		if !ok {
			return media.Unit{}, false
		}
		f.gap += s.lost
		s.lost = 0
		turn := s.turn(f)
		u, lost := s.codec.assemble(f)
		if u.Data == nil {
			s.lost = f.gap + lost
			continue
		}
		u.Codec, u.RTP, u.Gap, u.Turn = s.kind, f.ext, f.gap, turn
		s.admit(u)
	}
	u := s.ready[0]
	s.ready = s.ready[1:]
	return u, true
}

// held bounds the frames of silence that are kept back: LiveKit ends a track
// with 0.2 s of them.
const held = 12

// admit keeps back Opus frames that look like those with which LiveKit ends a
// track, so that they are dropped if nothing follows. A user's own silence may
// look the same: it goes on when sound follows without a break, and is not
// missed where it is followed by a gap.
func (s *Stream) admit(u media.Unit) {
	if s.kind != media.Opus {
		s.ready = append(s.ready, u)
		return
	}
	if isBlankOpus(u.Data) {
		s.blank = append(s.blank, u)
		if len(s.blank) > held {
			s.ready = append(s.ready, s.blank[0])
			s.blank = s.blank[1:]
		}
		return
	}
	const near = 3 * 960 // ticks
	if n := len(s.blank); n > 0 && u.RTP-s.blank[n-1].RTP <= near {
		s.ready = append(s.ready, s.blank...)
	} else {
		for _, b := range s.blank {
			u.Gap += b.Gap
		}
	}
	s.blank = nil
	s.ready = append(s.ready, u)
}
