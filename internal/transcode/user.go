package transcode

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"tapedeck/internal/media/mix"
	"tapedeck/internal/media/mux/mp4"
	"tapedeck/internal/session"
)

// Progress is told how many bytes of the input have been worked on.
type Progress func(bytes int64)

// UserMP4 makes one user's MP4, as long as the whole recording: sound from the
// beginning to the end, silent where the user was not there; pictures when
// they came, the last one standing until the next. A user with nothing that can be
// used gives no file and no error.
func (r *Recording) UserMP4(ctx context.Context, u *User, name string, sink Sink, done Progress) (out *Output, err error) {
	sound, err := r.sound(u, done)
	if err != nil {
		return nil, err
	}
	video, err := r.video(u, done)
	if err != nil || sound == nil && video == nil {
		return nil, err
	}
	tmp, err := sink.Create(name + ".work")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sink.Discard(tmp)) }()
	if err := r.writeMP4(ctx, tmp, sound, video); err != nil {
		return nil, err
	}
	rotate := 0
	track := session.TrackAudio
	if video != nil {
		rotate, track = video.rotate, session.TrackVideo
	}
	if video != nil && sound != nil {
		track = session.TrackBoth
	}
	return r.publish(sink, name, tmp, Output{Kind: "mp4", Track: track, UID: u.UID}, rotate)
}

// publish copies a finished MP4 with its index in front to its final place.
func (r *Recording) publish(sink Sink, name string, tmp File, o Output, rotate int) (*Output, error) {
	f, err := sink.Create(name)
	if err != nil {
		return nil, err
	}
	if err := mp4.FastStart(f, tmp, rotate); err != nil {
		return nil, errors.Join(fmt.Errorf("transcode: %s: %w", name, err), sink.Discard(f))
	}
	o.Name, o.Start, o.Dur = name, r.Began().UnixMicro(), int64(r.Length())
	if err := sink.Commit(f, &o); err != nil {
		return nil, err
	}
	return &o, nil
}

// writeMP4 muxes both tracks in order of time.
func (r *Recording) writeMP4(ctx context.Context, f File, sound *soundTrack, video *pictureTrack) error {
	var vt *mp4.VideoTrack
	var at *mp4.AudioTrack
	nextPicture, nextFrame := none[picture], none[frame]
	if video != nil {
		vt = &mp4.VideoTrack{W: video.w, H: video.h, SPS: video.sps, PPS: video.pps}
		next, stop := iter.Pull2(video.frames)
		defer stop()
		nextPicture = next
	}
	if sound != nil {
		at = &mp4.AudioTrack{SampleRate: mix.Rate, Channels: sound.channels, Config: sound.config}
		next, stop := iter.Pull2(sound.frames)
		defer stop()
		nextFrame = next
	}
	w, err := mp4.New(f, vt, at)
	if err != nil {
		return fmt.Errorf("transcode: %w", err)
	}
	if err := merge(ctx, w, nextPicture, nextFrame); err != nil {
		return err
	}
	w.Hold(r.ticks(r.end))
	return w.Close()
}

func none[T any]() (v T, err error, ok bool) { return v, nil, false }

// merge writes pictures and frames of sound in order of time.
func merge(ctx context.Context, w *mp4.Writer, pictures func() (picture, error, bool), frames func() (frame, error, bool)) error {
	p, err, pok := pictures()
	if err != nil {
		return err
	}
	f, err, fok := frames()
	if err != nil {
		return err
	}
	for pok || fok {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if pok && (!fok || p.at*8 <= f.at*15) { // 90 kHz against 48 kHz
			if err := w.Video(p.at, p.key, p.data); err != nil {
				return fmt.Errorf("transcode: %w", err)
			}
			if p, err, pok = pictures(); err != nil {
				return err
			}
			continue
		}
		if err := w.Audio(f.at, f.data); err != nil {
			return fmt.Errorf("transcode: %w", err)
		}
		if f, err, fok = frames(); err != nil {
			return err
		}
	}
	return nil
}

// adts returns the seven bytes before a raw AAC LC frame (ISO/IEC 13818-7 6.2).
func adts(rate, channels, size int) []byte {
	index := map[int]byte{48000: 3, 32000: 5, 16000: 8}[rate]
	n := size + 7
	return []byte{
		0xFF, 0xF1, 1<<6 | index<<2 | byte(channels>>2), byte(channels&3)<<6 | byte(n>>11),
		byte(n >> 3), byte(n&7)<<5 | 0x1F, 0xFC,
	}
}
