package transcode

import (
	"fmt"
	"iter"

	"tapedeck/internal/media"
	"tapedeck/internal/media/codec"
	"tapedeck/internal/media/mix"
)

// frame is one AAC frame. at counts samples at 48 kHz from the start of the
// output; the first may be negative.
type frame struct {
	at   int64
	data []byte
}

// soundTrack is the sound of one output: frames without gaps from its start
// to its end.
type soundTrack struct {
	channels int
	config   []byte // AudioSpecificConfig
	frames   iter.Seq2[frame, error]
}

// Rates of AAC that is made here, bit/s, as the recorder's own.
const (
	monoRate   = 48_000
	stereoRate = 96_000
)

// sampleOf converts a time on the timeline to samples of the output.
func (r *Recording) sampleOf(t media.Time) int64 { return (t - r.start).Samples48k() }

// sound prepares one user's sound: kept as it is when all of it is AAC of one
// form at 48 kHz, made anew otherwise. Without sound it is nil.
func (r *Recording) sound(u *User, done func(int64)) (*soundTrack, error) {
	form, kept, err := r.soundForm(u)
	if err != nil || form.channels == 0 {
		return nil, err
	}
	silent, config, err := silentFrame(form.channels)
	if err != nil {
		return nil, err
	}
	t := &soundTrack{channels: form.channels, config: config}
	if kept {
		t.frames = r.keepSound(u, silent, done)
		return t, nil
	}
	t.frames = r.encodeSound([]*User{u}, form.channels, done)
	return t, nil
}

// soundForm looks at the first unit of every slice.
func (r *Recording) soundForm(u *User) (form unit, kept bool, err error) {
	kept = true
	for _, s := range u.Sound {
		var first unit
		for x, err := range r.units([]Slice{s}, false, func(int64) {}) {
			if err != nil {
				return form, false, err
			}
			first = x
			break
		}
		if first.codec == media.Unknown {
			continue
		}
		if first.codec == media.Opus {
			first.channels = opusChannels(first.data)
		}
		if first.codec != media.AAC || first.rate != mix.Rate || form.channels != 0 && form.channels != first.channels {
			kept = false
		}
		first.channels = min(max(first.channels, form.channels, 1), 2)
		form = first
	}
	return form, kept, nil
}

// opusChannels reads the stereo flag of a packet (RFC 6716, 3.1).
func opusChannels(packet []byte) int {
	if len(packet) > 0 && packet[0]&4 != 0 {
		return 2
	}
	return 1
}

func rateOf(channels int) int {
	if channels == 2 {
		return stereoRate
	}
	return monoRate
}

// silentFrame encodes silence.
func silentFrame(channels int) (data, config []byte, err error) {
	e, err := codec.NewAACEncoder(mix.Rate, channels, rateOf(channels))
	if err != nil {
		return nil, nil, err
	}
	defer e.Close()
	zeros := make([]float32, codec.AACFrame*channels)
	for range 8 {
		frames, err := e.Encode(zeros)
		if err != nil {
			return nil, nil, err
		}
		if len(frames) > 0 {
			data = frames[len(frames)-1]
		}
	}
	if data == nil {
		return nil, nil, fmt.Errorf("transcode: the AAC encoder gave no frame")
	}
	return data, e.Config(), nil
}

// keepSound yields the frames as they are, on a grid that the first one fixes
// exactly; a later one is moved by half a frame, 11 ms, at most. Gaps are
// silence.
func (r *Recording) keepSound(u *User, silent []byte, done func(int64)) iter.Seq2[frame, error] {
	const n, half = codec.AACFrame, codec.AACFrame / 2
	return func(yield func(frame, error) bool) {
		end := r.sampleOf(r.end)
		next, begun := int64(0), false
		for x, err := range r.units(u.Sound, false, done) {
			if err != nil {
				yield(frame{}, err)
				return
			}
			at := r.sampleOf(x.at)
			if !begun {
				begun = true
				if next = at % n; next > 0 {
					next -= n
				}
			}
			if at < next-half || at >= end+half {
				continue // its place is taken, or lies behind everything
			}
			for ; at >= next+half; next += n {
				if !yield(frame{next, silent}, nil) {
					return
				}
			}
			if !yield(frame{next, x.data}, nil) {
				return
			}
			next += n
		}
		for ; next < end; next += n {
			if !yield(frame{next, silent}, nil) {
				return
			}
		}
	}
}

// encodeSound decodes, mixes and encodes the sound of some users.
func (r *Recording) encodeSound(users []*User, channels int, done func(int64)) iter.Seq2[frame, error] {
	return func(yield func(frame, error) bool) {
		e, err := codec.NewAACEncoder(mix.Rate, channels, rateOf(channels))
		if err != nil {
			yield(frame{}, err)
			return
		}
		defer e.Close()
		at := -int64(e.Priming())
		put := func(frames [][]byte, err error) bool {
			for _, f := range frames {
				if !yield(frame{at, f}, nil) {
					return false
				}
				at += codec.AACFrame
			}
			if err != nil {
				yield(frame{}, err)
			}
			return err == nil
		}
		for pcm, err := range r.mixed(users, channels, codec.AACFrame, done) {
			if err != nil {
				yield(frame{}, err)
				return
			}
			if !put(e.Encode(pcm)) {
				return
			}
		}
		put(e.Flush())
	}
}
