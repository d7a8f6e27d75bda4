package depacket

import (
	"bytes"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/vp9"

	"tapedeck/internal/media"
)

// Picture is what the headers of one video access unit say.
type Picture struct {
	Key  bool // decodable on its own
	W, H int  // coded size in pixels; 0 where the unit does not say
}

// Inspect reads the headers of one access unit in the form of media.Unit.Data.
// Data that cannot be read is a picture that is no key frame.
func Inspect(c media.Codec, data []byte) Picture {
	switch c {
	case media.H264:
		return inspectH264(data)
	case media.H265:
		return inspectH265(data)
	case media.VP8:
		return inspectVP8(data)
	case media.VP9:
		return inspectVP9(data)
	case media.AV1:
		return inspectAV1(data)
	case media.Opus, media.AAC:
		return Picture{Key: true}
	}
	return Picture{}
}

func inspectH264(data []byte) Picture {
	var p Picture
	for nal := range NALs(data) {
		switch nal[0] & 0x1f {
		case nalIDR:
			p.Key = true
		case nalSPS:
			p.W, p.H = sizeH264(nal)
		}
	}
	return p
}

// sizeH264 returns the cropped size that an SPS (without start code) declares.
func sizeH264(sps []byte) (w, h int) {
	var s h264.SPS
	if s.Unmarshal(sps) != nil {
		return 0, 0
	}
	return plausible(s.Width(), s.Height())
}

// plausible keeps the sizes of broken headers out: 16384 is the largest side
// any of the codecs here is used with.
func plausible(w, h int) (int, int) {
	const most = 1 << 14
	if w <= 0 || h <= 0 || w > most || h > most {
		return 0, 0
	}
	return w, h
}

// inspectVP8 reads the frame tag and, on a key frame, the size behind the start
// code (RFC 6386 section 9.1).
func inspectVP8(b []byte) Picture {
	if len(b) < 10 || b[0]&1 != 0 || !bytes.Equal(b[3:6], []byte{0x9d, 0x01, 0x2a}) {
		return Picture{}
	}
	w, h := plausible(int(b[6])|int(b[7]&0x3f)<<8, int(b[8])|int(b[9]&0x3f)<<8)
	return Picture{Key: true, W: w, H: h}
}

func inspectVP9(b []byte) Picture {
	var h vp9.Header
	if len(b) == 0 || h.Unmarshal(b) != nil || h.NonKeyFrame || h.ShowExistingFrame || h.FrameSize == nil {
		return Picture{}
	}
	w, ht := plausible(h.Width(), h.Height())
	return Picture{Key: true, W: w, H: ht}
}

// inspectAV1 takes a temporal unit with a sequence header for a key frame:
// senders of RTP put one in front of every key frame and nowhere else.
func inspectAV1(b []byte) Picture {
	var units av1.Bitstream
	if units.Unmarshal(b) != nil {
		return Picture{}
	}
	for _, obu := range units {
		var h av1.OBUHeader
		if len(obu) == 0 || h.Unmarshal(obu) != nil || h.Type != av1.OBUTypeSequenceHeader {
			continue
		}
		var s av1.SequenceHeader
		if s.Unmarshal(obu) != nil {
			return Picture{}
		}
		w, ht := plausible(s.Width(), s.Height())
		return Picture{Key: true, W: w, H: ht}
	}
	return Picture{}
}
