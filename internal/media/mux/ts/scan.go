package ts

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"

	"tapedeck/internal/media"
)

// Track is what Scan found of one stream.
type Track struct {
	Units int   // access units, or audio frames
	First int64 // PTS of the first, in 90 kHz ticks, not wrapped within the slice
	End   int64 // where the last one ends; for video a usual frame interval after its PTS
}

// Scanned is what of a slice is whole.
type Scanned struct {
	Bytes int64 // up to here the slice holds whole access units only
	Video Track
	Audio Track
}

// Empty reports whether there is nothing to keep.
func (s Scanned) Empty() bool { return s.Video.Units+s.Audio.Units == 0 }

// First returns the earliest PTS, 90 kHz ticks.
func (s Scanned) First() int64 {
	switch {
	case s.Video.Units == 0:
		return s.Audio.First
	case s.Audio.Units == 0:
		return s.Video.First
	}
	return min(s.Video.First, s.Audio.First)
}

// Dur returns from the earliest PTS to the latest end.
func (s Scanned) Dur() media.Time {
	if s.Empty() {
		return 0
	}
	return media.FromTicks90k(max(s.Video.End, s.Audio.End) - s.First())
}

// Scan reads a slice that Writer wrote and whose end may be torn, for
// recovery. It trusts no byte. The error is only ever one of reading.
func Scan(r io.Reader) (Scanned, error) {
	s := scanner{open: -1}
	err := s.read(r)
	return s.result(), err
}

// read takes packets up to the end, or to where they stop making sense.
func (s *scanner) read(r io.Reader) error {
	br := bufio.NewReaderSize(r, 64*packetSize)
	p := make([]byte, packetSize)
	for {
		if _, err := io.ReadFull(br, p); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil
			}
			return fmt.Errorf("ts: scan: %w", err)
		}
		if !s.packet(p) {
			return s.failed
		}
		s.pos += packetSize
	}
}

// scanner follows the one PES packet that is open. Writer never interleaves
// two, so a packet of anything else ends it.
type scanner struct {
	pos, whole int64 // bytes read; bytes known to be whole
	open       int   // slot of the open PES packet, -1: none
	want, have int   // payload bytes; want 0: unbounded
	pts        int64
	private    bool
	payload    []byte // of audio

	anchor int64 // last PTS, for unwrapping
	some   bool
	tracks [4]Track
	last   int64   // PTS of the newest video unit
	steps  []int64 // intervals between video units

	emit   func(Unit) error // Read: takes every unit
	failed error            // what emit returned
	types  [4]byte          // stream types of the PMT
}

// packet takes one packet and returns false where the slice stops making sense.
func (s *scanner) packet(p []byte) bool {
	if p[0] != 0x47 || p[1]&0x80 != 0 {
		return false
	}
	pid := int(p[1]&0x1F)<<8 | int(p[2])
	body := payloadOf(p)
	begins := p[1]&0x40 != 0
	slot := -1
	switch pid {
	case pidVideo:
		slot = slotVideo
	case pidAudio:
		slot = slotAudio
	case pidPMT:
		s.programme(body)
	case pidPAT, pidNull:
	default:
		return false
	}
	if s.open >= 0 && (begins || slot != s.open) {
		if s.want > 0 {
			return false // cut short in the middle of the file
		}
		s.commit(s.pos)
	}
	if s.failed != nil {
		return false
	}
	switch {
	case slot < 0:
		s.whole = s.pos + packetSize
		return true
	case begins:
		return s.begin(slot, body)
	case s.open < 0:
		return false
	}
	s.take(body)
	return true
}

func payloadOf(p []byte) []byte {
	switch p[3] & 0x30 {
	case 0x10:
		return p[4:]
	case 0x30:
		if n := 5 + int(p[4]); n < packetSize {
			return p[n:]
		}
	}
	return nil
}

