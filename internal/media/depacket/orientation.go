package depacket

// OrientationURI names the header extension in which a camera tells how it is
// held (3GPP TS 26.114 section 7.4.5).
const OrientationURI = "urn:3gpp:video-orientation"

// Oriented lets the stream read the orientation extension, which has this id in
// the packets. Call it before the first Push.
func (s *Stream) Oriented(id uint8) { s.turnID = id }

// turn returns how far the pictures of a frame are to be turned, in degrees
// anticlockwise. Senders put it into the last packet of key frames and of frames
// in which it changes; without a word it stays.
func (s *Stream) turn(f frame) int {
	if s.turnID == 0 {
		return 0
	}
	for _, p := range f.packets {
		if b := p.GetExtension(s.turnID); len(b) > 0 {
			// The two lowest bits say in quarters how far to turn clockwise.
			s.turned = (4 - int(b[0]&3)) % 4 * 90
		}
	}
	return s.turned
}
