package recorder

import (
	"fmt"
	"log/slog"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
)

const (
	// holdback is how far sound is written behind the clock, so that what comes
	// late is still in time. It has to cover the source's wait for lost packets.
	holdback media.Time = 1_000_000

	// padding is the silence that follows a user's sound when they mute it or
	// stop sending; then the stream ends (files.md 5.3). Leaving ends it at
	// once: a length of padding that nobody speaks in would only hide when they left.
	padding media.Time = 15_000_000

	// userTick is how often a user's streams look at the clock, and at what has
	// come: sound is written a second late anyway.
	userTick = 100 * time.Millisecond

	// eagerUnits of media after an event are taken at once, so that a recording
	// begins when it begins; later ones wait for the tick, but not more than
	// crowdUnits of them.
	eagerUnits = 8
	crowdUnits = 64
)

// userStreams is one user: their tracks, their sound and their pictures. All work
// happens in run's goroutine.
type userStreams struct {
	m   *individual
	uid uint32
	log *slog.Logger

	queue *mixQueue
	wake  chan struct{}
	spare []channel.Event
	eager int // units that are still taken at once; of the source's goroutine
	crowd int // units since the last wake-up; likewise

	video *userLanes
	audio *userAudio
	joint *joint

	merged *merger     // raw mode
	webm   media.Codec // of the pictures that go into WebM in raw mode
}

func newUserStreams(m *individual, uid uint32) *userStreams {
	p := &userStreams{
		m: m, uid: uid, log: m.log.With("uid", uid),
		queue: newMixQueue(), wake: make(chan struct{}, 1),
	}
	p.video = newUserLanes(p)
	p.audio = newUserAudio(p)
	if m.raw() {
		p.merged = newMerger(p)
	}
	if m.plan.StreamMode == session.StreamStandard && m.plan.Streams == session.Both {
		p.joint = newJoint(p)
	}
	return p
}

// urgent reports whether an event is worth waking the user's goroutine for.
func (p *userStreams) urgent(ev channel.Event) bool {
	if _, ok := ev.(channel.Media); !ok {
		p.eager = eagerUnits
		return true
	}
	p.crowd++
	if p.eager--; p.eager < 0 && p.crowd < crowdUnits {
		return false
	}
	p.eager, p.crowd = max(p.eager, 0), 0
	return true
}

// index returns the user's playlist of the given type.
func (p *userStreams) index(kind string) *Index {
	track, playable := session.TrackAudio, true
	if kind != typeAudio {
		track, playable = session.TrackVideo, false
	}
	name := p.kindName(kind)
	return p.m.out.Index(IndexConfig{
		Name: p.m.out.names.index(p.uid, name), Track: track, UID: p.uid, Playable: playable,
		Unlisted: name != kind && kind != typeVideo || name == media.VP8.String() || name == media.VP9.String(), // in the MPD
	})
}

// kindName is the type of a stream in file names: raw mode names the codec.
func (p *userStreams) kindName(kind string) string {
	switch {
	case !p.m.raw():
		return kind
	case kind == typeAudio:
		return media.Opus.String() // beside pictures in WebM; other sound is merged
	case kind == typeVideo, kind == typeJoint:
		return p.webm.String()
	}
	return kind
}

// sliceLength is the plan's, on the timeline.
func (p *userStreams) sliceLength() media.Time {
	return media.Time(p.m.plan.SliceLength.Microseconds())
}

// gap notes that something of the user's was lost.
func (p *userStreams) gap(format string, args ...any) {
	p.m.out.Gap(uidText(p.uid), fmt.Sprintf(format, args...))
}

// run takes events until stop is closed, then finishes the files.
func (p *userStreams) run(stop <-chan struct{}) error {
	tick := time.NewTicker(userTick)
	defer tick.Stop()
	defer p.audio.release()
	for {
		select {
		case <-stop:
			return p.finish(p.m.end)
		case <-p.wake:
		case <-tick.C:
		}
		if err := p.round(p.m.out.Clock().Now()); err != nil {
			return err
		}
	}
}

// round takes what is queued. now was read before: whatever belongs to a time
// before now and has arrived, is in the queue.
func (p *userStreams) round(now media.Time) error {
	events, drops := p.queue.take(p.spare)
	p.spare = events
	if drops > 0 {
		p.log.Warn("a user's media were dropped because this worker cannot keep up: is the machine or its disk overloaded?", "units", drops)
		p.m.out.Count(p.uid, CountSlow, drops)
		p.gap("%d units dropped: the recorder could not keep up", drops)
	}
	for _, ev := range events {
		if err := p.take(ev); err != nil {
			return err
		}
	}
	if err := p.audio.advance(now - holdback); err != nil {
		return err
	}
	if err := p.video.advance(now - holdback); err != nil {
		return err
	}
	if err := p.merged.advance(now - holdback); err != nil {
		return err
	}
	return p.joint.update(false)
}

func (p *userStreams) take(ev channel.Event) error {
	switch e := ev.(type) {
	case channel.Started:
		if e.Track.Codec.Video() {
			p.video.started(e.Track)
		}
		return p.audio.started(e.Track, e.At)
	case channel.Ended:
		if e.Track.Codec.Video() {
			return p.video.stopped(e.Track, true)
		}
		p.audio.stopped(e.Track, e.At, true)
	case channel.Muted:
		return p.muted(e)
	case channel.Media:
		if e.Track.Codec.Video() {
			return p.video.push(e.Track, e.Unit)
		}
		return p.audio.push(e.Track, e.Unit)
	case channel.Left:
		if err := p.video.left(); err != nil {
			return err
		}
		return p.audio.left()
	}
	return nil
}

func (p *userStreams) muted(e channel.Muted) error {
	switch {
	case e.Track.Codec.Video() && e.Muted:
		return p.video.stopped(e.Track, false)
	case e.Track.Codec.Video():
		p.video.started(e.Track)
	case e.Muted:
		p.audio.stopped(e.Track, e.At, false)
	default:
		return p.audio.started(e.Track, e.At)
	}
	return nil
}

// finish writes everything up to end and closes the files for good.
func (p *userStreams) finish(end media.Time) error {
	if err := p.round(end); err != nil {
		return err
	}
	if err := p.video.finish(); err != nil {
		return err
	}
	if err := p.audio.finish(end); err != nil {
		return err
	}
	if err := p.merged.finish(); err != nil {
		return err
	}
	return p.joint.update(true)
}
