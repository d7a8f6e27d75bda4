package depacket

import (
	"encoding/binary"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"tapedeck/internal/media"
)

// NAL unit types of H.265 (ITU-T H.265 table 7-1) and of its payloads (RFC 7798
// section 4.4).
const (
	h265Slices    = 32 // types below are slices
	h265IRAP      = 16 // the first of those that are decodable on their own
	h265IRAPEnd   = 24
	h265VPS       = 32
	h265SPS       = 33
	h265PPS       = 34
	h265AUD       = 35
	h265EOS       = 36
	h265EOB       = 37
	h265Filler    = 38
	h265SEI       = 39
	h265SEISuffix = 40
	h265Pack      = 48 // aggregation packet
	h265Fragment  = 49 // fragmentation unit

	h265Header = 2 // bytes of a NAL unit's and of a payload's header
)

func h265Type(b []byte) byte { return b[0] >> 1 & 63 }

// h265Codec follows RFC 7798 without decoding order numbers, which need an
// agreement by SDP that nobody makes.
type h265Codec struct {
	*seal
	sets [3][]byte // VPS, SPS and PPS, the latest, for key frames that come without
	w, h int
}

// head: every payload begins a NAL unit, but for the later fragments of one.
func (*h265Codec) head(b []byte) bool {
	if len(b) <= h265Header {
		return false
	}
	return h265Type(b) != h265Fragment || b[h265Header]&0x80 != 0
}

// nals returns the NAL units of a frame's packets, ok = false if they make no sense.
func (*h265Codec) nals(f frame) (nals [][]byte, ok bool) {
	var open []byte // a NAL unit that comes in fragments
	for _, packet := range f.packets {
		b := packet.Payload
		if len(b) <= h265Header {
			return nil, false
		}
		switch h265Type(b) {
		case h265Pack:
			for b = b[h265Header:]; len(b) > 0; {
				if len(b) < 2 {
					return nil, false
				}
				n := int(binary.BigEndian.Uint16(b))
				if b = b[2:]; n <= h265Header || n > len(b) {
					return nil, false
				}
				nals, b = append(nals, b[:n]), b[n:]
			}
		case h265Fragment:
			if len(b) <= h265Header+1 {
				return nil, false
			}
			fu := b[h265Header]
			if first := fu&0x80 != 0; first == (open != nil) {
				return nil, false // begun twice, or never
			} else if first {
				open = []byte{b[0]&0x81 | fu&63<<1, b[1]}
			}
			open = append(open, b[h265Header+1:]...)
			if fu&0x40 != 0 {
				nals, open = append(nals, open), nil
			}
		default:
			nals = append(nals, b)
		}
	}
	return nals, open == nil
}

func (c *h265Codec) assemble(f frame) (media.Unit, int) {
	nals, ok := c.nals(f)
	if !ok {
		return media.Unit{}, len(f.packets)
	}
	nals, lost := c.unsealed(nals, f)
	if len(nals) == 0 {
		return media.Unit{}, lost
	}
	var data []byte
	var key, pictured bool
	var has [3]bool
	for _, nal := range nals {
		t := h265Type(nal)
		switch {
		case t == h265AUD || t >= h265EOS && t <= h265SEISuffix:
			continue
		case t >= h265VPS && t <= h265PPS:
			c.sets[t-h265VPS], has[t-h265VPS] = append([]byte(nil), nal...), true
			if t == h265SPS {
				c.w, c.h = sizeH265(nal)
			}
		case t < h265Slices:
			if !pictured && nal[h265Header]&0x80 == 0 {
				return media.Unit{}, len(f.packets) // first_slice_segment_in_pic_flag: the beginning was lost
			}
			pictured = true
			key = key || t >= h265IRAP && t < h265IRAPEnd
		}
		data = appendNAL(data, nal)
	}
	switch {
	case !pictured:
		return media.Unit{}, 0 // parameter sets on their own are kept for later
	case !key:
		return media.Unit{Data: data}, 0
	case c.sets[0] == nil || c.sets[1] == nil || c.sets[2] == nil:
		return media.Unit{}, len(f.packets) // nobody could decode it
	}
	if has != [3]bool{true, true, true} {
		var sets []byte
		for _, s := range c.sets {
			sets = appendNAL(sets, s)
		}
		data = append(sets, data...)
	}
	return media.Unit{Key: true, W: c.w, H: c.h, Data: data}, 0
}

// unsealed opens a frame of NAL units, as seal.opened does.
func (c *h265Codec) unsealed(nals [][]byte, f frame) ([][]byte, int) {
	if c.open == nil {
		return nals, 0
	}
	var stream []byte
	for _, nal := range nals {
		stream = appendNAL(stream, nal)
	}
	stream, lost := c.opened(stream, f)
	var plain [][]byte
	for nal := range NALs(stream) {
		if len(nal) > h265Header {
			plain = append(plain, nal)
		}
	}
	return plain, lost
}

func inspectH265(data []byte) Picture {
	var p Picture
	for nal := range NALs(data) {
		if len(nal) <= h265Header {
			continue
		}
		switch t := h265Type(nal); {
		case t >= h265IRAP && t < h265IRAPEnd:
			p.Key = true
		case t == h265SPS:
			p.W, p.H = sizeH265(nal)
		}
	}
	return p
}

// sizeH265 returns the cropped size that an SPS (without start code) declares.
func sizeH265(sps []byte) (w, h int) {
	var s h265.SPS
	if s.Unmarshal(sps) != nil {
		return 0, 0
	}
	return plausible(s.Width(), s.Height())
}
