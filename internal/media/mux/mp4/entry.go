package mp4

import (
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/vp9"

	"tapedeck/internal/media"
	nalu "tapedeck/internal/media/mux/h264"
)

// Names of sample entries.
const (
	entryH265 = "hvc1"
	entryVP9  = "vp09"
	entryAV1  = "av01"
)

// Types of H.265 NAL units (ITU-T H.265 table 7-1).
const (
	typeVPS = 32
	typeSPS = 33
	typePPS = 34
	typeAUD = 35
)

func typeH265(u []byte) int { return int(u[0] >> 1 & 63) }

// visualEntry writes a VisualSampleEntry (ISO/IEC 14496-12 12.1.3) with one box
// of configuration in it.
func visualEntry(name string, width, height int, config string, record []byte) ([]byte, error) {
	if width <= 0 || height <= 0 || width > 0xFFFF || height > 0xFFFF {
		return nil, fmt.Errorf("mp4: a video track of %d×%d", width, height)
	}
	var w builder
	p := w.box(name)
	w.u32(0, 1) // data_reference_index
	w.u32(0, 0, 0, 0)
	w.u16(uint16(width), uint16(height))
	w.u32(0x480000, 0x480000, 0) // 72 dpi
	w.u16(1)
	w.bytes(make([]byte, 32)...) // compressor's name
	w.u16(0x18, 0xFFFF)
	q := w.box(config)
	w.bytes(record...)
	w.end(q)
	w.end(p)
	return w.b, nil
}

// pictureEntry makes the sample entry of a slice from its key frame. av1c is the
// AV1 codec configuration record.
func pictureEntry(c media.Codec, w, h int, key, av1c []byte) ([]byte, error) {
	switch c {
	case media.H265:
		record, err := recordH265(key)
		if err != nil {
			return nil, err
		}
		return visualEntry(entryH265, w, h, "hvcC", record)
	case media.VP9:
		record, err := recordVP9(w, h, key)
		if err != nil {
			return nil, err
		}
		return visualEntry(entryVP9, w, h, "vpcC", record)
	case media.AV1:
		if len(av1c) == 0 {
			return nil, errors.New("mp4: an AV1 key frame without a sequence header")
		}
		return visualEntry(entryAV1, w, h, "av1C", av1c)
	}
	return nil, fmt.Errorf("mp4: no fragments of %v", c)
}

// setsH265 returns the parameter sets of an access unit in the order of the record.
func setsH265(annexB []byte) (sets [3][]byte) {
	for u := range nalu.Units(annexB) {
		if t := typeH265(u); t >= typeVPS && t <= typePPS && sets[t-typeVPS] == nil {
			sets[t-typeVPS] = u
		}
	}
	return sets
}

// recordH265 makes an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 8.3.3.1).
func recordH265(key []byte) ([]byte, error) {
	sets := setsH265(key)
	var sps h265.SPS
	if sets[0] == nil || sets[1] == nil || sets[2] == nil {
		return nil, errors.New("mp4: an H.265 key frame without its parameter sets")
	}
	if err := sps.Unmarshal(sets[1]); err != nil {
		return nil, fmt.Errorf("mp4: H.265 SPS: %w", err)
	}
	plain := h264.EmulationPreventionRemove(sets[1])
	if len(plain) < 15 {
		return nil, errors.New("mp4: an H.265 SPS that is too short")
	}
	var w builder
	w.bytes(1)
	w.bytes(plain[3:15]...) // profile, compatibility, constraints, level (7.3.3)
	w.u16(0xF000)           // min_spatial_segmentation_idc: not known
	layers := plain[2] >> 1 & 7
	w.bytes(0xFC, 0xFC|byte(sps.ChromaFormatIdc), 0xF8|byte(sps.BitDepthLumaMinus8), 0xF8|byte(sps.BitDepthChromaMinus8))
	w.u16(0) // frame rate: not known
	w.bytes((layers+1)<<3|plain[2]&1<<2|3, byte(len(sets)))
	for i, set := range sets {
		w.bytes(0x80 | byte(typeVPS+i)) // all of them are here
		w.u16(1, uint16(len(set)))
		w.bytes(set...)
	}
	return w.b, nil
}

// recordVP9 makes a VPCodecConfigurationRecord ("VP Codec ISO Media File Format
// Binding").
func recordVP9(width, height int, key []byte) ([]byte, error) {
	var h vp9.Header
	if err := h.Unmarshal(key); err != nil || h.ColorConfig == nil {
		return nil, errors.New("mp4: a VP9 key frame whose header cannot be read")
	}
	chroma := byte(3)
	switch c := h.ColorConfig; {
	case c.SubsamplingX && c.SubsamplingY:
		chroma = 1 // 4:2:0, with the left samples
	case c.SubsamplingX:
		chroma = 2
	}
	full := byte(0)
	if h.ColorConfig.ColorRange {
		full = 1
	}
	var w builder
	w.u32(1 << 24)
	w.bytes(h.Profile, levelVP9(width*height), h.ColorConfig.BitDepth<<4|chroma<<1|full, 2, 2, 2) // colours: not told
	w.u16(0)
	return w.b, nil
}

// levelVP9 is the lowest level for pictures of some size at 60 frames a second.
func levelVP9(pixels int) byte {
	for _, l := range [...]struct {
		most  int
		level byte
	}{{122880, 21}, {245760, 30}, {552960, 31}, {983040, 40}, {2228224, 41}} {
		if pixels <= l.most {
			return l.level
		}
	}
	return 51
}
