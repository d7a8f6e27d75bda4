package transcode

import "encoding/binary"

// infoFrame returns the frame that stands before the sound of an MP3 and tells
// players how many frames and bytes there are: without it they guess the length
// from the bit rate. Its form is that of the frame given, the first one of the
// sound, with an "Info" tag in place of it. Nil when the frame is none.
func infoFrame(like []byte, frames, bytes uint32) []byte {
	if len(like) < 4 || like[0] != 0xFF || like[1]&0xE0 != 0xE0 {
		return nil
	}
	mpeg1, mono := like[1]&0x18 == 0x18, like[3]>>6 == 3
	at := 4 + 17 // side information (ISO/IEC 11172-3 2.4.1.7, 13818-3 2.4.1.7)
	switch {
	case mpeg1 && !mono:
		at = 4 + 32
	case !mpeg1 && mono:
		at = 4 + 9
	}
	size := len(like)
	if like[2]&2 != 0 {
		size-- // a padding byte
	}
	if size < at+16 {
		return nil
	}
	f := make([]byte, size)
	copy(f, like[:4])
	f[1] |= 1  // no checksum
	f[2] &^= 2 // no padding
	copy(f[at:], "Info")
	f[at+7] = 3 // frames and bytes follow
	binary.BigEndian.PutUint32(f[at+8:], frames+1)
	binary.BigEndian.PutUint32(f[at+12:], bytes+uint32(size))
	return f
}
