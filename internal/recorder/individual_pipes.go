package recorder

import (
	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/media/codec"
	"tapedeck/internal/media/mix"
)

// aacBitrate is that of one channel of a user's transcoded sound. Both statements
// of files.md 6.1 hold: a voice, which is sent in mono, has 48 kbit/s, and sound
// has as many channels as its source.
const aacBitrate = 48_000 // bit/s

// aacPipe decodes all tracks of a user, adds them up on the timeline and
// encodes AAC.
type aacPipe struct {
	p      *userStreams
	slices soundSink
	mixer  *mix.Mixer
	voices map[string]*mixVoice
	enc    soundEncoder
	pcm    []float32 // one frame, interleaved
	size   int       // samples of a frame
	wide   int       // channels
	start  int64     // position of the first encoded frame, priming included
	frames int64     // encoded so far
}

// soundEncoder is one of package codec's.
type soundEncoder interface {
	Encode(pcm []float32) ([][]byte, error)
	Flush() ([][]byte, error)
	Priming() int
	Close()
}

func newAACPipe(p *userStreams, sink soundSink, channels int, first media.Unit) (*aacPipe, error) {
	enc, err := codec.NewAACEncoder(mix.Rate, channels, channels*aacBitrate)
	if err != nil {
		return nil, err
	}
	p.audio.config = enc.Config()
	return newEncodedPipe(p, sink, enc, codec.AACFrame, channels, first), nil
}

// newMP3Pipe is newAACPipe for MP3.
func newMP3Pipe(p *userStreams, sink soundSink, first media.Unit) (*aacPipe, error) {
	enc, err := codec.NewMP3Encoder(mix.Rate, 1, mp3Bitrate)
	if err != nil {
		return nil, err
	}
	return newEncodedPipe(p, sink, enc, enc.FrameSize(), 1, first), nil
}

func newEncodedPipe(p *userStreams, sink soundSink, enc soundEncoder, size, channels int, first media.Unit) *aacPipe {
	// On a multiple of eight samples every frame begins on a whole 90 kHz tick.
	start := first.PTS.Samples48k() &^ 7
	return &aacPipe{
		p: p, slices: sink, mixer: mix.New(channels, start), voices: map[string]*mixVoice{},
		enc: enc, pcm: make([]float32, size*channels), size: size, wide: channels, start: start - int64(enc.Priming()),
	}
}

func (a *aacPipe) push(t *channel.Track, u media.Unit) error {
	v := a.voices[t.ID]
	if v == nil {
		dec, err := codec.NewOpusDecoder(a.wide)
		if err != nil {
			a.p.log.Error("no decoder for a user's sound", "err", err)
			return nil
		}
		v = &mixVoice{uid: a.p.uid, dec: dec, src: a.mixer.Add()}
		a.voices[t.ID] = v
	}
	v.push(u)
	return nil
}

func (a *aacPipe) drop(id string) {
	if v := a.voices[id]; v != nil {
		delete(a.voices, id)
		v.close(a.p.m.out)
	}
}

func (a *aacPipe) advance(to media.Time) error {
	for limit := to.Samples48k(); a.mixer.Pos()+int64(a.size) <= limit; {
		if err := a.frame(); err != nil {
			return err
		}
	}
	return nil
}

// frame encodes the next frame.
func (a *aacPipe) frame() error {
	a.mixer.Read(a.pcm)
	out, err := a.enc.Encode(a.pcm)
	if err != nil {
		return err
	}
	return a.put(out)
}

func (a *aacPipe) put(frames [][]byte) error {
	for _, f := range frames {
		at := a.position()
		a.frames++
		if err := a.slices.put(at, f); err != nil {
			return err
		}
	}
	return nil
}

// position is where the next encoded frame begins.
func (a *aacPipe) position() media.Time {
	return media.FromSamples48k(a.start + a.frames*int64(a.size))
}

func (a *aacPipe) tail() media.Time { return media.FromSamples48k(a.mixer.End()) }

func (a *aacPipe) end(at media.Time, final bool) error {
	for limit := at.Samples48k(); a.mixer.Pos() < limit; {
		if err := a.frame(); err != nil {
			return err
		}
	}
	if a.frames > 0 {
		out, err := a.enc.Flush()
		if err != nil {
			return err
		}
		if err := a.put(out); err != nil {
			return err
		}
	}
	return a.slices.close(a.position(), final)
}

func (a *aacPipe) release() {
	for id := range a.voices {
		a.drop(id)
	}
	a.enc.Close()
}

// opusSilence is one packet of 20 ms of silence (RFC 6716: CELT, full band).
func opusSilence() []byte { return []byte{0xF8, 0xFF, 0xFE} }

// opusStep is the length of opusSilence.
const opusStep media.Time = 20_000

// opusChannels tells mono from stereo by a packet's first byte (RFC 6716 3.1).
func opusChannels(packet []byte) int {
	if len(packet) > 0 && packet[0]&4 != 0 {
		return 2
	}
	return 1
}

// opusPipe hands Opus packets on as they came, one track at a time, and fills
// holes with silent packets.
type opusPipe struct {
	p      *userStreams
	slices soundSink
	track  string
	next   media.Time // where the last packet ends
	other  bool       // told about a second track
	late   int
}

func newOpusPipe(p *userStreams, w soundWriter, first media.Unit) *opusPipe {
	return &opusPipe{p: p, slices: &soundSlices{p: p, w: w}, next: first.PTS}
}

func (o *opusPipe) push(t *channel.Track, u media.Unit) error {
	if o.track == "" {
		o.track = t.ID
	}
	if o.track != t.ID {
		if !o.other {
			o.other = true
			o.p.log.Warn("a user's second sound is not recorded while the first is: sound that is not transcoded cannot be mixed", "track", t.ID)
			o.p.gap("a second audio track is not recorded while the first is")
		}
		return nil
	}
	n := codec.OpusSamples(u.Data)
	if n == 0 {
		return nil
	}
	if u.PTS < o.next-opusStep/2 {
		o.late++
		return nil
	}
	if err := o.advance(u.PTS); err != nil {
		return err
	}
	at := max(u.PTS, o.next)
	o.next = at + media.FromSamples48k(int64(n))
	return o.slices.put(at, u.Data)
}

func (o *opusPipe) drop(id string) {
	if o.track == id {
		o.track = ""
	}
}

// advance fills with silence up to a time.
func (o *opusPipe) advance(to media.Time) error {
	for o.next+opusStep <= to {
		at := o.next
		o.next += opusStep
		if err := o.slices.put(at, opusSilence()); err != nil {
			return err
		}
	}
	return nil
}

func (o *opusPipe) tail() media.Time { return o.next }

func (o *opusPipe) end(at media.Time, final bool) error {
	if err := o.advance(at); err != nil {
		return err
	}
	return o.slices.close(o.next, final)
}

func (o *opusPipe) release() {
	if o.late > 0 {
		o.p.gap("sound: %d packets came too late", o.late)
		o.late = 0
	}
}
