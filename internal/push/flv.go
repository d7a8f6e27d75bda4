package push

import (
	"encoding/binary"

	"tapedeck/internal/media/mux/h264"
)

// Bodies of audio and video messages are FLV tags without their header (Adobe,
// "FLV and F4V file format specification 10.1", E.4).

const (
	flvKey   = 1<<4 | 7 // key frame, AVC
	flvInter = 2<<4 | 7
	flvAAC   = 10<<4 | 3<<2 | 1<<1 | 1 // AAC is always marked 44 kHz, 16 bit, stereo
)

// videoHead is the AVC sequence header: an AVCDecoderConfigurationRecord.
func videoHead(sps, pps []byte) ([]byte, error) {
	record, err := h264.Record(sps, pps)
	if err != nil {
		return nil, err
	}
	return append([]byte{flvKey, 0, 0, 0, 0}, record...), nil
}

// videoBody is one picture with lengths instead of start codes. Parameter sets
// and delimiters are left out: the sequence header has them.
func videoBody(key bool, annexB []byte) []byte {
	b := make([]byte, 5, len(annexB)+16)
	b[0], b[1] = flvInter, 1
	if key {
		b[0] = flvKey
	}
	for nal := range h264.Units(annexB) {
		if t := h264.Type(nal); t >= h264.TypeSPS && t <= h264.TypeAUD {
			continue
		}
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(nal))), nal...)
	}
	return b
}

func audioHead(config []byte) []byte { return append([]byte{flvAAC, 0}, config...) }

func audioBody(aac []byte) []byte { return append([]byte{flvAAC, 1}, aac...) }

// metadata is the onMetaData command.
func metadata(c Config) []byte {
	o := object{}
	if c.SPS != nil {
		o = append(o, member{"width", c.W}, member{"height", c.H}, member{"framerate", c.FPS}, member{"videocodecid", 7})
	}
	if c.AudioConfig != nil {
		o = append(o, member{"audiocodecid", 10}, member{"audiosamplerate", c.SampleRate}, member{"audiosamplesize", 16}, member{"stereo", c.Channels == 2})
	}
	o = append(o, member{"encoder", "tapedeck"})
	return appendAMF(nil, "@setDataFrame", "onMetaData", o)
}
