package recorder

import (
	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/media/codec"
	"tapedeck/internal/media/mux/ts"
	"tapedeck/internal/session"
)

// holdFirst is how long the first sound of a user in standard mode waits for
// the codec of their pictures, which decides about its container.
const holdFirst media.Time = 1_000_000

// backlog is how far the packets of one user are out of step at most.
const backlog media.Time = 5_000_000

// userAudio decides when a user's stream of sound begins and ends; a soundPipe
// makes its packets.
//
// A stream begins with the first packet of an unmuted track. While the user is
// in the room and not muted, what is missing is silence. Muted or unpublished
// sound is padded with up to 15 s of silence, then the stream ends; if it comes
// back before, it is the same stream. A user who leaves ends it at once.
type userAudio struct {
	p      *userStreams
	live   map[string]*channel.Track // unmuted tracks
	pipe   soundPipe                 // nil: no stream
	ending bool
	until  media.Time // when a stream that is ending ends

	pictures media.Codec // of the user's newest video track
	decided  bool        // the first container is settled
	held     []channel.Media

	channels int // of sound that is transcoded: two once the user has sent stereo
	aac      *ts.Writer
	original *ts.Writer // Opus
	config   []byte     // AudioSpecificConfig of what is encoded
	broken   bool       // told that sound cannot be transcoded
}

// soundPipe turns the packets of a stream into those of its slices.
type soundPipe interface {
	push(t *channel.Track, u media.Unit) error
	// drop forgets a track.
	drop(id string)
	// advance writes everything before to; what comes later for a time before is lost.
	advance(to media.Time) error
	// tail is where what was pushed ends.
	tail() media.Time
	// end writes up to at and closes the slice; final also ends the playlist.
	end(at media.Time, final bool) error
	// release frees what the pipe holds, without writing.
	release()
}

func newUserAudio(p *userStreams) *userAudio {
	return &userAudio{
		p: p, live: map[string]*channel.Track{},
		decided:  p.m.plan.StreamMode != session.StreamStandard || !p.m.plan.Streams.Video(),
		channels: 1, aac: aacWriter(1),
		original: ts.New(ts.Config{Audio: true, AudioCodec: media.Opus, Channels: 2}),
	}
}

func aacWriter(channels int) *ts.Writer {
	return ts.New(ts.Config{Audio: true, SampleRate: codec.OpusRate, Channels: channels})
}

// started takes note of a track that sends from a time on. Video tracks matter
// for their codec only.
func (a *userAudio) started(t *channel.Track, at media.Time) error {
	if t.Codec.Video() {
		return a.seen(t.Codec)
	}
	if !a.p.m.plan.Streams.Audio() {
		return nil
	}
	a.live[t.ID] = t
	// Whoever works off a backlog may get here before advance did.
	if a.pipe != nil && a.ending && at >= a.until {
		return a.end(a.until, false)
	}
	a.ending = false
	return nil
}

// seen takes note of the codec of the user's pictures. In standard mode sound
// goes into the same kind of container (files.md 5.4).
func (a *userAudio) seen(c media.Codec) error {
	before := a.webm()
	a.pictures = c
	if a.pipe != nil && a.webm() != before {
		if err := a.end(a.pipe.tail(), false); err != nil {
			return err
		}
	}
	return a.decide()
}

// webm reports whether the user's sound goes into WebM.
func (a *userAudio) webm() bool {
	if a.p.m.plan.StreamMode != session.StreamStandard {
		return false
	}
	return a.pictures == media.VP8 || a.pictures == media.VP9 && a.p.m.raw()
}

// passed reports whether sound is not transcoded.
func (a *userAudio) passed() bool {
	return a.p.m.plan.StreamMode == session.StreamOriginal && a.p.m.plan.Streams == session.AudioOnly
}

// decide settles the first container and takes the packets that waited for it.
func (a *userAudio) decide() error {
	if a.decided {
		return nil
	}
	a.decided = true
	held := a.held
	a.held = nil
	for _, m := range held {
		if err := a.write(m.Track, m.Unit); err != nil {
			return err
		}
	}
	return nil
}

// stopped takes note that a track was muted at a time, or is gone.
func (a *userAudio) stopped(t *channel.Track, at media.Time, gone bool) {
	delete(a.live, t.ID)
	if a.pipe == nil {
		return
	}
	if gone {
		a.pipe.drop(t.ID)
	}
	if len(a.live) == 0 && !a.ending {
		a.ending, a.until = true, at+padding
		if a.passed() {
			a.until = at
		}
	}
}

// left ends the stream where the user's last packet ends.
func (a *userAudio) left() error {
	err := a.decide()
	clear(a.live)
	if err != nil || a.pipe == nil {
		return err
	}
	return a.end(a.pipe.tail(), false)
}

// push takes a packet.
func (a *userAudio) push(t *channel.Track, u media.Unit) error {
	switch {
	case a.live[t.ID] == nil:
		return nil // muted, or not wanted
	case !a.decided:
		a.held = append(a.held, channel.Media{Track: t, Unit: u})
		return nil
	}
	return a.write(t, u)
}

