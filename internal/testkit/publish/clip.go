// Package publish sends pre-encoded media into a LiveKit room as real
// participants do: over WebRTC, paced by the clock, with exact sender reports.
//
// Everything that one publisher sends belongs to one time origin: frame n of
// every clip is sent at origin + n × its length, for ever, whatever happened to
// the frames before. Nothing is ever skipped for a key frame request, so that
// flashes and beeps of a clip stay together. Clips should therefore have a key
// frame every half second or more often.
package publish

import (
	"errors"
	"fmt"
	"os"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/media/depacket"
)

// Clip is encoded media that is played in a loop.
type Clip struct {
	Codec  media.Codec
	Frames []Frame
	Ticks  int64 // length of one frame in units of Codec.ClockRate
	Lead   int64 // ticks by which decoded content lags behind its packet (Opus pre-skip)
	W, H   int   // pixels, 0 for audio
}

// Frame is one access unit in the form of media.Unit.Data.
type Frame struct {
	Data []byte // empty: nothing is sent, as in a pause of discontinuous transmission
	Key  bool
}

// Length is the time one loop of the whole clip takes.
func (c *Clip) Length() time.Duration {
	return ticksToTime(c.Ticks*int64(len(c.Frames)), c.Codec)
}

func ticksToTime(ticks int64, c media.Codec) time.Duration {
	rate := int64(c.ClockRate())
	return time.Duration(ticks/rate)*time.Second + time.Duration(ticks%rate)*time.Second/time.Duration(rate)
}

// LoadH264 reads a raw H.264 byte stream (Annex B) with a fixed frame rate.
func LoadH264(path string, fps int) (*Clip, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return describe(path, H264(b, fps))
}

// H264 makes a clip of a raw H.264 byte stream. The stream must begin with
// parameter sets and an IDR picture and must have no B frames.
func H264(stream []byte, fps int) *Clip {
	c := &Clip{Codec: media.H264}
	if fps > 0 {
		c.Ticks = int64(c.Codec.ClockRate() / fps)
	}
	for _, unit := range depacket.SplitH264(stream) {
		c.add(unit)
	}
	return c
}

// add appends one frame and takes the size from the first that tells it.
func (c *Clip) add(data []byte) {
	p := depacket.Inspect(c.Codec, data)
	c.Frames = append(c.Frames, Frame{Data: data, Key: p.Key})
	if c.W == 0 {
		c.W, c.H = p.W, p.H
	}
}

// describe names the file in the error of a clip that cannot be played.
func describe(path string, c *Clip) (*Clip, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("publish: %s: %w", path, err)
	}
	return c, nil
}

func (c *Clip) check() error {
	switch {
	case len(c.Frames) == 0:
		return errors.New("there are no frames")
	case c.Ticks <= 0:
		return errors.New("the frame rate is unknown")
	case !c.Frames[0].Key:
		return errors.New("the first frame is no key frame")
	case c.Codec.Video() && c.W == 0:
		return errors.New("the picture size is unknown")
	}
	return nil
}
