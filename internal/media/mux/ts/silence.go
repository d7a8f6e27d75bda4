package ts

import "bytes"

// aacFrame is how many samples an AAC frame has.
const aacFrame = 1024

// silentPerPES frames, about a second, share a PES packet: they are small.
const silentPerPES = 46

// silentAAC is a raw frame of AAC LC that decodes to silence (ISO/IEC 14496-3
// 4.4.2): one element without any section, and the mark of the end.
func silentAAC(channels int) []byte {
	if channels == 1 {
		// single_channel_element: id 000, tag 0000, global_gain 0, then ics_info with
		// max_sfb 0, no pulses, no TNS, no gain control; ID_END 111.
		return []byte{0x00, 0x00, 0x00, 0x07}
	}
	// channel_pair_element: id 001, tag 0000, common_window 1, ics_info with max_sfb
	// 0, ms_mask_present 00, twice the rest of a channel; ID_END 111.
	return []byte{0x21, 0x00, 0x00, 0x00, 0x00, 0x1C}
}

// Silence returns a slice of so many frames of silence in AAC. pts is the time
// of the first sample in 90 kHz ticks.
func Silence(sampleRate, channels int, pts int64, frames int) ([]byte, error) {
	var out bytes.Buffer
	w := New(Config{Audio: true, SampleRate: sampleRate, Channels: channels})
	w.perPES = silentPerPES
	if err := w.Begin(&out, true); err != nil {
		return nil, err
	}
	frame := silentAAC(channels)
	for i := range int64(frames) {
		if err := w.Audio(pts+i*aacFrame*90_000/int64(sampleRate), frame); err != nil {
			return nil, err
		}
	}
	if err := w.End(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