func (a *userAudio) write(t *channel.Track, u media.Unit) error {
	if err := a.widen(u); err != nil {
		return err
	}
	if a.pipe == nil && !a.begin(u) {
		return nil
	}
	// In a backlog the packets run ahead of advance, and a pipe takes them only
	// so far ahead.
	if err := a.pipe.advance(min(u.PTS-backlog, a.p.m.out.Clock().Now()-holdback)); err != nil {
		return err
	}
	return a.pipe.push(t, u)
}

// widen goes on in stereo with the first packet that is: behind a discontinuity,
// as decoders want it, and for good, since encoders send mono wherever both
// channels are alike. In raw mode sound is mono.
func (a *userAudio) widen(u media.Unit) error {
	if a.channels == 2 || opusChannels(u.Data) == 1 || a.p.m.raw() || a.webm() || a.passed() {
		return nil
	}
	a.channels, a.aac = 2, aacWriter(2)
	if a.pipe == nil {
		return nil
	}
	return a.end(a.pipe.tail(), false)
}

// begin starts a stream with u and reports whether that is possible.
func (a *userAudio) begin(u media.Unit) bool {
	a.ending = false
	switch {
	case a.webm():
		a.pipe = newOpusPipe(a.p, &webmSound{channels: opusChannels(u.Data)}, u)
		return true
	case a.passed():
		a.pipe = newOpusPipe(a.p, tsSound{a.original}, u)
		return true
	}
	pipe, err := a.encoded(u)
	if err == nil {
		a.pipe = pipe
		return true
	}
	if !a.broken {
		a.broken = true
		a.p.log.Error("a user's sound is not recorded: no AAC encoder", "err", err)
		a.p.gap("sound is not recorded: no AAC encoder")
	}
	return false
}

// encoded makes the pipe for sound that is transcoded, in raw mode into the files
// of the pictures.
func (a *userAudio) encoded(first media.Unit) (*aacPipe, error) {
	switch {
	case a.p.m.raw() && a.p.m.plan.MP3:
		return newMP3Pipe(a.p, &mp3File{p: a.p}, first)
	case a.p.merged != nil:
		return newAACPipe(a.p, a.p.merged, 1, first)
	}
	return newAACPipe(a.p, &soundSlices{p: a.p, w: tsSound{a.aac}}, a.channels, first)
}

// advance writes what is due and ends a stream whose padding is over.
func (a *userAudio) advance(to media.Time) error {
	if len(a.held) > 0 && to+holdback-a.held[0].Unit.PTS > holdFirst {
		if err := a.decide(); err != nil {
			return err
		}
	}
	switch {
	case a.pipe == nil:
		return nil
	case a.ending && to >= a.until:
		return a.end(a.until, false)
	}
	return a.pipe.advance(to)
}

// finish writes up to end and closes the playlist.
func (a *userAudio) finish(end media.Time) error {
	if err := a.decide(); err != nil || a.pipe == nil {
		return err
	}
	if a.ending {
		end = min(end, a.until)
	}
	return a.end(end, true)
}

func (a *userAudio) end(at media.Time, final bool) error {
	pipe := a.pipe
	a.pipe, a.ending = nil, false
	defer pipe.release()
	return pipe.end(at, final)
}

// release frees the codecs when the user's goroutine ends.
func (a *userAudio) release() {
	if a.pipe != nil {
		a.pipe.release()
		a.pipe = nil
	}
}

// soundSink takes the packets of a stream of sound.
type soundSink interface {
	// put takes the packet that begins at a time.
	put(at media.Time, packet []byte) error
	// close ends the stream at a time; final also ends the playlist.
	close(at media.Time, final bool) error
}

// soundSlices cuts a stream of packets into slices.
type soundSlices struct {
	p     *userStreams
	w     soundWriter
	slice *Slice
	begun bool // the stream has had a slice
}

// put writes the packet that begins at a time.
func (s *soundSlices) put(at media.Time, packet []byte) error {
	if s.slice != nil && at-s.slice.Start() >= s.p.sliceLength() {
		if err := s.close(at, false); err != nil {
			return err
		}
	}
	if s.slice == nil {
		if err := s.open(at); err != nil {
			return err
		}
	}
	return s.w.write(at, packet)
}

func (s *soundSlices) open(at media.Time) error {
	index := s.p.index(typeAudio)
	first := !s.begun || index.Fresh()
	var tags []string
	if first {
		tags = index.StartTags(at)
	}
	slice, err := index.Begin(at, s.w.ext(), tags)
	if err != nil {
		return err
	}
	s.slice, s.begun = slice, true
	if err := s.w.begin(slice, first); err != nil {
		return err
	}
	return s.p.joint.quiet(slice)
}

// close ends the slice at a time.
func (s *soundSlices) close(at media.Time, final bool) error {
	if s.slice == nil {
		return nil
	}
	slice := s.slice
	s.slice = nil
	dur := at - slice.Start()
	if err := s.w.end(dur); err != nil {
		return err
	}
	if final {
		return slice.CloseLast(dur)
	}
	return slice.Close(dur)
}
