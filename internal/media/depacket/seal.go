package depacket

// Opener opens a frame that its sender encrypted as a whole, in the form in which
// a depacketizer gives it (for H.264 a byte stream with four-byte start codes).
// It returns nothing and true for a frame that is to be passed over, and false for
// one that cannot be opened, which counts as lost.
type Opener func(frame []byte) (plain []byte, ok bool)

// seal is what all codecs share to get through encryption.
type seal struct{ open Opener }

// opened returns the plain text of a frame; where there is none, lost says how
// many packets count as lost.
func (s *seal) opened(data []byte, f frame) (plain []byte, lost int) {
	if s.open == nil || len(data) == 0 {
		return data, 0
	}
	plain, ok := s.open(data)
	if !ok {
		return nil, len(f.packets)
	}
	return plain, 0
}
