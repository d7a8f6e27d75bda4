// Package media holds what every media room shares: the time base, codecs and
// the access unit. It has no behaviour of its own.
package media

// Time is a point on a recording's timeline: microseconds since the
// recording's zero, whose UTC stands in the journal. It may be negative for
// media captured before the recorder joined.
type Time int64

// Ticks90k converts t to the 90 kHz clock of MPEG-TS and our MP4 video tracks,
// rounded to nearest.
func (t Time) Ticks90k() int64 {
	if t >= 0 {
		return (int64(t)*9 + 50) / 100
	}
	return (int64(t)*9 - 50) / 100
}

// FromTicks90k is the inverse of Ticks90k up to rounding.
func FromTicks90k(n int64) Time { return Time((n*100 + 4) / 9) }

// Samples48k converts t to samples at 48 kHz, rounded to nearest.
func (t Time) Samples48k() int64 {
	if t >= 0 {
		return (int64(t)*6 + 62) / 125
	}
	return (int64(t)*6 - 62) / 125
}

// FromSamples48k converts a count of samples at 48 kHz to time.
func FromSamples48k(n int64) Time { return Time(n * 125 / 6) }

// Codec names an elementary stream format.
type Codec uint8

// The codecs that a room can carry, and AAC, which we make.
const (
	Unknown Codec = iota
	H264
	H265
	VP8
	VP9
	AV1
	Opus
	AAC
)

// String returns the lower-case name of the codec.
func (c Codec) String() string {
	names := [...]string{"unknown", "h264", "h265", "vp8", "vp9", "av1", "opus", "aac"}
	if int(c) < len(names) {
		return names[c]
	}
	return names[0]
}

// Video reports whether the codec carries pictures.
func (c Codec) Video() bool { return c >= H264 && c <= AV1 }

// ClockRate is the RTP clock rate in Hz: 90000 for video, 48000 for Opus.
func (c Codec) ClockRate() int {
	if c.Video() {
		return 90000
	}
	return 48000
}

// Unit is one access unit: what a decoder takes in one call.
//
// Data is H.264/H.265 in Annex B form with four-byte start codes and without
// access unit delimiters; one whole frame for VP8, VP9 and AV1 (low-overhead
// OBUs); one packet for Opus; one raw frame without ADTS header for AAC. It is
// owned by whoever received the Unit and is never written to again.
type Unit struct {
	Codec Codec
	PTS   Time  // presentation time on the recording's timeline
	RTP   int64 // extended RTP timestamp in units of Codec.ClockRate
	Key   bool  // decodable on its own (always true for audio)
	Gap   int   // RTP packets lost just before this unit
	W, H  int   // coded size in pixels, set on video key frames, else 0
	Turn  int   // how far the sender asks to turn the picture: 0, 90, 180 or 270 degrees anticlockwise
	Data  []byte
}
