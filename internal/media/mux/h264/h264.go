// Package h264 holds the little that muxers need to know of H.264: units of a
// byte stream, parameter sets, and the decoder configuration record of MP4.
package h264

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	parse "github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// Types of NAL units (ISO/IEC 14496-10 table 7-1) that muxers treat specially.
const (
	TypeIDR = 5
	TypeSPS = 7
	TypePPS = 8
	TypeAUD = 9
)

// Type returns nal_unit_type.
func Type(nalu []byte) int {
	if len(nalu) == 0 {
		return 0
	}
	return int(nalu[0] & 31)
}

// Units yields the NAL units of an Annex B byte stream, without start codes.
// Both lengths of start code are taken. Bytes before the first one are skipped.
func Units(annexB []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		code := []byte{0, 0, 1}
		at := bytes.Index(annexB, code)
		for at >= 0 {
			rest := annexB[at+3:]
			at = bytes.Index(rest, code)
			unit := rest
			if at >= 0 {
				unit = rest[:at]
			}
			// A zero before the next start code belongs to that, and trailing
			// zeros to nobody (Annex B.1).
			if unit = bytes.TrimRight(unit, "\x00"); len(unit) > 0 && !yield(unit) {
				return
			}
			annexB = rest
		}
	}
}

// ParameterSets returns the first SPS and PPS of an access unit, nil where there is none.
func ParameterSets(annexB []byte) (sps, pps []byte) {
	for u := range Units(annexB) {
		switch Type(u) {
		case TypeSPS:
			if sps == nil {
				sps = u
			}
		case TypePPS:
			if pps == nil {
				pps = u
			}
		case 1, TypeIDR:
			return sps, pps
		}
	}
	return sps, pps
}

// Size returns the displayed width and height in pixels.
func Size(sps []byte) (w, h int, err error) {
	var s parse.SPS
	if err := s.Unmarshal(sps); err != nil {
		return 0, 0, fmt.Errorf("h264: sequence parameter set: %w", err)
	}
	return s.Width(), s.Height(), nil
}

// Record returns the AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1)
// for streams with 4-byte lengths.
func Record(sps, pps []byte) ([]byte, error) {
	if len(sps) < 4 || len(pps) == 0 || len(sps) > 0xFFFF || len(pps) > 0xFFFF {
		return nil, errors.New("h264: a parameter set is missing or too large")
	}
	var s parse.SPS
	if err := s.Unmarshal(sps); err != nil {
		return nil, fmt.Errorf("h264: sequence parameter set: %w", err)
	}
	b := []byte{1, sps[1], sps[2], sps[3], 0xFF, 0xE1, byte(len(sps) >> 8), byte(len(sps))}
	b = append(b, sps...)
	b = append(b, 1, byte(len(pps)>>8), byte(len(pps)))
	b = append(b, pps...)
	switch s.ProfileIdc {
	case 100, 110, 122, 144:
		b = append(b, 0xFC|byte(s.ChromaFormatIdc), 0xF8|byte(s.BitDepthLumaMinus8), 0xF8|byte(s.BitDepthChromaMinus8), 0)
	}
	return b, nil
}
