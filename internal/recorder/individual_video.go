package recorder

import (
	"slices"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/playlist"
)

const (
	// interrupted is how long a stream may be silent before its slice ends and
	// what follows counts as a new stream.
	interrupted media.Time = 10_000_000

	// A slice that no key frame ends is cut here (files.md 5.1), H.264 only.
	forcedLength media.Time = 330_000_000
	forcedBytes  int64      = 50 << 20

	// keyInterval lies between two requests for a key frame.
	keyInterval media.Time = 1_000_000

	// leastStep is how long a picture is shown before one of another size.
	leastStep media.Time = 10_000

	// stepsKept is how many frame intervals the usual one is taken from.
	stepsKept = 31
)

// userVideo writes one user's pictures as they come. A user has one video
// stream in the files: the camera, or a shared screen while there is no camera.
type userVideo struct {
	p       *userStreams
	writers map[media.Codec]videoWriter

	live    map[string]*channel.Track // tracks that send
	current *channel.Track            // the one that is recorded
	refused map[string]bool           // tracks that were told about as not recorded

	writer  videoWriter
	slice   *Slice
	codec   media.Codec
	w, h    int
	last    media.Time // PTS of the newest unit
	steps   []media.Time
	waiting bool       // nothing is written before a key frame
	asked   media.Time // when a key frame was last asked for
	resumed bool       // the next slice follows an interruption

	lost, dropped int // packets and units, since the last note
}

// videoWriter puts units into a slice's container.
type videoWriter interface {
	// ext is the slice's file name extension.
	ext() string
	// begin opens the container; u is the key frame, or forced cut, that comes first.
	begin(s *Slice, u media.Unit, w, h int, discontinuity bool) error
	write(u media.Unit) error
	// end completes the container of a slice of length dur.
	end(dur media.Time) error
}

func newUserVideo(p *userStreams) *userVideo {
	return &userVideo{
		p: p, writers: map[media.Codec]videoWriter{}, live: map[string]*channel.Track{},
		refused: map[string]bool{}, waiting: true, resumed: true, asked: -keyInterval, last: -1 << 62,
	}
}

// started takes note of a track that sends from now on.
func (v *userVideo) started(t *channel.Track) {
	if !v.p.m.plan.Streams.Video() {
		return
	}
	v.live[t.ID] = t
	if !v.p.m.plan.LowStream {
		v.p.m.src.SetSize(t, 0, 0)
	}
}

// stopped ends the stream if t was the one recorded: it was muted, or is gone.
func (v *userVideo) stopped(t *channel.Track, gone bool) error {
	delete(v.live, t.ID)
	if gone {
		delete(v.refused, t.ID)
	}
	if v.current != t {
		return nil
	}
	return v.interrupt()
}

// left ends everything: the user is gone.
func (v *userVideo) left() error {
	clear(v.live)
	clear(v.refused)
	return v.interrupt()
}

// interrupt ends the stream; another track, or this one later, may follow.
func (v *userVideo) interrupt() error {
	v.current = nil
	v.waiting, v.resumed = true, true
	return v.close(v.last+v.usual(), false)
}

// advance ends the slice of a stream that has been silent for too long.
func (v *userVideo) advance(now media.Time) error {
	if v.slice == nil || now-v.last <= interrupted {
		return nil
	}
	return v.interrupt()
}

// finish closes the slice and the playlist.
func (v *userVideo) finish() error { return v.close(v.last+v.usual(), true) }

// choose reports whether units of t are recorded.
func (v *userVideo) choose(t *channel.Track, u media.Unit) (bool, error) {
	if v.live[t.ID] == nil {
		return false, nil // muted, or not wanted
	}
	switch {
	case v.current == t:
		return true, nil
	case v.current == nil:
	case t.Kind == channel.Camera && v.current.Kind != channel.Camera && u.Key:
		v.note(v.current)
		if err := v.interrupt(); err != nil {
			return false, err
		}
	default:
		v.note(t)
		return false, nil
	}
	v.current = t
	v.asked = -keyInterval
	return true, nil
}

// note tells once that a track is not recorded beside another.
func (v *userVideo) note(t *channel.Track) {
	if !v.refused[t.ID] {
		v.refused[t.ID] = true
		v.p.log.Warn("a user's second video is not recorded while the first is: an individual recording has one per user", "track", t.ID)
		v.p.gap("a second video track is not recorded while the first is")
	}
}

