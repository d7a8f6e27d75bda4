package ts

import (
	"io"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"

	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/h264"
)

// maxUnit bounds an access unit that Read believes in, bytes.
const maxUnit = 16 << 20

// Unit is one access unit of a slice that is read back: Annex B for H.264 and
// H.265, one packet for Opus, one raw frame for AAC. Data is valid until the
// next call.
type Unit struct {
	Codec    media.Codec
	PTS      int64 // 90 kHz ticks as written, not wrapped within the slice
	Key      bool
	Rate     int // Hz, of sound
	Channels int // AAC: 1 or 2
	Data     []byte
}

// Read hands every whole access unit of a slice that Writer wrote to emit, in
// the order of the file. It trusts no byte: what does not make sense ends it, as
// a torn end does. The error is one of reading or emit's.
func Read(r io.Reader, emit func(Unit) error) error {
	s := scanner{open: -1, emit: emit}
	if err := s.read(r); err != nil {
		return err
	}
	if s.open >= 0 && s.want == 0 { // an unbounded unit ends with the file
		s.commit(s.pos)
	}
	return s.failed
}

// programme takes the stream types from a PMT (ISO/IEC 13818-1 2.4.4.8).
func (s *scanner) programme(b []byte) {
	if len(b) < 13 || b[0] != 0 || b[1] != 2 {
		return
	}
	end := min(4+(int(b[2]&15)<<8|int(b[3]))-4, len(b))
	for at := 13 + (int(b[11]&15)<<8 | int(b[12])); at+5 <= end; {
		switch pid := int(b[at+1]&0x1F)<<8 | int(b[at+2]); pid {
		case pidVideo:
			s.types[slotVideo] = b[at]
		case pidAudio:
			s.types[slotAudio] = b[at]
		}
		at += 5 + (int(b[at+3]&15)<<8 | int(b[at+4]))
	}
}

// hand passes the units of the PES packet that was just committed on.
func (s *scanner) hand(slot int) error {
	if len(s.payload) > maxUnit {
		return nil
	}
	if slot == slotVideo {
		u := Unit{Codec: media.H264, PTS: s.pts, Data: s.payload}
		if s.types[slotVideo] == streamH265 {
			u.Codec = media.H265
			u.Key = h265Key(s.payload)
		} else {
			u.Key = h264Key(s.payload)
		}
		return s.emit(u)
	}
	if s.private {
		return s.handOpus(s.payload)
	}
	return s.handAAC(s.payload)
}

func h264Key(annexB []byte) bool {
	for u := range h264.Units(annexB) {
		if t := h264.Type(u); t == h264.TypeIDR || t == 1 {
			return t == h264.TypeIDR
		}
	}
	return false
}

// h265Key: IRAP pictures have types 16 to 23 (ITU-T H.265 table 7-1).
func h265Key(annexB []byte) bool {
	for u := range h264.Units(annexB) {
		if t := u[0] >> 1 & 63; t < 32 {
			return t >= 16 && t <= 23
		}
	}
	return false
}

// samplingRates are those of ISO/IEC 14496-3 table 1.18, Hz.
func samplingRates() [12]int {
	return [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000}
}

func (s *scanner) handAAC(b []byte) error {
	rates := samplingRates()
	for at := s.pts; len(b) >= adtsHeader && b[0] == 0xFF && b[1]&0xF0 == 0xF0; {
		size := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
		rate := int(b[2] >> 2 & 15)
		head := adtsHeader
		if b[1]&1 == 0 {
			head += 2 // a checksum
		}
		if size < head || size > len(b) || rate >= len(rates) {
			break
		}
		u := Unit{
			Codec: media.AAC, PTS: at, Key: true, Rate: rates[rate],
			Channels: int(b[2]&1)<<2 | int(b[3]>>6), Data: b[head:size],
		}
		if err := s.emit(u); err != nil {
			return err
		}
		at += 1024 * 90000 / int64(rates[rate])
		b = b[size:]
	}
	return nil
}

// handOpus splits control headers and packets (ETSI TS 103 491 annex; the form
// that Writer writes).
func (s *scanner) handOpus(b []byte) error {
	for at := s.pts; len(b) > 2 && b[0] == 0x7F && b[1] == 0xE0; {
		size, i := 0, 2
		for ; i < len(b) && b[i] == 255; i++ {
			size += 255
		}
		if i >= len(b) {
			break
		}
		size += int(b[i])
		if b = b[i+1:]; size == 0 || size > len(b) {
			break
		}
		if err := s.emit(Unit{Codec: media.Opus, PTS: at, Key: true, Rate: 48000, Data: b[:size]}); err != nil {
			return err
		}
		at += opus.PacketDuration2(b[:size]) * 90 / 48
		b = b[size:]
	}
	return nil
}
