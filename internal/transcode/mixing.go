package transcode

import (
	"iter"

	"tapedeck/internal/media"
	"tapedeck/internal/media/codec"
	"tapedeck/internal/media/mix"
)

// voice is one user's sound on its way into a mix.
type voice struct {
	next func() (unit, error, bool)
	stop func()
	u    unit
	ok   bool

	src      *mix.Source
	channels int // of the mix
	opus     *codec.OpusDecoder
	ears     int // channels of the Opus decoder
	aac      *codec.AACDecoder
	form     int        // channels of the AAC
	end      media.Time // where the last unit ended
	buf      []float32
}

// mixed yields the sound of some users together, n samples a channel at a
// time, from the recording's start to its end. What is yielded is valid until
// the next turn.
func (r *Recording) mixed(users []*User, channels, n int, done func(int64)) iter.Seq2[[]float32, error] {
	return func(yield func([]float32, error) bool) {
		m := mix.New(channels, r.start.Samples48k())
		var voices []*voice
		defer func() {
			for _, v := range voices {
				v.close()
			}
		}()
		for _, u := range users {
			v := &voice{channels: channels, src: m.Add()}
			v.next, v.stop = iter.Pull2(r.units(u.Sound, false, done))
			voices = append(voices, v)
		}
		out := make([]float32, n*channels)
		for end := r.end.Samples48k(); m.Pos() < end; {
			if err := fill(voices, media.FromSamples48k(m.Pos()+int64(n))); err != nil {
				yield(nil, err)
				return
			}
			m.Read(out)
			if !yield(out, nil) {
				return
			}
		}
	}
}

// ahead is how much sound is decoded before it is due: what the mixer's
// alignment may reach for.
const ahead media.Time = 250_000

// fill pushes everything that is due before t into the mix.
func fill(voices []*voice, t media.Time) error {
	for _, v := range voices {
		for {
			if !v.ok {
				u, err, more := v.next()
				if err != nil {
					return err
				}
				if !more {
					break
				}
				v.u, v.ok = u, true
			}
			if v.u.at >= t+ahead {
				break
			}
			v.push()
			v.ok = false
		}
	}
	return nil
}

// push decodes one unit. What cannot be decoded is left out: it is a gap.
func (v *voice) push() {
	u := v.u
	if gap := u.at - v.end; gap > 50_000 || gap < -50_000 {
		v.reset() // what was before must not ring on
	}
	var pcm []float32
	switch u.codec {
	case media.Opus:
		pcm = v.decodeOpus(u.data)
	case media.AAC:
		pcm = v.decodeAAC(u)
	}
	v.end = u.at
	if len(pcm) > 0 {
		v.src.Push(u.at, pcm)
		v.end += media.FromSamples48k(int64(len(pcm) / v.channels))
	}
}

// decodeOpus decodes mono as mono, which is most of what people send and half
// the work.
func (v *voice) decodeOpus(packet []byte) []float32 {
	if n := min(opusChannels(packet), v.channels); v.opus == nil || n > v.ears {
		v.reset()
		d, err := codec.NewOpusDecoder(n)
		if err != nil {
			return nil
		}
		v.opus, v.ears = d, n
	}
	pcm, err := v.opus.Decode(packet)
	if err != nil {
		return nil
	}
	return v.fit(pcm, v.ears)
}

func (v *voice) decodeAAC(u unit) []float32 {
	if u.rate != mix.Rate || u.channels < 1 || u.channels > 2 {
		return nil
	}
	if v.aac == nil || v.form != u.channels {
		v.reset()
		// AAC LC, 48 kHz (ISO/IEC 14496-3 1.6.2.1).
		d, err := codec.NewAACDecoder([]byte{0x11, 0x80 | byte(u.channels)<<3})
		if err != nil {
			return nil
		}
		v.aac, v.form = d, u.channels
	}
	s, err := v.aac.Decode(u.data)
	if err != nil || s.Rate != mix.Rate {
		return nil
	}
	return v.fit(s.PCM, s.Channels)
}

// fit brings sound to the channels of the mix.
func (v *voice) fit(pcm []float32, channels int) []float32 {
	if channels == v.channels {
		return pcm
	}
	switch channels {
	case 1:
		v.buf = v.buf[:0]
		for _, x := range pcm {
			v.buf = append(v.buf, x, x)
		}
		return v.buf
	case 2:
		v.buf = v.buf[:0]
		for i := 0; i+1 < len(pcm); i += 2 {
			v.buf = append(v.buf, (pcm[i]+pcm[i+1])/2)
		}
		return v.buf
	}
	return nil
}

func (v *voice) reset() {
	if v.opus != nil {
		v.opus.Close()
		v.opus = nil
	}
	if v.aac != nil {
		v.aac.Close()
		v.aac = nil
	}
}

func (v *voice) close() {
	v.stop()
	v.reset()
}
