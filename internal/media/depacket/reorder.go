package depacket

import (
	"time"

	"github.com/pion/rtp"
)

// Counts of a stream's packets since its start.
type Counts struct {
	Packets  int64 // received, of any use
	Lost     int64 // given up
	Late     int64 // arrived after they were given up
	Dup      int64 // arrived twice
	Repaired int64 // arrived out of order and in time
	Padding  int64 // carried nothing
	Frames   int64
}

// frame is one access unit's packets in order.
type frame struct {
	packets []*rtp.Packet
	ext     int64 // extended RTP timestamp
	gap     int   // packets that are missing in front of it
}

type slot struct {
	p   *rtp.Packet // nil when it has been released, was padding or never came
	at  time.Time
	ext int64 // extended sequence number; the slot belongs to another one if it differs
	ts  int64 // extended timestamp
	got bool  // it arrived
}

// reorder releases whole frames in the order of their sequence numbers. A hole
// is waited for until wait after the first packet behind it arrived; then the
// frame around it is given up. Nothing is ever released twice.
type reorder struct {
	wait   time.Duration
	single bool                  // every packet is a frame of its own (sound)
	head   func(pay []byte) bool // a payload begins a frame
	ring   []slot                // its length, a power of two, bounds how far packets may be apart
	next   int64                 // extended sequence number that is released next
	max    int64                 // newest
	newest int64                 // extended timestamp of the newest packet
	begun  bool                  // a packet was received
	popped bool                  // something was released or given up
	broken bool                  // the next frame follows a hole, or the start
	stray  uint16                // sequence number that would confirm a restart
	strays bool
	gap    int
	counts Counts
}

func newReorder(size int, wait time.Duration, single bool, head func([]byte) bool) *reorder {
	return &reorder{wait: wait, single: single, head: head, ring: make([]slot, size), broken: true}
}

// push takes a packet. It returns its extended timestamp and whether the packet
// is new, that is neither a duplicate nor too late.
func (r *reorder) push(p *rtp.Packet, at time.Time) (ext int64, fresh bool) {
	if !r.begun {
		r.begun = true
		r.start(p)
	}
	seq := r.max + int64(int16(p.SequenceNumber-uint16(r.max))) //nolint:gosec // modulo 2^16 by definition
	size := int64(len(r.ring))
	if seq >= r.next+size || seq <= r.max-size {
		if !r.restarts(p.SequenceNumber) {
			r.counts.Late++
			return 0, false
		}
		r.abandon(seq)
		r.newest = r.extend(p.Timestamp)
	}
	r.strays = false
	s := &r.ring[seq&(size-1)]
	switch {
	case s.ext == seq && s.got:
		r.counts.Dup++
		return 0, false
	case seq < r.next && r.popped:
		r.counts.Late++
		return 0, false
	case seq < r.next:
		r.next = seq // the first packet that came was not the first that was sent
	}
	ts := r.extend(p.Timestamp)
	if seq > r.max {
		r.max, r.newest = seq, ts
	} else if seq < r.max {
		r.counts.Repaired++
	}
	r.counts.Packets++
	*s = slot{p: p, at: at, ext: seq, ts: ts, got: true}
	return ts, true
}

func (r *reorder) start(p *rtp.Packet) {
	// High enough for a few packets in front of the first one.
	r.max = int64(p.SequenceNumber) + 1<<16
	r.next = r.max
	r.newest = int64(p.Timestamp)
	for i := range r.ring {
		r.ring[i].ext = -1
	}
}

// extend unwraps a timestamp by the newest packet's.
func (r *reorder) extend(ts uint32) int64 {
	return r.newest + int64(int32(ts-uint32(r.newest))) //nolint:gosec // modulo 2^32 by definition
}

// restarts decides on a sequence number far from all others: the sender began
// anew if two of them follow each other (RFC 3550 appendix A.1).
func (r *reorder) restarts(seq uint16) bool {
	if r.strays && seq == r.stray {
		return true
	}
	r.stray, r.strays = seq+1, true
	return false
}

// abandon gives up all that waits and goes on at seq.
func (r *reorder) abandon(seq int64) {
	if seq > r.next {
		for e := r.next; e <= r.max; e++ {
			if s := r.at(e); s != nil {
				s.p = nil
				r.gap++
			}
		}
		missing := seq - r.next
		r.counts.Lost += missing
		r.gap += int(min(missing, 1<<15))
	} else {
		r.gap++ // the sender began anew: nobody knows what is missing
	}
	for i := range r.ring {
		r.ring[i] = slot{ext: -1}
	}
	r.next, r.max, r.broken = seq, seq, true
}