// push writes a unit of a track.
func (v *userVideo) push(t *channel.Track, u media.Unit) error {
	if mine, err := v.choose(t, u); !mine || err != nil {
		return err
	}
	v.lost += u.Gap
	if u.Gap > 0 && !u.Key {
		v.waiting = true // what follows refers to pictures that are missing
	}
	if v.waiting && !u.Key || u.PTS <= v.last {
		v.waiting = true
		v.dropped++
		v.ask(u.PTS)
		return nil
	}
	if v.slice != nil && u.PTS-v.last > interrupted {
		if err := v.interrupt(); err != nil {
			return err
		}
		v.current = t
		if !u.Key {
			v.dropped++
			v.ask(u.PTS)
			return nil
		}
	}
	if v.slice != nil {
		// A server that switches layers can send two pictures for one instant. A
		// slice between them would have no length.
		if v.resized(u) {
			u.PTS = max(u.PTS, v.last+leastStep)
		}
		v.step(u.PTS - v.last)
	}
	if err := v.cut(u); err != nil {
		return err
	}
	v.waiting, v.last = false, u.PTS
	if v.slice == nil {
		return nil // a codec without a file format
	}
	return v.writer.write(u)
}

// ask requests a key frame, at most one a second.
func (v *userVideo) ask(now media.Time) {
	if now-v.asked >= keyInterval {
		v.asked = now
		v.p.m.src.RequestKey(v.current)
	}
}

// step keeps a frame interval.
func (v *userVideo) step(d media.Time) {
	if len(v.steps) == stepsKept {
		v.steps = v.steps[:copy(v.steps, v.steps[1:])]
	}
	v.steps = append(v.steps, d)
}

// usual is the median of the latest frame intervals: how long a last frame lasts.
func (v *userVideo) usual() media.Time {
	if len(v.steps) == 0 {
		return 33_333
	}
	s := slices.Clone(v.steps)
	slices.Sort(s)
	return s[len(s)/2]
}

// resized reports whether u begins a picture of another size.
func (v *userVideo) resized(u media.Unit) bool {
	return u.Key && u.W > 0 && (u.W != v.w || u.H != v.h)
}

// cut begins a slice with u where one is due.
func (v *userVideo) cut(u media.Unit) error {
	resized := v.resized(u)
	switch {
	case v.slice == nil:
	case u.Codec != v.codec, resized:
	default:
		age := u.PTS - v.slice.Start()
		forced := u.Codec == media.H264 && (age >= forcedLength || v.slice.Size() >= forcedBytes)
		if age < v.p.sliceLength() && !forced {
			return nil
		}
		if !u.Key && !forced {
			v.ask(u.PTS)
			return nil
		}
	}
	if u.W > 0 {
		v.w, v.h = u.W, u.H
	}
	if err := v.close(u.PTS, false); err != nil {
		return err
	}
	return v.open(u, resized)
}

// open begins a slice with u.
func (v *userVideo) open(u media.Unit, resized bool) error {
	w, err := v.container(u)
	if w == nil || err != nil {
		return err
	}
	index := v.p.index(typeVideo)
	changed := resized || u.Codec != v.codec
	fresh := index.Fresh()
	var tags []string
	switch {
	case v.resumed:
		tags = index.StartTags(u.PTS)
	case changed:
		tags = []string{playlist.Discontinuity()}
	}
	if fresh || v.resumed || changed {
		tags = append(tags, playlist.Rotate(v.w, v.h, 0, v.p.m.out.At(u.PTS)))
	}
	s, err := index.Begin(u.PTS, w.ext(), tags)
	if err != nil {
		return err
	}
	v.writer, v.slice, v.codec = w, s, u.Codec
	discontinuity := fresh || v.resumed || changed
	v.resumed = false
	return w.begin(s, u, v.w, v.h, discontinuity)
}

// container returns the writer for u's codec, nil if there is none.
func (v *userVideo) container(u media.Unit) (videoWriter, error) {
	if w, ok := v.writers[u.Codec]; ok {
		return w, nil
	}
	w := newVideoWriter(u.Codec, v.p.m.plan.StreamMode)
	v.writers[u.Codec] = w
	if w == nil {
		v.p.log.Error("a user's video is not recorded: its codec has no file format here; let senders use H.264 or VP8", "codec", u.Codec.String())
		v.p.gap("video in %s is not recorded", u.Codec)
	}
	return w, nil
}

// close ends the slice at time end; final also ends the playlist.
func (v *userVideo) close(end media.Time, final bool) error {
	v.report()
	if v.slice == nil {
		return nil
	}
	s := v.slice
	v.slice = nil
	dur := end - s.Start()
	if err := v.writer.end(dur); err != nil {
		return err
	}
	if final {
		return s.CloseLast(dur)
	}
	return s.Close(dur)
}

// report notes what was lost since the last time.
func (v *userVideo) report() {
	if v.lost+v.dropped == 0 {
		return
	}
	v.p.gap("video: %d packets lost, %d frames dropped until a key frame", v.lost, v.dropped)
	v.lost, v.dropped = 0, 0
}

// codecs returns the codec of the pictures in WebM slices for an MPD.
func (v *userVideo) codecs() string {
	switch v.codec {
	case media.VP9:
		return "vp09.00.31.08"
	case media.AV1:
		return "av01.0.04M.08"
	}
	return "vp8"
}
