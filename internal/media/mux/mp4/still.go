package mp4

import (
	"bytes"
	"errors"

	"tapedeck/internal/media"
)

// stillTicks is how long one sample of a still stands at most: the lengths of
// samples have 32 bits.
const stillTicks = 3600 * movieScale

// Still returns fragments without an initialisation that show one key frame
// from one time to another, in 90 kHz ticks. They are decoded with the
// initialisation of a slice that begins with the same key frame. av1c is as in
// NewFragments.
func Still(c media.Codec, w, h int, key, av1c []byte, from, to int64) ([]byte, error) {
	var out buffer
	f, err := NewFragments(&out, c, w, h, key, av1c)
	if err != nil {
		return nil, err
	}
	for at := from; at < to; at += stillTicks {
		if err := f.Frame(at, true, key); err != nil {
			return nil, err
		}
	}
	if err := f.Close(to); err != nil {
		return nil, err
	}
	return out.Bytes()[len(f.Head()):], nil
}

// buffer is a File in memory that is written from front to back.
type buffer struct{ bytes.Buffer }

// WriteAt implements io.WriterAt.
func (*buffer) WriteAt([]byte, int64) (int, error) {
	return 0, errors.New("mp4: fragments are written from front to back")
}
