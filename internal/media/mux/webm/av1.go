package webm

import "github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"

// AV1Private returns the CodecPrivate of an AV1 track, the AV1 codec
// configuration record ("AV1 in Matroska", AV1-ISOBMFF 2.3.3), made of the
// sequence header in a key frame; nil if there is none that can be read.
func AV1Private(keyFrame []byte) []byte {
	for _, obu := range units(keyFrame) {
		if len(obu) < 2 || av1.OBUType(obu[0]>>3&15) != av1.OBUTypeSequenceHeader {
			continue
		}
		var h av1.SequenceHeader
		if h.Unmarshal(obu) != nil || len(h.SeqLevelIdx) == 0 {
			return nil
		}
		bit := func(b bool, shift int) byte {
			if b {
				return 1 << shift
			}
			return 0
		}
		c := h.ColorConfig
		rec := []byte{
			0x81,
			h.SeqProfile<<5 | h.SeqLevelIdx[0]&31,
			bit(len(h.SeqTier) > 0 && h.SeqTier[0], 7) | bit(c.HighBitDepth, 6) | bit(c.TwelveBit, 5) |
				bit(c.MonoChrome, 4) | bit(c.SubsamplingX, 3) | bit(c.SubsamplingY, 2) | byte(c.ChromaSamplePosition)&3,
			0,
		}
		sized, err := av1.Bitstream{obu}.Marshal()
		if err != nil {
			return nil
		}
		return append(rec, sized...)
	}
	return nil
}

// units splits a temporal unit in the low-overhead format.
func units(tu []byte) av1.Bitstream {
	var b av1.Bitstream
	if b.Unmarshal(tu) != nil {
		return nil
	}
	return b
}

// undelimited returns a temporal unit without its delimiter, which has no
// place in a block.
func undelimited(tu []byte) []byte {
	// An OBU header of type 2 with a size field, whose value is 0.
	for len(tu) >= 2 && tu[0] == 0x12 && tu[1] == 0 {
		tu = tu[2:]
	}
	return tu
}
