package publish

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/livekit/server-sdk-go/v2/pkg/oggreader"

	"tapedeck/internal/media"
)

const (
	ivfHeader = 32 // bytes before the first frame
	ivfFrame  = 12 // bytes before each frame: size (4), timestamp (8)
)

// LoadIVF reads VP8, VP9 or AV1 from an IVF file with a fixed frame rate, which
// its header tells (time base numerator over denominator, one tick a frame).
func LoadIVF(path string) (*Clip, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := IVF(b)
	if err != nil {
		return nil, fmt.Errorf("publish: %s: %w", path, err)
	}
	return describe(path, c)
}

// IVF makes a clip of the content of an IVF file.
func IVF(b []byte) (*Clip, error) {
	if len(b) < ivfHeader || string(b[:4]) != "DKIF" {
		return nil, errors.New("this is no IVF file")
	}
	c := &Clip{W: int(binary.LittleEndian.Uint16(b[12:])), H: int(binary.LittleEndian.Uint16(b[14:]))}
	switch fourcc := string(b[8:12]); fourcc {
	case "VP80":
		c.Codec = media.VP8
	case "VP90":
		c.Codec = media.VP9
	case "AV01":
		c.Codec = media.AV1
	default:
		return nil, fmt.Errorf("IVF with codec %q", fourcc)
	}
	den, num := int64(binary.LittleEndian.Uint32(b[16:])), int64(binary.LittleEndian.Uint32(b[20:]))
	if den <= 0 || num <= 0 {
		return nil, errors.New("the IVF time base is zero")
	}
	b = b[ivfHeader:]
	var first, second uint64
	for n := 0; len(b) >= ivfFrame; n++ {
		size := int64(binary.LittleEndian.Uint32(b))
		at := binary.LittleEndian.Uint64(b[4:])
		switch n {
		case 0:
			first = at
		case 1:
			second = at
		}
		if size > int64(len(b)-ivfFrame) {
			return nil, errors.New("the last frame is cut off")
		}
		c.add(b[ivfFrame : ivfFrame+size])
		b = b[ivfFrame+size:]
	}
	step := int64(1)
	if second > first && second-first < 1<<20 {
		step = int64(second - first) //nolint:gosec // bounded above
	}
	c.Ticks = int64(c.Codec.ClockRate()) * num * step / den
	return c, nil
}

// LoadOgg reads Opus from an Ogg file (RFC 7845). All packets must have the
// length of the first.
func LoadOgg(path string) (*Clip, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := Ogg(b)
	if err != nil {
		return nil, fmt.Errorf("publish: %s: %w", path, err)
	}
	return describe(path, c)
}

// Ogg makes a clip of the content of an Ogg Opus file. The encoder's look-ahead
// (pre-skip) becomes the clip's Lead, so that sample 0 of the file is played at
// the same moment as frame 0 of a video clip.
func Ogg(b []byte) (*Clip, error) {
	r, head, err := oggreader.NewOggReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	c := &Clip{Codec: media.Opus, Lead: int64(head.PreSkip)}
	for {
		p, err := r.ReadPacket()
		if errors.Is(err, io.EOF) {
			return c, nil
		}
		if err != nil {
			return nil, err
		}
		if bytes.HasPrefix(p, []byte("OpusHead")) || bytes.HasPrefix(p, []byte("OpusTags")) {
			continue
		}
		d, err := oggreader.ParsePacketDuration(p)
		if err != nil {
			return nil, err
		}
		ticks := d.Microseconds() * int64(c.Codec.ClockRate()) / 1_000_000
		if c.Ticks == 0 {
			c.Ticks = ticks
		}
		if ticks != c.Ticks {
			return nil, fmt.Errorf("packet %d lasts %v, the first %v", len(c.Frames), d, ticksToTime(c.Ticks, c.Codec))
		}
		c.Frames = append(c.Frames, Frame{Data: bytes.Clone(p), Key: true})
	}
}
