// Package ts writes MPEG transport streams (ISO/IEC 13818-1) for HLS slices:
// one program with at most one video and one audio stream, on one clock that
// runs through all slices of a recording. It needs no memory per frame beyond
// one reused buffer. It also reads such slices back after a crash (Scan).
package ts

import (
	"errors"
	"fmt"
	"io"

	"tapedeck/internal/media"
)

// Base is the PTS of the recording's zero, 10 s: times a little before zero
// stay positive. Times are 90 kHz ticks, written modulo 2^33.
const Base = 900_000

// PTS returns the 90 kHz PTS of a point on the recording's timeline.
func PTS(t media.Time) int64 { return Base + t.Ticks90k() }

// Time is the inverse of PTS, for a PTS that has not been masked.
func Time(pts int64) media.Time { return media.FromTicks90k(pts - Base) }

const (
	packetSize = 188
	pidPAT     = 0
	pidPMT     = 0x1000
	pidVideo   = 0x100
	pidAudio   = 0x101
	pidNull    = 0x1FFF

	// pcrLead is how far the clock reference trails the decoding time: the
	// decoder's buffering time, constant over the recording.
	pcrLead = 36_000 // 400 ms

	// An ADTS frame each would cost a PES header and half a packet of
	// stuffing; six are 128 ms at 48 kHz. Without video the audio carries the
	// clock reference, which is due every 100 ms.
	audioPerPES     = 6
	audioOnlyPerPES = 4
	opusPerPES      = 5      // 100 ms of the usual packets
	maxAudioPES     = 60_000 // bytes; PES_packet_length has 16 bits
	maxPESLength    = 65_535

	streamH264    = 0x1B
	streamH265    = 0x24
	streamADTS    = 0x0F
	streamPrivate = 0x06
	pesVideo      = 0xE0
	pesAudio      = 0xC0
	pesPrivate1   = 0xBD

	adtsHeader = 7
	maxADTS    = 1<<13 - 1
)

// Config says what the slices carry. At least one of Video and Audio is set.
type Config struct {
	Video, Audio bool
	VideoCodec   media.Codec // media.H264 (also when Unknown) or media.H265
	AudioCodec   media.Codec // media.AAC (also when Unknown) or media.Opus
	SampleRate   int         // of AAC, Hz
	Channels     int         // 1 or 2
}

// ErrConfig: the writer cannot be made as asked.
var ErrConfig = errors.New("ts: unsupported configuration")

// Writer writes one slice after the other. Continuity counters carry on, so
// that slices may be concatenated byte by byte. It is not safe for concurrent use.
type Writer struct {
	cfg  Config
	out  io.Writer
	cc   [4]byte // continuity counters: PAT, PMT, video, audio
	mark [4]bool // discontinuity_indicator is due on the next packet
	buf  []byte
	sent int // packets of this slice

	adts     [adtsHeader]byte
	audio    []byte
	audioPTS int64
	audioN   int
	perPES   int
}

const (
	slotPAT = iota
	slotPMT
	slotVideo
	slotAudio
)

// New prepares a writer. A configuration that cannot be written is reported by Begin.
func New(cfg Config) *Writer {
	if cfg.VideoCodec == media.Unknown {
		cfg.VideoCodec = media.H264
	}
	if cfg.AudioCodec == media.Unknown {
		cfg.AudioCodec = media.AAC
	}
	w := &Writer{cfg: cfg, perPES: audioPerPES}
	if !cfg.Video {
		w.perPES = audioOnlyPerPES
	}
	if cfg.AudioCodec == media.Opus {
		w.perPES = opusPerPES
	}
	idx, _ := rateIndex(cfg.SampleRate)
	// ISO/IEC 14496-3 1.A.2: AAC LC, no CRC, buffer fullness 0x7FF (VBR).
	w.adts = [adtsHeader]byte{0xFF, 0xF1, 1<<6 | idx<<2, byte(cfg.Channels) << 6, 0, 0x1F, 0xFC}
	return w
}

// check returns ErrConfig if c cannot be written.
func (c Config) check() error {
	if !c.Video && !c.Audio {
		return fmt.Errorf("%w: neither video nor audio", ErrConfig)
	}
	if c.Video && c.VideoCodec != media.H264 && c.VideoCodec != media.H265 {
		return fmt.Errorf("%w: video codec %s", ErrConfig, c.VideoCodec)
	}
	if !c.Audio {
		return nil
	}
	if c.AudioCodec != media.AAC && c.AudioCodec != media.Opus {
		return fmt.Errorf("%w: audio codec %s", ErrConfig, c.AudioCodec)
	}
	if c.Channels < 1 || c.Channels > 2 {
		return fmt.Errorf("%w: %d channels", ErrConfig, c.Channels)
	}
	if _, ok := rateIndex(c.SampleRate); !ok && c.AudioCodec == media.AAC {
		return fmt.Errorf("%w: sample rate %d", ErrConfig, c.SampleRate)
	}
	return nil
}

// rateIndex returns samplingFrequencyIndex (ISO/IEC 14496-3 table 1.18).
func rateIndex(rate int) (byte, bool) {
	for i, r := range [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000} {
		if r == rate {
			return byte(i), true
		}
	}
	return 0, false
}