// at returns the slot of a packet that waits.
func (r *reorder) at(seq int64) *slot {
	s := &r.ring[seq&int64(len(r.ring)-1)]
	if s.p == nil || s.ext != seq {
		return nil
	}
	return s
}

// behind returns the first packet that waits at seq or later.
func (r *reorder) behind(seq int64) (int64, *slot) {
	for ; seq <= r.max; seq++ {
		if s := r.at(seq); s != nil {
			return seq, s
		}
	}
	return seq, nil
}

// pop returns the next frame that is whole. With flush it waits for nothing.
func (r *reorder) pop(now time.Time, flush bool) (frame, bool) {
	for r.begun && r.next <= r.max {
		first, s := r.behind(r.next)
		if s == nil {
			return frame{}, false // what is left has been released
		}
		if first > r.next {
			if !flush && now.Sub(s.at) < r.wait {
				return frame{}, false
			}
			r.skip(first)
			continue
		}
		if empty(s.p) {
			r.counts.Padding++
			r.release(r.next)
			continue
		}
		end, state := r.end(now, flush)
		switch state {
		case open:
			return frame{}, false
		case torn:
			r.giveUp(end)
			continue
		}
		if r.broken && r.head != nil && !r.head(s.p.Payload) {
			r.giveUp(end) // the rest of a frame that was lost in part
			continue
		}
		return r.take(end), true
	}
	return frame{}, false
}

// skip gives up the missing packets in front of seq.
func (r *reorder) skip(seq int64) {
	for e := r.next; e < seq; e++ {
		r.ring[e&int64(len(r.ring)-1)] = slot{ext: e}
		r.counts.Lost++
		r.gap++
	}
	r.next, r.popped, r.broken = seq, true, true
}

type frameState int

const (
	open  frameState = iota // packets may still come
	whole                   // complete up to and with the returned packet
	torn                    // it will never be complete
)

// end looks for the last packet of the frame that begins at next.
func (r *reorder) end(now time.Time, flush bool) (int64, frameState) {
	if r.single {
		return r.next, whole
	}
	ts := r.at(r.next).ts
	for e := r.next; e <= r.max; e++ {
		s := r.at(e)
		switch {
		case s == nil:
			_, after := r.behind(e)
			if after != nil && !flush && now.Sub(after.at) < r.wait {
				return 0, open
			}
			return e - 1, torn
		case s.ts != ts:
			return e - 1, whole
		case s.p.Marker:
			return e, whole
		}
	}
	if flush {
		return r.max, torn
	}
	return 0, open
}

// giveUp drops the packets of a frame up to end: nothing can be made of them.
func (r *reorder) giveUp(end int64) {
	for r.next <= end {
		r.gap++
		r.release(r.next)
	}
	r.broken = true
}

func (r *reorder) release(seq int64) {
	r.ring[seq&int64(len(r.ring)-1)].p = nil
	r.next, r.popped = seq+1, true
}

func (r *reorder) take(end int64) frame {
	f := frame{ext: r.at(r.next).ts, gap: r.gap}
	for r.next <= end {
		if s := r.at(r.next); !empty(s.p) {
			f.packets = append(f.packets, s.p)
		}
		r.release(r.next)
	}
	if r.counts.Frames == 0 {
		f.gap = 0 // what came before the first frame was never ours
	}
	r.gap, r.broken = 0, false
	r.counts.Frames++
	return f
}

// missing appends the sequence numbers of the packets that are waited for, of those
// behind which another has come before a time.
func (r *reorder) missing(to []uint16, before time.Time) []uint16 {
	if !r.begun {
		return to
	}
	holes := len(to)
	for e := r.next; e <= r.max; e++ {
		s := &r.ring[e&int64(len(r.ring)-1)]
		if s.ext != e || !s.got {
			to = append(to, uint16(e)) //nolint:gosec // modulo 2^16 by definition
			continue
		}
		if !s.at.Before(before) {
			to = to[:holes] // those in front of it may still be under way
		}
		holes = len(to)
	}
	return to[:holes]
}

// deadline is when pop may give something up that it waits for now.
func (r *reorder) deadline() (time.Time, bool) {
	if !r.begun {
		return time.Time{}, false
	}
	for e := r.next; e <= r.max; e++ {
		if r.at(e) != nil {
			continue
		}
		if _, s := r.behind(e); s != nil {
			return s.at.Add(r.wait), true
		}
		break
	}
	return time.Time{}, false
}

// empty tells padding from media. LiveKit probes with packets whose padding is
// doubled, so that half of it looks like a payload of zeros.
func empty(p *rtp.Packet) bool {
	if len(p.Payload) == 0 {
		return true
	}
	if !p.Padding {
		return false
	}
	for _, b := range p.Payload[:len(p.Payload)-1] {
		if b != 0 {
			return false
		}
	}
	return true
}