// begin opens a PES packet.
func (s *scanner) begin(slot int, b []byte) bool {
	if len(b) < 14 || b[0] != 0 || b[1] != 0 || b[2] != 1 || b[7]&0x80 == 0 {
		return false
	}
	hl := 9 + int(b[8])
	if hl < 14 || hl > len(b) {
		return false
	}
	length := int(b[4])<<8 | int(b[5])
	s.open, s.have, s.want = slot, 0, 0
	if length > 0 {
		if s.want = length + 6 - hl; s.want <= 0 {
			return false
		}
	}
	s.pts = s.unwrap(int64(b[9]>>1&7)<<30 | int64(b[10])<<22 | int64(b[11]>>1)<<15 | int64(b[12])<<7 | int64(b[13]>>1))
	s.private = b[3] == pesPrivate1
	s.payload = s.payload[:0]
	s.take(b[hl:])
	return true
}

// unwrap lifts a 33-bit PTS near the one before it.
func (s *scanner) unwrap(pts int64) int64 {
	const period = 1 << 33
	if s.some {
		d := (pts - s.anchor) % period
		switch {
		case d >= period/2:
			d -= period
		case d < -period/2:
			d += period
		}
		pts = s.anchor + d
	}
	s.some, s.anchor = true, pts
	return pts
}

func (s *scanner) take(b []byte) {
	if s.want > 0 && len(b) > s.want-s.have {
		b = b[:s.want-s.have]
	}
	s.have += len(b)
	if s.open == slotAudio && len(s.payload) <= maxPESLength || s.emit != nil && len(s.payload) <= maxUnit {
		s.payload = append(s.payload, b...)
	}
	if s.want > 0 && s.have == s.want {
		s.commit(s.pos + packetSize)
	}
}

// commit counts the open PES packet, which is whole up to byte end.
func (s *scanner) commit(end int64) {
	t := &s.tracks[s.open]
	n, dur := 1, int64(0)
	if s.open == slotAudio {
		n, dur = frames(s.payload, s.private)
	}
	if t.Units == 0 {
		t.First = s.pts
	} else if s.open == slotVideo && s.pts > s.last {
		s.steps = append(s.steps, s.pts-s.last)
	}
	if s.open == slotVideo {
		s.last = max(s.last, s.pts)
	} else {
		t.End = max(t.End, s.pts+dur)
	}
	t.Units += n
	slot := s.open
	s.whole, s.open = end, -1
	if s.emit != nil && s.failed == nil {
		s.failed = s.hand(slot)
	}
}

func (s *scanner) result() Scanned {
	v := s.tracks[slotVideo]
	if v.Units > 0 {
		v.End = s.last + usual(s.steps)
	}
	return Scanned{Bytes: s.whole, Video: v, Audio: s.tracks[slotAudio]}
}

// usual returns the median of the frame intervals, 1/30 s without any.
func usual(steps []int64) int64 {
	if len(steps) == 0 {
		return 3000
	}
	slices.Sort(steps)
	return steps[len(steps)/2]
}

// frames counts the audio frames of a PES packet and their length in 90 kHz ticks.
func frames(b []byte, isOpus bool) (n int, ticks int64) {
	if isOpus {
		return opusFrames(b)
	}
	for len(b) >= adtsHeader && b[0] == 0xFF && b[1]&0xF0 == 0xF0 {
		size := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
		rates := [...]int64{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000}
		rate := int(b[2] >> 2 & 15)
		if size < adtsHeader || size > len(b) || rate >= len(rates) {
			break
		}
		n++
		ticks += 1024 * 90000 / rates[rate]
		b = b[size:]
	}
	return n, ticks
}

func opusFrames(b []byte) (n int, ticks int64) {
	for len(b) > 2 && b[0] == 0x7F && b[1] == 0xE0 {
		size, i := 0, 2
		for ; i < len(b) && b[i] == 255; i++ {
			size += 255
		}
		if i >= len(b) {
			break
		}
		size += int(b[i])
		if b = b[i+1:]; size > len(b) {
			break
		}
		n++
		ticks += opus.PacketDuration2(b[:size]) * 90 / 48
		b = b[size:]
	}
	return n, ticks
}
