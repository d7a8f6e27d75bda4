package recorder

import (
	"bytes"

	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/mp4"
	"tapedeck/internal/media/mux/ts"
	"tapedeck/internal/media/mux/webm"
	"tapedeck/internal/session"
)

// Extensions of slices.
const (
	extTS   = ".ts"
	extWebM = ".webm"
	extMP4  = ".mp4"
)

// webmBase is the timestamp of the recording's zero in WebM slices that keep
// the recording's time, as ts.Base is in TS.
const webmBase media.Time = 10_000_000

// newVideoWriter returns the container for a codec (files.md 5.4), nil for one
// that has none. VP9, AV1 and H.265, which the specification does not know, go
// into fragmented MP4: players take them from there (docs/formats/individual.md).
func newVideoWriter(c media.Codec, plan session.Plan) videoWriter {
	if plan.Mode == session.Raw && c == media.VP9 {
		return &webmVideo{codec: c, keepTime: true} // rest-api.md 14
	}
	switch c {
	case media.H264:
		return &tsVideo{w: ts.New(ts.Config{Video: true, VideoCodec: c})}
	case media.VP8:
		return &webmVideo{codec: c, keepTime: plan.StreamMode == session.StreamStandard}
	case media.VP9, media.AV1, media.H265:
		return &mp4Video{codec: c}
	}
	return nil
}

// videoWriter puts units into a slice's container.
type videoWriter interface {
	// ext is the slice's file name extension.
	ext() string
	// begin opens the container; u is the key frame, or forced cut, that comes first.
	begin(s *Slice, u media.Unit, w, h int, discontinuity bool) error
	write(u media.Unit) error
	// head is what players need to read the slice that was begun, where the playlist
	// can say so (RFC 8216 4.3.2.5); nil: it cannot.
	head() []byte
	// end completes the container of a slice of length dur.
	end(dur media.Time) error
}

// tsVideo writes H.264 as it comes. Its counters run through all slices.
type tsVideo struct{ w *ts.Writer }

func (v *tsVideo) ext() string { return extTS }

func (v *tsVideo) begin(s *Slice, _ media.Unit, _, _ int, discontinuity bool) error {
	return v.w.Begin(s, discontinuity)
}

func (v *tsVideo) write(u media.Unit) error {
	pts := ts.PTS(u.PTS)
	return v.w.Video(pts, pts, u.Key, u.Data)
}

func (v *tsVideo) end(media.Time) error { return v.w.End() }

// head is a PAT and a PMT.
func (v *tsVideo) head() []byte {
	var b bytes.Buffer
	_ = ts.New(ts.Config{Video: true, VideoCodec: media.H264}).Begin(&b, true) // a buffer takes all
	return b.Bytes()
}

// webmVideo writes VP8 as it comes, one file a slice.
type webmVideo struct {
	codec    media.Codec
	keepTime bool // timestamps are those of the recording, as the MPD needs them
	start    media.Time
	w        *webm.Writer
}

func (v *webmVideo) ext() string { return extWebM }

func (v *webmVideo) begin(s *Slice, _ media.Unit, w, h int, _ bool) (err error) {
	cfg := webm.Config{Codec: v.codec, W: w, H: h}
	v.start = s.Start()
	if v.keepTime {
		cfg.Base = webmBase + v.start
	}
	v.w, err = webm.New(s.stream(), cfg)
	s.head = s.Size()
	return err
}

func (v *webmVideo) write(u media.Unit) error {
	return v.w.Frame(u.PTS-v.start, u.Key, u.Data)
}

func (v *webmVideo) end(dur media.Time) error { return v.w.Close(dur) }

func (v *webmVideo) head() []byte { return nil }

// mp4Video writes VP9, AV1 or H.265 as it comes, one file a slice, with the
// recording's time.
type mp4Video struct {
	codec media.Codec
	s     *Slice
	w     *mp4.Fragments
}

func (v *mp4Video) ext() string { return extMP4 }

func (v *mp4Video) begin(s *Slice, u media.Unit, w, h int, _ bool) (err error) {
	var av1c []byte
	if v.codec == media.AV1 {
		av1c = webm.AV1Private(u.Data)
	}
	v.s = s
	v.w, err = mp4.NewFragments(s, v.codec, w, h, u.Data, av1c)
	return err
}

func (v *mp4Video) head() []byte { return v.w.Head() }

func (v *mp4Video) write(u media.Unit) error { return v.w.Frame(ts.PTS(u.PTS), u.Key, u.Data) }

func (v *mp4Video) end(dur media.Time) error {
	err := v.w.Close(ts.PTS(v.s.Start() + dur))
	v.s.behind(int64(len(v.head())))
	return err
}

// soundWriter puts packets of sound into a slice's container.
type soundWriter interface {
	ext() string
	begin(s *Slice, discontinuity bool) error
	write(at media.Time, packet []byte) error
	end(dur media.Time) error
}

// tsSound writes AAC or Opus. Its counters run through all slices.
type tsSound struct{ w *ts.Writer }

func (w tsSound) ext() string { return extTS }

func (w tsSound) begin(s *Slice, discontinuity bool) error { return w.w.Begin(s, discontinuity) }

func (w tsSound) write(at media.Time, packet []byte) error { return w.w.Audio(ts.PTS(at), packet) }

func (w tsSound) end(media.Time) error { return w.w.End() }

// webmSound writes Opus, one file a slice, with the recording's time.
type webmSound struct {
	channels int
	start    media.Time
	w        *webm.Writer
}

func (w *webmSound) ext() string { return extWebM }

func (w *webmSound) begin(s *Slice, _ bool) (err error) {
	w.start = s.Start()
	w.w, err = webm.New(s.stream(), webm.Config{Codec: media.Opus, Channels: w.channels, Base: webmBase + w.start})
	s.head = s.Size()
	return err
}

func (w *webmSound) write(at media.Time, packet []byte) error {
	return w.w.Frame(at-w.start, true, packet)
}

func (w *webmSound) end(dur media.Time) error { return w.w.Close(dur) }
