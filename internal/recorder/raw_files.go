package recorder

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/media/codec"
	"tapedeck/internal/media/mix"
	"tapedeck/internal/media/mux/h264"
	"tapedeck/internal/media/mux/mp4"
	"tapedeck/internal/media/mux/playlist"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

const (
	// An MP4 of raw mode ends at this length or size (files.md 5.5).
	rawLength = 2 * time.Hour
	rawBytes  = 2 << 30
)

// rawSlice returns the name of a slice in raw mode: the time stands before the codec.
func (n names) rawSlice(uid uint32, kind string, start time.Time, ext string) string {
	return n.user(uid, playlist.Stamp(start)) + "_" + kind + ext
}

// userFile opens a user's next file that is no slice, <…>__uid_e_<n>_<codec><ext>.
func (o *Output) userFile(uid uint32, codec, ext, track string, start media.Time) (*MP4, error) {
	o.mu.Lock()
	var name string
	for n := 0; ; n++ {
		if name = o.names.user(uid, strconv.Itoa(n)) + "_" + codec + ext; !o.begun[name] {
			break
		}
	}
	o.begun[name] = true
	o.mu.Unlock()
	m := &MP4{out: o, start: start, track: track, uid: uid}
	f := m.fact(name)
	f.Type = spool.FactBegun
	if err := o.append(f); err != nil {
		return nil, err
	}
	part, err := o.dir.CreatePart(name)
	if err != nil {
		return nil, err
	}
	m.Part = part
	return m, nil
}

// rawMP4 writes what a merger writes into MP4 files too. A nil *rawMP4 takes
// everything and writes nothing.
type rawMP4 struct {
	p     *userStreams
	file  *MP4
	mux   *mp4.Writer
	start media.Time
	video bool
	bytes int64
	end   media.Time
}

func (r *rawMP4) frame(u media.Unit) error {
	if r == nil {
		return nil
	}
	full := r.mux != nil && (u.PTS-r.start >= media.Time(rawLength.Microseconds()) || r.bytes >= rawBytes)
	if u.Key && (r.mux == nil || !r.video || full) {
		if err := r.open(u.PTS, &u); err != nil {
			return err
		}
	}
	if r.mux == nil || !r.video {
		return nil // until a key frame
	}
	r.bytes, r.end = r.bytes+int64(len(u.Data)), max(r.end, u.PTS)
	err := r.mux.Video((u.PTS - r.start).Ticks90k(), u.Key, u.Data)
	if !errors.Is(err, mp4.ErrFormat) {
		return err
	}
	if err := r.open(u.PTS, &u); err != nil {
		return err
	}
	return r.mux.Video(0, true, u.Data)
}

// sound takes a packet; next is the picture that comes at once, if there is one.
func (r *rawMP4) sound(s soundPacket, next *media.Unit) error {
	if r == nil {
		return nil
	}
	if r.mux == nil {
		if next != nil && !next.Key {
			next = nil
		}
		if err := r.open(s.at, next); err != nil {
			return err
		}
	}
	at := (s.at - r.start).Samples48k()
	if at < 0 {
		return nil // before the picture with which the file begins
	}
	r.bytes, r.end = r.bytes+int64(len(s.data)), max(r.end, s.at+media.FromSamples48k(codec.AACFrame))
	return r.mux.Audio(at, s.data)
}

// open begins the next file, with pictures like u if there is one.
func (r *rawMP4) open(at media.Time, u *media.Unit) (err error) {
	if err := r.close(at); err != nil {
		return err
	}
	audio := &mp4.AudioTrack{SampleRate: mix.Rate, Channels: 1, Config: r.p.audio.config}
	if len(audio.Config) == 0 {
		audio = nil // no sound was ever heard, and none may come into this file
	}
	var video *mp4.VideoTrack
	name, track := media.AAC, session.TrackAudio
	if u != nil {
		sps, pps := h264.ParameterSets(u.Data)
		video = &mp4.VideoTrack{W: u.W, H: u.H, SPS: sps, PPS: pps}
		name, track = media.H264, session.TrackBoth
	}
	r.file, err = r.p.m.out.userFile(r.p.uid, name.String(), extMP4, track, at)
	if err != nil {
		return err
	}
	r.start, r.video, r.bytes, r.end = at, u != nil, 0, at
	if r.mux, err = mp4.New(r.file, video, audio); err != nil {
		return fmt.Errorf("recorder: MP4 of user %d: %w", r.p.uid, err)
	}
	return nil
}

func (r *rawMP4) close(end media.Time) error {
	if r == nil || r.mux == nil {
		return nil
	}
	mux, file := r.mux, r.file
	r.mux, r.file = nil, nil
	if err := mux.Close(); err != nil {
		return err
	}
	return file.Close(max(end, r.end) - r.start)
}
