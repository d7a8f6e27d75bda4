package recorder

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/playlist"
	"tapedeck/internal/session"
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

	// sameInstant is how close two pictures of different sizes are that a server
	// sends for one instant when it switches layers.
	sameInstant media.Time = 10_000

	// leastStep is the least distance of two frames: what WebM can tell apart.
	leastStep media.Time = 1_000

	// stepsKept is how many frame intervals the usual one is taken from.
	stepsKept = 31
)

// userVideo is a lane: it writes the pictures of one track at a time as they
// come, one frame behind, so that a frame that another one replaces is never
// written.
type userVideo struct {
	p       *userStreams
	kind    string // in file names
	writers map[media.Codec]videoWriter
	track   *channel.Track // whose pictures these are, nil = nobody's

	held    *media.Unit // the newest frame, not yet written
	writer  videoWriter
	slice   *Slice
	codec   media.Codec
	w, h    int
	turn    int
	last    media.Time // PTS of the newest frame
	written media.Time // PTS of the newest frame in a file
	steps   []media.Time
	head    []byte     // that the playlist named last, of this or another container
	waiting bool       // nothing is taken before a key frame
	asked   media.Time // when a key frame was last asked for
	resumed bool       // the next slice follows an interruption

	lost, dropped int        // packets and units, since the last note
	missing       media.Time // since when pictures are missing
}

func newUserVideo(p *userStreams, kind string) *userVideo {
	return &userVideo{
		p: p, kind: kind, writers: map[media.Codec]videoWriter{},
		waiting: true, resumed: true, asked: -1 << 62, last: -1 << 62,
	}
}

// interrupt ends the stream; another track, or this one later, may follow.
func (v *userVideo) interrupt() error { return v.interruptBy(1 << 62) }

// interruptBy is interrupt where something else begins at a time.
func (v *userVideo) interruptBy(at media.Time) error {
	err := v.flush()
	v.waiting, v.resumed, v.asked = true, true, -1<<62
	if err != nil {
		return err
	}
	return v.close(max(v.written+leastStep, min(v.written+v.usual(), at)), false)
}

// advance writes a frame that nothing has replaced until now, and ends the slice
// of a stream that has been silent for too long.
func (v *userVideo) advance(now media.Time) error {
	if v.held != nil && v.held.PTS < now {
		if err := v.flush(); err != nil {
			return err
		}
	}
	if v.slice == nil || now-v.last <= interrupted {
		return nil
	}
	return v.interrupt()
}

// finish closes the slice and the playlist.
func (v *userVideo) finish() error {
	if err := v.flush(); err != nil {
		return err
	}
	return v.close(v.written+v.usual(), true)
}

// push takes a frame of the track.
func (v *userVideo) push(u media.Unit) error {
	v.lost += u.Gap
	if u.Gap > 0 {
		v.misses(u)
		v.waiting = v.waiting || !u.Key // what follows refers to pictures that are missing
	}
	if v.slice != nil && u.PTS-v.last > interrupted {
		if err := v.interrupt(); err != nil {
			return err
		}
	}
	if v.waiting && !u.Key {
		v.misses(u)
		v.dropped++
		v.ask(u.PTS)
		return nil
	}
	v.waiting = false
	v.report(u.PTS)
	if v.replaces(u) {
		u.PTS = max(u.PTS, v.held.PTS)
	} else {
		if err := v.flush(); err != nil {
			return err
		}
		if v.slice != nil || v.merged(u) && v.last > -1<<61 {
			u.PTS = max(u.PTS, v.last+leastStep)
			v.step(u.PTS - v.last)
		}
	}
	v.held, v.last = &u, u.PTS
	return nil
}

// replaces reports whether u shows the instant of the frame before in another
// size. A server that switches layers sends up to one picture of each for one
// instant; slices between them would have no length.
func (v *userVideo) replaces(u media.Unit) bool {
	if v.held == nil || !u.Key || u.PTS-v.held.PTS >= sameInstant {
		return false
	}
	w, h := v.held.W, v.held.H
	if w == 0 {
		w, h = v.w, v.h
	}
	return u.W != w || u.H != h
}

// flush writes the frame that is held.
func (v *userVideo) flush() error {
	if v.held == nil {
		return nil
	}
	u := *v.held
	v.held = nil
	if v.merged(u) {
		v.written, v.codec = u.PTS, u.Codec
		v.p.merged.picture(u)
		return nil
	}
	if u.Codec == media.VP8 || u.Codec == media.VP9 || v.p.m.raw() {
		v.p.webm = u.Codec
	}
	if err := v.cut(u); err != nil {
		return err
	}
	v.written = u.PTS
	if v.slice == nil {
		return nil // a codec without a file format
	}
	return v.writer.write(u)
}

// merged reports whether u goes into the user's merged files, in raw mode.
func (v *userVideo) merged(u media.Unit) bool {
	return v.p.merged != nil && v.kind == typeVideo && u.Codec == media.H264
}

