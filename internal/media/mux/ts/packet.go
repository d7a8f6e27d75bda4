package ts

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"

	"tapedeck/internal/media"
)

func audH264() []byte { return []byte{0, 0, 0, 1, 0x09, 0xF0} }
func audH265() []byte { return []byte{0, 0, 0, 1, 0x46, 0x01, 0x50} }

// crc computes CRC_32 of a section (ISO/IEC 13818-1 annex A): the polynomial
// of IEEE 802.3 with the bits in sending order, hence both reversals.
func crc(b []byte) uint32 {
	rev := make([]byte, len(b))
	for i, x := range b {
		rev[i] = bits.Reverse8(x)
	}
	return bits.Reverse32(^crc32.ChecksumIEEE(rev))
}

// tables writes PAT and PMT.
func (w *Writer) tables() {
	w.section(pidPAT, slotPAT, []byte{0x00, 0xB0, 13, 0, 1, 0xC1, 0, 0, 0, 1, 0xE0 | pidPMT>>8, pidPMT & 0xFF})
	var es []byte
	clock := pidVideo
	if !w.cfg.Video {
		clock = pidAudio
	}
	if w.cfg.Video {
		kind := byte(streamH264)
		if w.cfg.VideoCodec == media.H265 {
			kind = streamH265
		}
		es = append(es, kind, 0xE0|pidVideo>>8, pidVideo&0xFF, 0xF0, 0)
	}
	switch {
	case !w.cfg.Audio:
	case w.cfg.AudioCodec == media.Opus:
		// A registration descriptor, and an extension descriptor with the
		// channel configuration.
		es = append(es, streamPrivate, 0xE0|pidAudio>>8, pidAudio&0xFF, 0xF0, 10,
			0x05, 4, 'O', 'p', 'u', 's', 0x7F, 2, 0x80, byte(w.cfg.Channels))
	default:
		es = append(es, streamADTS, 0xE0|pidAudio>>8, pidAudio&0xFF, 0xF0, 0)
	}
	n := 9 + len(es) + 4
	head := []byte{0x02, 0xB0, byte(n), 0, 1, 0xC1, 0, 0, 0xE0 | byte(clock>>8), byte(clock & 0xFF), 0xF0, 0}
	w.section(pidPMT, slotPMT, append(head, es...))
}

// section writes one PSI section that fits one packet.
func (w *Writer) section(pid, slot int, sec []byte) {
	p := w.packet()
	w.header(p, pid, slot, true)
	pos := 4
	if w.mark[slot] {
		w.mark[slot] = false
		p[3] |= 0x20
		p[4], p[5] = 1, 0x80
		pos = 6
	}
	p[pos] = 0 // pointer_field
	n := pos + 1 + copy(p[pos+1:], sec)
	binary.BigEndian.PutUint32(p[n:], crc(sec))
	for i := n + 4; i < packetSize; i++ {
		p[i] = 0xFF
	}
}

// packet returns the next 188 bytes of the buffer.
func (w *Writer) packet() []byte {
	o := len(w.buf)
	if cap(w.buf)-o < packetSize {
		grown := make([]byte, o, 2*cap(w.buf)+64*packetSize)
		copy(grown, w.buf)
		w.buf = grown
	}
	w.buf = w.buf[:o+packetSize]
	w.sent++
	return w.buf[o : o+packetSize]
}

// nullPacket writes a packet that every reader skips.
func (w *Writer) nullPacket() {
	p := w.packet()
	p[0], p[1], p[2], p[3] = 0x47, byte(pidNull>>8), byte(pidNull&0xFF), 0x10
	for i := 4; i < packetSize; i++ {
		p[i] = 0xFF
	}
}

// header writes the first four bytes and counts the packet.
func (w *Writer) header(p []byte, pid, slot int, start bool) {
	p[0], p[1], p[2], p[3] = 0x47, byte(pid>>8), byte(pid), 0x10|w.cc[slot]
	if start {
		p[1] |= 0x40
	}
	w.cc[slot] = (w.cc[slot] + 1) & 15
}

// pes describes one PES packet.
type pes struct {
	pid, slot int
	stream    byte
	pts, dts  int64
	key, pcr  bool
}

// head returns the PES header for n bytes of payload.
func (u pes) head(dst []byte, n int) []byte {
	h := append(dst[:0], 0, 0, 1, u.stream, 0, 0, 0x84 /* data_alignment */, 0x80, 5)
	if u.pts == u.dts {
		h = stamp(h, 2, u.pts)
	} else {
		h[7], h[8] = 0xC0, 10
		h = stamp(h, 3, u.pts)
		h = stamp(h, 1, u.dts)
	}
	// A length of 0, allowed for video only, means "until the next one".
	if l := len(h) - 6 + n; l <= maxPESLength {
		h[4], h[5] = byte(l>>8), byte(l)
	}
	return h
}

// stamp appends a 33-bit time with its marker bits.
func stamp(b []byte, mark byte, t int64) []byte {
	t &= 1<<33 - 1
	return append(b, mark<<4|byte(t>>29)&0x0E|1, byte(t>>22), byte(t>>14)|1, byte(t>>7), byte(t<<1)|1)
}

// packetize writes one PES packet with the payload pre+data.
func (w *Writer) packetize(u pes, pre, data []byte) {
	var room [19]byte
	head := u.head(room[:], len(pre)+len(data))
	parts := [3][]byte{head, pre, data}
	left, next, first := len(head)+len(pre)+len(data), 0, true
	for left > 0 {
		p := w.packet()
		w.header(p, u.pid, u.slot, first)
		pos := w.adaptation(p, u, first, left)
		first = false
		for pos < packetSize {
			n := copy(p[pos:], parts[next])
			parts[next] = parts[next][n:]
			pos, left = pos+n, left-n
			if len(parts[next]) == 0 && next < 2 {
				next++
			}
			if left == 0 {
				break
			}
		}
	}
}

// adaptation writes the adaptation field that the packet needs, for its flags,
// the clock reference and stuffing, and returns where the payload begins.
func (w *Writer) adaptation(p []byte, u pes, first bool, left int) int {
	var flags byte
	size := 0
	if first {
		if u.key {
			flags |= 0x40
		}
		if w.mark[u.slot] {
			w.mark[u.slot] = false
			flags |= 0x80
		}
		if flags != 0 {
			size = 2
		}
		if u.pcr {
			flags |= 0x10
			size = 8
		}
	}
	size = max(size, packetSize-4-left)
	if size == 0 {
		return 4
	}
	p[3] |= 0x20
	p[4] = byte(size - 1)
	end := 4 + size
	if size == 1 {
		return end
	}
	p[5] = flags
	q := 6
	if flags&0x10 != 0 {
		t := (u.dts - pcrLead) & (1<<33 - 1)
		p[6], p[7], p[8], p[9], p[10], p[11] = byte(t>>25), byte(t>>17), byte(t>>9), byte(t>>1), byte(t<<7)|0x7E, 0
		q = 12
	}
	for ; q < end; q++ {
		p[q] = 0xFF
	}
	return end
}
