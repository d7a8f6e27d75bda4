package transcode

import (
	"context"
	"errors"
	"fmt"

	"tapedeck/internal/media/codec"
	"tapedeck/internal/media/mix"
	"tapedeck/internal/media/mux/mp4"
	"tapedeck/internal/session"
)

// SoundForm is the form of one sound file (rest-api.md 3.11).
type SoundForm struct {
	Container  string // mp3, m4a, aac
	SampleRate int    // Hz: 48000, 32000, 16000
	Channels   int    // 1 or 2
	Bitrate    int    // bit/s
}

// encoder is what AAC and MP3 have in common.
type encoder interface {
	Encode(pcm []float32) ([][]byte, error)
	Flush() ([][]byte, error)
	Priming() int
	Close()
}

// AudioMix makes one sound file of all users on one timeline.
func (r *Recording) AudioMix(ctx context.Context, form SoundForm, name string, sink Sink, done Progress) (out *Output, err error) {
	enc, size, config, err := form.open()
	if err != nil {
		return nil, err
	}
	defer enc.Close()
	o := Output{Kind: form.Container, Track: session.TrackAudio, UID: "0"}
	if form.Container == "m4a" {
		tmp, err := sink.Create(name + ".work")
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, sink.Discard(tmp)) }()
		w, err := mp4.New(tmp, nil, &mp4.AudioTrack{SampleRate: form.SampleRate, Channels: form.Channels, Config: config})
		if err != nil {
			return nil, fmt.Errorf("transcode: %w", err)
		}
		at := -int64(enc.Priming())
		if err := r.encodeMix(ctx, form, enc, size, done, func(f []byte) error {
			err := w.Audio(at, f)
			at += int64(size)
			return err
		}); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, fmt.Errorf("transcode: %w", err)
		}
		return r.publish(sink, name, tmp, o, 0)
	}
	f, err := sink.Create(name)
	if err != nil {
		return nil, err
	}
	p := &plainFile{form: form, f: f}
	if err := errors.Join(r.encodeMix(ctx, form, enc, size, done, p.put), p.finish()); err != nil {
		return nil, errors.Join(err, sink.Discard(f))
	}
	o.Name, o.Start, o.Dur = name, r.Began().UnixMicro(), int64(r.Length())
	if err := sink.Commit(f, &o); err != nil {
		return nil, err
	}
	return &o, nil
}

// open makes the encoder, the samples a frame it takes and its configuration.
func (f SoundForm) open() (enc encoder, size int, config []byte, err error) {
	switch f.Container {
	case "mp3":
		e, err := codec.NewMP3Encoder(f.SampleRate, f.Channels, f.Bitrate)
		if err != nil {
			return nil, 0, nil, err
		}
		return e, e.FrameSize(), nil, nil
	case "m4a", "aac":
		e, err := codec.NewAACEncoder(f.SampleRate, f.Channels, f.Bitrate)
		if err != nil {
			return nil, 0, nil, err
		}
		return e, codec.AACFrame, e.Config(), nil
	}
	return nil, 0, nil, fmt.Errorf("transcode: sound files of the kind %q are not made", f.Container)
}

// plainFile is a sequence of frames.
type plainFile struct {
	form  SoundForm
	f     File
	head  []byte // MP3: the frame before the sound
	count uint32
	bytes uint32
}

func (p *plainFile) put(b []byte) error {
	switch {
	case p.form.Container == "aac":
		if _, err := p.f.Write(adts(p.form.SampleRate, p.form.Channels, len(b))); err != nil {
			return err
		}
	case p.count == 0:
		if p.head = infoFrame(b, 0, 0); p.head != nil {
			if _, err := p.f.Write(p.head); err != nil {
				return err
			}
		}
	}
	p.count++
	p.bytes += uint32(len(b))
	_, err := p.f.Write(b)
	return err
}

// finish fills in what only the end knows.
func (p *plainFile) finish() error {
	if len(p.head) == 0 {
		return nil
	}
	_, err := p.f.WriteAt(infoFrame(p.head, p.count, p.bytes), 0)
	return err
}

// encodeMix mixes everybody and hands the encoded frames on.
func (r *Recording) encodeMix(ctx context.Context, form SoundForm, enc encoder, size int, done Progress, put func([]byte) error) error {
	dec := newDecimator(form.SampleRate, form.Channels)
	var pending []float32
	n := size * form.Channels
	// Only M4A can say that a decoder has to throw the priming away. In the
	// others it takes the place of the first 20 to 25 ms, so that everything
	// after them stands at its time.
	skip := 0
	if form.Container != "m4a" {
		skip = enc.Priming() * form.Channels
	}
	feed := func(pcm []float32) error {
		drop := min(skip, len(pcm))
		skip -= drop
		pending = append(pending, pcm[drop:]...)
		for len(pending) >= n {
			frames, err := enc.Encode(pending[:n])
			if err != nil {
				return err
			}
			pending = pending[:copy(pending, pending[n:])]
			if err := all(frames, put); err != nil {
				return err
			}
		}
		return nil
	}
	for pcm, err := range r.mixed(r.Users, form.Channels, mix.Rate/50, done) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = feed(dec.push(pcm))
		}
		if err != nil {
			return err
		}
	}
	if err := feed(dec.flush()); err != nil {
		return err
	}
	if len(pending) > 0 {
		if err := feed(make([]float32, n-len(pending))); err != nil {
			return err
		}
	}
	frames, err := enc.Flush()
	if err != nil {
		return err
	}
	return all(frames, put)
}

func all(frames [][]byte, put func([]byte) error) error {
	for _, f := range frames {
		if err := put(f); err != nil {
			return fmt.Errorf("transcode: %w", err)
		}
	}
	return nil
}
