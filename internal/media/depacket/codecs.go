package depacket

import (
	"bytes"

	"github.com/pion/rtp/codecs"

	"tapedeck/internal/media"
)

// vp8Codec follows RFC 7741.
type vp8Codec struct{ *seal }

func (vp8Codec) head(b []byte) bool {
	var p codecs.VP8Packet
	if _, err := p.Unmarshal(b); err != nil {
		return false
	}
	return p.S == 1 && p.PID == 0
}

func (c vp8Codec) assemble(f frame) (media.Unit, int) {
	var data []byte
	for _, packet := range f.packets {
		var p codecs.VP8Packet
		b, err := p.Unmarshal(packet.Payload)
		if err != nil {
			return media.Unit{}, len(f.packets)
		}
		data = append(data, b...)
	}
	data, lost := c.opened(data, f)
	if len(data) == 0 {
		return media.Unit{}, lost
	}
	pic := inspectVP8(data)
	if pic.Key && pic.W == 8 && pic.H == 8 {
		return media.Unit{}, 0 // with these LiveKit ends a track
	}
	return media.Unit{Key: pic.Key, W: pic.W, H: pic.H, Data: data}, 0
}

// vp9Codec follows RFC 9628.
type vp9Codec struct{ *seal }

func (vp9Codec) head(b []byte) bool {
	var p codecs.VP9Packet
	if _, err := p.Unmarshal(b); err != nil {
		return false
	}
	// Where a layer does not depend on the ones below it (D), a server may leave
	// those out.
	return p.B && (p.SID == 0 || !p.D)
}

func (c vp9Codec) assemble(f frame) (media.Unit, int) {
	var layers [][]byte
	var w, h int
	for _, packet := range f.packets {
		var p codecs.VP9Packet
		b, err := p.Unmarshal(packet.Payload)
		if err != nil {
			return media.Unit{}, len(f.packets)
		}
		if p.B || len(layers) == 0 {
			layers = append(layers, nil)
		}
		n := len(layers) - 1
		layers[n] = append(layers[n], b...)
		for i := range p.Width { // the scalability structure, highest layer last
			w, h = plausible(int(p.Width[i]), int(p.Height[i]))
		}
	}
	for i, l := range layers { // senders encrypt each on its own
		var lost int
		if layers[i], lost = c.opened(l, f); len(layers[i]) == 0 {
			return media.Unit{}, lost
		}
	}
	if len(layers) == 0 {
		return media.Unit{}, 0
	}
	pic := inspectVP9(layers[0])
	if pic.Key && w*h > pic.W*pic.H {
		pic.W, pic.H = w, h
	}
	return media.Unit{Key: pic.Key, W: pic.W, H: pic.H, Data: superframe(layers)}, 0
}

// superframe joins the spatial layers of one picture, with the index that tells
// a decoder where each begins (VP9 bitstream specification, annex B).
func superframe(layers [][]byte) []byte {
	data := bytes.Join(layers, nil)
	if len(layers) == 1 || len(layers) > 8 {
		return data
	}
	marker := byte(0b110<<5 | 3<<3 | len(layers) - 1) // sizes of four bytes
	data = append(data, marker)
	for _, l := range layers {
		n := len(l)
		data = append(data, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
	}
	return append(data, marker)
}

// av1Codec follows the AV1 RTP specification of the Alliance for Open Media.
type av1Codec struct{ *seal }

// head: the Z bit says that the first OBU continues one of the packet before.
func (av1Codec) head(b []byte) bool { return len(b) > 0 && b[0]&0x80 == 0 }

func (c av1Codec) assemble(f frame) (media.Unit, int) {
	var d codecs.AV1Depacketizer
	var data []byte
	for _, packet := range f.packets {
		b, err := d.Unmarshal(packet.Payload)
		if err != nil {
			return media.Unit{}, len(f.packets)
		}
		data = append(data, b...)
	}
	data, lost := c.opened(data, f)
	if len(data) == 0 {
		return media.Unit{}, lost
	}
	pic := inspectAV1(data)
	return media.Unit{Key: pic.Key, W: pic.W, H: pic.H, Data: data}, 0
}

// opusCodec follows RFC 7587: a payload is a packet.
type opusCodec struct{ *seal }

func (opusCodec) head([]byte) bool { return true }

func (c opusCodec) assemble(f frame) (media.Unit, int) {
	if len(f.packets) == 0 || len(f.packets[0].Payload) == 0 {
		return media.Unit{}, 0
	}
	data, lost := c.opened(bytes.Clone(f.packets[0].Payload), f)
	if len(data) == 0 {
		return media.Unit{}, lost
	}
	return media.Unit{Key: true, Data: data}, 0
}

// isBlankOpus recognizes the 80 bytes of silence that LiveKit sends.
func isBlankOpus(b []byte) bool {
	if len(b) != 80 || b[0] != 0xf8 || b[1] != 0xff || b[2] != 0xfe {
		return false
	}
	return len(bytes.TrimLeft(b[3:], "\x00")) == 0
}
