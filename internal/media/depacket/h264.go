package depacket

import (
	"github.com/pion/rtp/codecs"

	"tapedeck/internal/media"
)

// h264Codec follows RFC 6184: single NAL units, STAP-A and FU-A.
type h264Codec struct {
	*seal
	sps, pps []byte // the latest, for key frames that come without
	w, h     int
}

func (*h264Codec) head(b []byte) bool { return (&codecs.H264Packet{}).IsPartitionHead(b) }

func (c *h264Codec) assemble(f frame) (media.Unit, int) {
	var d codecs.H264Packet
	var stream []byte
	for _, packet := range f.packets {
		b, err := d.Unmarshal(packet.Payload)
		if err != nil {
			return media.Unit{}, len(f.packets)
		}
		stream = append(stream, b...)
	}
	stream, lost := c.opened(stream, f)
	if len(stream) == 0 {
		return media.Unit{}, lost
	}
	var data []byte
	var key, pictured, sps, pps bool
	for nal := range NALs(stream) {
		t := nal[0] & 0x1f
		switch {
		case dropped(t):
			continue
		case t == nalSPS:
			c.sps, sps = append([]byte(nil), nal...), true
			c.w, c.h = sizeH264(nal)
		case t == nalPPS:
			c.pps, pps = append([]byte(nil), nal...), true
		case t >= nalSlice && t <= nalIDR:
			if !pictured && !firstSlice(nal) {
				return media.Unit{}, len(f.packets) // the beginning was lost
			}
			pictured = true
			key = key || t == nalIDR
		}
		data = appendNAL(data, nal)
	}
	if !pictured {
		return media.Unit{}, 0 // parameter sets on their own are kept for later
	}
	if !key {
		return media.Unit{Data: data}, 0
	}
	if c.sps == nil || c.pps == nil {
		return media.Unit{}, len(f.packets) // nobody could decode it
	}
	if c.h == 2 {
		return media.Unit{}, 0 // with these, 2x2 pixels or 16x2, LiveKit ends a track
	}
	if !sps || !pps {
		data = append(appendNAL(appendNAL(nil, c.sps), c.pps), data...)
	}
	return media.Unit{Key: true, W: c.w, H: c.h, Data: data}, 0
}
