package publish

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"

	"tapedeck/internal/media"
)

// mtu bounds an RTP payload: what fits through every path, less the headers.
const mtu = 1150

// feed is one RTP stream: a clip, its packets, and where it stands.
type feed struct {
	clip  *Clip
	loop  int64 // frames after which the clip begins again
	track *lksdk.LocalTrack
	pay   rtp.Payloader
	seal  func(c media.Codec, frame []byte) ([]byte, error)
	layer byte   // of simulcast, 0 is the lowest
	base  uint32 // RTP timestamp of frame 0
	seq   uint16
	next  int64 // frame that is sent next, counted from the origin

	muted   atomic.Bool
	waiting bool // muted until the next key frame
	paused  bool // the clip had nothing to send
	bound   atomic.Bool
}

func newFeed(c *Clip, loop time.Duration, opts ...lksdk.LocalTrackOptions) (*feed, error) {
	rate := c.Codec.ClockRate()
	f := &feed{clip: c, base: rand.Uint32(), seq: uint16(rand.Uint32())} //nolint:gosec // RTP wants unpredictable, not secret
	f.loop = max(1, int64(loop/ticksToTime(c.Ticks, c.Codec)))
	codec := webrtc.RTPCodecCapability{ClockRate: uint32(rate)} //nolint:gosec // 48000 or 90000
	switch c.Codec {
	case media.H264:
		codec.MimeType, f.pay = webrtc.MimeTypeH264, &codecs.H264Payloader{}
	case media.H265:
		codec.MimeType, f.pay = webrtc.MimeTypeH265, &codecs.H265Payloader{}
	case media.VP8:
		codec.MimeType, f.pay = webrtc.MimeTypeVP8, &codecs.VP8Payloader{EnablePictureID: true}
	case media.VP9:
		codec.MimeType, f.pay = webrtc.MimeTypeVP9, &codecs.VP9Payloader{}
	case media.AV1:
		codec.MimeType, f.pay = webrtc.MimeTypeAV1, &codecs.AV1Payloader{}
	case media.Opus:
		codec.MimeType, f.pay, codec.Channels = webrtc.MimeTypeOpus, &codecs.OpusPayloader{}, 2
	}
	t, err := lksdk.NewLocalTrack(codec, opts...)
	if err != nil {
		return nil, err
	}
	t.OnBind(func() { f.bound.Store(true) })
	f.track = t
	return f, nil
}

// due is when frame n is sent, after the origin.
func (f *feed) due(n int64) time.Duration {
	return ticksToTime(n*f.clip.Ticks-f.clip.Lead, f.clip.Codec)
}

// rtpAt is the RTP timestamp of a moment after the origin: what a sender report
// says. It does not depend on when packets really went out.
func (f *feed) rtpAt(since time.Duration) uint32 {
	rate := int64(f.clip.Codec.ClockRate())
	ticks := int64(since/time.Second)*rate + int64(since%time.Second)*rate/int64(time.Second)
	return f.base + uint32(ticks+f.clip.Lead) //nolint:gosec // wraps by design
}

// send writes the next frame, unless the feed is muted, and steps on.
func (f *feed) send() error {
	n := f.next
	f.next++
	frame := f.clip.Frames[n%f.loop%int64(len(f.clip.Frames))]
	if f.muted.Load() {
		f.waiting = true
		return nil
	}
	if len(frame.Data) == 0 {
		f.paused = true
		return nil
	}
	if f.waiting && !frame.Key {
		return nil
	}
	resumed := f.waiting || f.paused
	f.waiting, f.paused = false, false
	data := frame.Data
	if f.seal != nil {
		var err error
		if data, err = f.seal(f.clip.Codec, data); err != nil {
			return err
		}
	}
	payloads := f.pay.Payload(mtu, data)
	if f.clip.Codec == media.VP9 && f.layer > 0 {
		for i, p := range payloads {
			payloads[i] = withLayer(p, f.layer)
		}
	}
	for i, p := range payloads {
		packet := &rtp.Packet{
			Header: rtp.Header{
				Version:        2,
				SequenceNumber: f.seq,
				Timestamp:      f.base + uint32(n*f.clip.Ticks), //nolint:gosec // wraps by design
				// RFC 3551 section 4.1, RFC 7587 section 4.2: on video the end of a
				// frame, on audio the first packet after silence.
				Marker: i == len(payloads)-1 && f.clip.Codec.Video() || resumed && !f.clip.Codec.Video(),
			},
			Payload: p,
		}
		f.seq++
		level := uint8(15) // dBov below full scale: somebody speaks
		if err := f.track.WriteRTP(packet, &lksdk.SampleWriteOptions{AudioLevel: &level}); err != nil {
			return err
		}
	}
	return nil
}

// withLayer names the spatial layer in a VP9 payload descriptor of non-flexible
// mode with a 15 bit picture id, which is what the payloader makes (RFC 9628
// section 4.2). LiveKit tells the layers of VP9 by it, in simulcast too.
func withLayer(p []byte, layer byte) []byte {
	const layersPresent, descriptor = 0x20, 3
	out := append([]byte{p[0] | layersPresent}, p[1:descriptor]...)
	out = append(out, layer<<1, 0) // no temporal layers: TID and TL0PICIDX are 0
	return append(out, p[descriptor:]...)
}
