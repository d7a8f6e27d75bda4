package recorder

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"tapedeck/internal/media"
	"tapedeck/internal/media/codec"
	"tapedeck/internal/media/depacket"
	"tapedeck/internal/media/mix"
	"tapedeck/internal/media/mux/ts"
	"tapedeck/internal/testkit/clips"
	"tapedeck/internal/testkit/publish"
)

// BenchmarkIndividualParts measures what is done with the media of one user by
// itself, in ms of processor time for a second of media: 720p H.264 at 1.2
// Mbit/s put in order and made into pictures; sound decoded, laid onto the
// timeline and encoded as AAC, once of beeps with silence between them and once of
// noise that never pauses; both written to TS.
func BenchmarkIndividualParts(b *testing.B) {
	sets, err := clips.Make(b.Context(), clips.CacheDir(), []clips.Person{benchPerson()})
	if err != nil {
		b.Fatal(err)
	}
	spec, err := sets[0].Spec()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("depacketize", func(b *testing.B) { perSecond(b, spec.Video[0].Length(), depacketized(b, spec.Video[0])) })
	b.Run("aac/beeps", func(b *testing.B) { perSecond(b, spec.Audio.Length(), transcoded(b, spec.Audio)) })
	noise := noiseClip(b)
	b.Run("aac/noise", func(b *testing.B) { perSecond(b, noise.Length(), transcoded(b, noise)) })
	b.Run("mux", func(b *testing.B) { perSecond(b, spec.Video[0].Length(), muxed(b, spec)) })
}

func perSecond(b *testing.B, media time.Duration, work func()) {
	from := cpu(b)
	for b.Loop() {
		work()
	}
	used := (cpu(b) - from).Seconds() / float64(b.N)
	b.ReportMetric(used*1000/media.Seconds(), "ms/s")
}

// depacketized puts a clip's packets in order and makes access units of them.
func depacketized(b *testing.B, c *publish.Clip) func() {
	pay := &codecs.H264Payloader{}
	var packets []*rtp.Packet
	for i, f := range c.Frames {
		parts := pay.Payload(1150, f.Data)
		for k, p := range parts {
			packets = append(packets, &rtp.Packet{Payload: p, Header: rtp.Header{
				Version: 2, SequenceNumber: uint16(len(packets) & 0xffff), Timestamp: uint32(int64(i) * c.Ticks), Marker: k == len(parts)-1, //nolint:gosec // a clip is short
			}})
		}
	}
	now := time.Now()
	return func() {
		s, err := depacket.New(c.Codec, depacket.DefaultWait)
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for _, p := range packets {
			s.Push(p, now)
			for _, ok := s.Next(now); ok; _, ok = s.Next(now) {
				n++
			}
		}
		if n != len(c.Frames) {
			b.Fatalf("%d of %d frames", n, len(c.Frames))
		}
	}
}

// transcoded decodes a clip, places it and encodes it again.
func transcoded(b *testing.B, c *publish.Clip) func() {
	return func() {
		dec, err := codec.NewOpusDecoder(1)
		if err != nil {
			b.Fatal(err)
		}
		enc, err := codec.NewAACEncoder(mix.Rate, 1, aacBitrate)
		if err != nil {
			b.Fatal(err)
		}
		defer dec.Close()
		defer enc.Close()
		m := mix.New(1, 0)
		v := &mixVoice{dec: dec, src: m.Add()}
		pcm := make([]float32, codec.AACFrame)
		for i, f := range c.Frames {
			at := int64(i) * c.Ticks
			v.push(media.Unit{Codec: media.Opus, RTP: at, PTS: media.FromSamples48k(at), Data: f.Data})
			for m.Pos()+codec.AACFrame <= m.End() {
				m.Read(pcm)
				if _, err := enc.Encode(pcm); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
}

// muxed writes pictures, and packets of the size that AAC has, to two streams.
func muxed(b *testing.B, s publish.Spec) func() {
	v, a := s.Video[0], s.Audio
	frame := make([]byte, aacBitrate/8*codec.AACFrame/mix.Rate)
	return func() {
		pictures, sound := ts.New(ts.Config{Video: true, VideoCodec: v.Codec}), aacWriter(1)
		if err := pictures.Begin(io.Discard, true); err != nil {
			b.Fatal(err)
		}
		if err := sound.Begin(io.Discard, true); err != nil {
			b.Fatal(err)
		}
		for i, f := range v.Frames {
			pts := ts.PTS(media.Time(int64(i) * v.Ticks * 1_000_000 / 90_000))
			if err := pictures.Video(pts, pts, f.Key, f.Data); err != nil {
				b.Fatal(err)
			}
		}
		for at := int64(0); at < int64(len(a.Frames))*a.Ticks; at += codec.AACFrame {
			if err := sound.Audio(ts.PTS(media.FromSamples48k(at)), frame); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// noiseClip is ten seconds of Opus that never pauses, louder and softer three times a second as speech is.
func noiseClip(tb testing.TB) *publish.Clip {
	graph := fmt.Sprintf("anoisesrc=r=48000:c=pink:a=0.3:s=7,tremolo=f=3:d=0.8,atrim=end_sample=%d,asetnsamples=n=960:p=0", 480_000-312)
	cmd := exec.CommandContext(tb.Context(), "ffmpeg", "-hide_banner", "-nostdin", "-v", "error", "-f", "lavfi", "-i", graph,
		"-c:a", "libopus", "-b:a", "48k", "-frame_duration", "20", "-page_duration", "20000", "-f", "ogg", "-")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("ffmpeg: %v: %s", err, complaint.Bytes())
	}
	c, err := publish.Ogg(out)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}