// Begin starts a slice on out with PAT and PMT. discontinuity sets the
// discontinuity_indicator on the first packet of each PID: after an
// interruption, and when the counters of an earlier writer are not known.
func (w *Writer) Begin(out io.Writer, discontinuity bool) error {
	if err := w.cfg.check(); err != nil {
		return err
	}
	w.out, w.sent = out, 0
	w.audio, w.audioN, w.buf = w.audio[:0], 0, w.buf[:0]
	if discontinuity {
		w.mark = [4]bool{true, true, w.cfg.Video, w.cfg.Audio}
	}
	w.tables()
	return w.flush()
}

// Video writes one access unit in Annex B form. pts and dts are 90 kHz ticks;
// dts ascends strictly. An access unit delimiter is put in front.
func (w *Writer) Video(pts, dts int64, key bool, annexB []byte) error {
	aud := audH264
	if w.cfg.VideoCodec == media.H265 {
		aud = audH265
	}
	u := pes{pid: pidVideo, slot: slotVideo, stream: pesVideo, pts: pts, dts: dts, key: key, pcr: true}
	w.packetize(u, aud(), annexB)
	return w.flush()
}

// Audio queues one raw AAC frame (or one Opus packet); a few of them share one
// PES packet. pts is the time of its first sample in 90 kHz ticks. Frames are
// expected to follow each other without a gap; a gap ends the PES packet.
func (w *Writer) Audio(pts int64, frame []byte) error {
	if w.audioN > 0 && (w.gapBefore(pts) || len(w.audio)+len(frame)+adtsHeader > maxAudioPES) {
		if err := w.flushAudio(); err != nil {
			return err
		}
	}
	if w.audioN == 0 {
		w.audioPTS = pts
	}
	if err := w.queue(frame); err != nil {
		return err
	}
	w.audioN++
	if w.audioN >= w.perPES {
		return w.flushAudio()
	}
	return nil
}

// gapBefore reports whether a frame at pts does not directly follow the queue.
// Players time the frames of a PES packet by counting samples.
func (w *Writer) gapBefore(pts int64) bool {
	if w.cfg.AudioCodec == media.Opus {
		return pts-w.audioPTS > 9000
	}
	want := w.audioPTS + int64(w.audioN)*1024*90000/int64(w.cfg.SampleRate)
	return pts-want > 2 || want-pts > 2
}

func (w *Writer) queue(frame []byte) error {
	if w.cfg.AudioCodec == media.Opus {
		w.queueOpus(frame)
		return nil
	}
	n := len(frame) + adtsHeader
	if n > maxADTS {
		return fmt.Errorf("ts: an AAC frame of %d bytes does not fit ADTS", len(frame))
	}
	h := w.adts
	h[3] |= byte(n >> 11)
	h[4] = byte(n >> 3)
	h[5] |= byte(n << 5)
	w.audio = append(append(w.audio, h[:]...), frame...)
	return nil
}

// queueOpus adds a packet with its control header (ETSI TS 103 491, "Opus in MPEG-2 TS").
func (w *Writer) queueOpus(packet []byte) {
	w.audio = append(w.audio, 0x7F, 0xE0)
	n := len(packet)
	for ; n >= 255; n -= 255 {
		w.audio = append(w.audio, 255)
	}
	w.audio = append(append(w.audio, byte(n)), packet...)
}

func (w *Writer) flushAudio() error {
	if w.audioN == 0 {
		return nil
	}
	u := pes{pid: pidAudio, slot: slotAudio, stream: pesAudio, pts: w.audioPTS, dts: w.audioPTS, key: true, pcr: !w.cfg.Video}
	if w.cfg.AudioCodec == media.Opus {
		u.stream = pesPrivate1
	}
	w.packetize(u, nil, w.audio)
	w.audio, w.audioN = w.audio[:0], 0
	return w.flush()
}

// minPackets is the least number of packets in a slice. Readers tell MPEG-TS
// by the distance of its sync bytes and need more than a few of them (ffprobe
// takes a slice of five packets for raw AAC).
const minPackets = 16

// Padding returns the null packets that a slice of size bytes lacks to be
// recognised: none for most.
func Padding(size int64) []byte {
	var w Writer
	for have := size / packetSize; have < minPackets; have++ {
		w.nullPacket()
	}
	return w.buf
}

// End writes what is queued, and null packets (ISO/IEC 13818-1, 2.4.3.3) after
// it if the slice is very short. The slice is complete then; the caller closes
// its file.
func (w *Writer) End() error {
	if err := w.flushAudio(); err != nil {
		return err
	}
	if w.sent == 0 || w.sent >= minPackets {
		return nil
	}
	for w.sent < minPackets {
		w.nullPacket()
	}
	return w.flush()
}

func (w *Writer) flush() error {
	b := w.buf
	w.buf = w.buf[:0]
	if w.out == nil {
		return errors.New("ts: written before Begin")
	}
	if _, err := w.out.Write(b); err != nil {
		return fmt.Errorf("ts: %w", err)
	}
	return nil
}