// ask requests a key frame, at most one a second.
func (v *userVideo) ask(now media.Time) {
	if now-v.asked >= keyInterval {
		v.asked = now
		v.p.m.src.RequestKey(v.track)
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

// cut begins a slice with u where one is due (files.md 5.1).
func (v *userVideo) cut(u media.Unit) error {
	resized := u.Key && u.W > 0 && (u.W != v.w || u.H != v.h)
	changed := resized || u.Codec != v.codec
	switch {
	case v.slice == nil, changed:
	default:
		age := u.PTS - v.slice.Start()
		forced := u.Codec == media.H264 && (age >= forcedLength || v.slice.Size() >= forcedBytes)
		if age < v.p.sliceLength() && !forced {
			v.turned(u)
			return nil
		}
		if !u.Key && !forced {
			v.turned(u)
			if v.track != nil {
				v.ask(u.PTS)
			}
			return nil
		}
	}
	if u.W > 0 {
		v.w, v.h = u.W, u.H
	}
	if err := v.close(v.endBefore(u, changed), false); err != nil {
		return err
	}
	return v.open(u, changed)
}

// endBefore is where a slice ends that u follows. Slices of one stream are
// adjacent: where frames are missing between them, the last picture is held. At
// a discontinuity the slice is as long as what it holds.
func (v *userVideo) endBefore(u media.Unit, discontinuity bool) media.Time {
	if usual := v.usual(); discontinuity && u.PTS-v.written > 2*usual {
		return v.written + usual
	}
	return u.PTS
}

// turned tells in the slice's tags that its pictures are to be turned otherwise
// from u on: one slice may have several such tags.
func (v *userVideo) turned(u media.Unit) {
	if u.Key && u.Turn != v.turn {
		v.turn = u.Turn
		v.slice.Tag(playlist.Rotate(v.w, v.h, v.turn, v.p.m.out.At(u.PTS)))
	}
}

// open begins a slice with u.
func (v *userVideo) open(u media.Unit, changed bool) error {
	w, err := v.container(u)
	if w == nil || err != nil {
		return err
	}
	index := v.p.index(v.kind)
	fresh := index.Fresh()
	var tags []string
	switch {
	case v.resumed:
		tags = index.StartTags(u.PTS)
	case changed:
		tags = []string{playlist.Discontinuity()}
	}
	if u.Key && u.Turn != v.turn {
		v.turn = u.Turn
		changed = true
	}
	discontinuity := fresh || v.resumed || len(tags) > 0
	if discontinuity || changed {
		tags = append(tags, playlist.Rotate(v.w, v.h, v.turn, v.p.m.out.At(u.PTS)))
	}
	s, err := index.Begin(u.PTS, w.ext(), tags)
	if err != nil {
		return err
	}
	v.writer, v.slice, v.codec = w, s, u.Codec
	v.resumed = false
	if err := w.begin(s, u, v.w, v.h, discontinuity); err != nil {
		return err
	}
	if err := v.declare(s, w.head()); err != nil || v.kind != typeVideo {
		return err
	}
	return v.p.joint.pause(s, u, v.w, v.h)
}

// declare has the playlist say how the slice is read, where that has changed. What
// it has said once goes on for all that follows: so a playlist needs it for TS
// as well, once it has slices in fragmented MP4.
func (v *userVideo) declare(s *Slice, head []byte) error {
	if head == nil || bytes.Equal(head, v.head) || filepath.Ext(s.name) == extTS && !s.index.mapped() {
		return nil
	}
	v.head = head
	return s.setMap(head)
}

// container returns the writer for u's codec, nil if there is none.
func (v *userVideo) container(u media.Unit) (videoWriter, error) {
	if w, ok := v.writers[u.Codec]; ok {
		return w, nil
	}
	w := newVideoWriter(u.Codec, v.p.m.plan)
	v.writers[u.Codec] = w
	if w == nil {
		v.p.log.Error("a user's video is not recorded: its codec has no file format here; let senders use H.264 or VP8", "codec", u.Codec.String())
		v.p.gap("video in %s is not recorded", u.Codec)
	}
	return w, nil
}

// close ends the slice at time end; final also ends the playlist.
func (v *userVideo) close(end media.Time, final bool) error {
	v.report(end)
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

// misses takes note that pictures are missing before or at u.
func (v *userVideo) misses(u media.Unit) {
	if v.lost+v.dropped > u.Gap {
		return // for longer than that
	}
	if v.missing = u.PTS; v.slice != nil || v.held != nil {
		v.missing = min(u.PTS, v.last+v.usual())
	}
}

// report notes what was lost since the last time; at is where pictures go on.
func (v *userVideo) report(at media.Time) {
	if v.lost+v.dropped == 0 {
		return
	}
	v.p.m.out.Count(v.p.uid, CountDropped, int64(v.dropped))
	v.p.m.out.Lost(v.p.uid, session.TrackVideo, v.missing, at,
		fmt.Sprintf("video: %d packets lost, %d frames dropped until a key frame", v.lost, v.dropped))
	v.lost, v.dropped = 0, 0
}
