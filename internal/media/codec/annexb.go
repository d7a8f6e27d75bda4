package codec

import "bytes"

// parameterSets finds the first SPS and PPS of an Annex B byte stream
// (ITU-T H.264 annex B).
func parameterSets(b []byte) (sps, pps []byte) {
	for len(b) > 0 {
		i := bytes.Index(b, []byte{0, 0, 1})
		if i < 0 {
			return sps, pps
		}
		b = b[i+3:]
		end := bytes.Index(b, []byte{0, 0, 1})
		if end < 0 {
			end = len(b)
		}
		nal := bytes.TrimRight(b[:end], "\x00")
		if len(nal) > 0 {
			switch nal[0] & 31 {
			case 7:
				if sps == nil {
					sps = nal
				}
			case 8:
				if pps == nil {
					pps = nal
				}
			}
		}
		b = b[end:]
	}
	return sps, pps
}

// unescape appends a NAL unit without its emulation prevention bytes (H.264
// 7.4.1).
func unescape(to, nal []byte) []byte {
	zeros := 0
	for _, v := range nal {
		if zeros >= 2 && v == 3 {
			zeros = 0
			continue
		}
		to = append(to, v)
		if zeros++; v != 0 {
			zeros = 0
		}
	}
	return to
}

// escape appends a NAL unit with the emulation prevention bytes that it needs.
func escape(to, rbsp []byte) []byte {
	zeros := 0
	for _, v := range rbsp {
		if zeros >= 2 && v <= 3 {
			to = append(to, 3)
			zeros = 0
		}
		to = append(to, v)
		if zeros++; v != 0 {
			zeros = 0
		}
	}
	return to
}
