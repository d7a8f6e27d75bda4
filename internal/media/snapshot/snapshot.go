// Package snapshot makes JPEG pictures of a user's video on a cadence. It
// decodes one key frame for a picture and nothing in between.
package snapshot

import (
	"errors"
	"fmt"

	"tapedeck/internal/media"
	"tapedeck/internal/media/codec"
)

// quality is the quantiser scale of the pictures: fine enough that text in them
// can be read, at about 100 KB for 1280x720.
const quality = 4

// ErrNoPicture: the unit does not decode on its own.
var ErrNoPicture = errors.New("snapshot: the key frame holds no picture")

// Picture decodes a key frame and returns it as a JPEG in full-range BT.601
// (JFIF), as large as it was coded, less an odd last row or column. Pictures
// in BT.709 or in full range are converted. Senders in rooms turn their pictures
// before they encode them, so what was coded is upright.
func Picture(u media.Unit) ([]byte, error) {
	d, err := codec.NewVideoDecoder(u.Codec)
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	defer d.Close()
	fresh, err := d.Decode(u.Data)
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	w, h := d.Size()
	w, h = w&^1, h&^1
	if !fresh || w == 0 || h == 0 {
		return nil, ErrNoPicture
	}
	c, err := codec.NewCanvas(w, h)
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	defer c.Close()
	if err := c.Draw(d, 0, 0, w, h, false); err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	b, err := codec.JPEG(c, quality)
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	return b, nil
}
