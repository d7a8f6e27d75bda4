package recorder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/media/depacket"
	"tapedeck/internal/session"
)

const (
	// mixDelay is how far the mix runs behind the recording's clock. Media must
	// have arrived by then, or sound is missing: it covers the wait for lost
	// packets in the source, and beyond that 250 ms for the spread of the users'
	// paths and a pause of this process or its disk. It costs nothing but the
	// delay itself, which a recording does not show.
	mixDelay = media.Time(depacket.DefaultWait/time.Microsecond) + 250_000

	// mixLate: when the mix is later than that, pictures are repeated instead of
	// drawn until it has caught up. Sound and timestamps go on. A machine that is
	// busy for a moment loses nothing: the queues hold more than this.
	mixLate = mixDelay + 3_000_000

	// mixBurst bounds what one round renders, so that a mix that is far behind
	// still takes events out of its queue.
	mixBurst media.Time = 1_000_000

	mixTick = 40 * time.Millisecond // longest sleep between two rounds
)

// mixMode is the composite mode: everybody in one picture and one sound, written
// as TS slices and, if asked for, as MP4 from the same encode.
//
// All work happens in Run's goroutine; Handle, Subscribe and Layout only leave
// orders.
type mixMode struct {
	plan  session.Plan
	out   *Output
	src   channel.Source
	log   *slog.Logger
	queue *mixQueue
	spare []channel.Event

	mu     sync.Mutex
	orders struct { // replaced as a whole, taken at the next round
		subscription *session.Subscription
		layout       *session.Layout
	}

	room    *mixRoom
	video   *mixVideo // nil without pictures
	audio   *mixAudio // nil without sound
	files   *mixFiles
	started bool
	start   media.Time // of the first sample, a whole millisecond
	lateAt  media.Time // when being late was last reported
}

func newMix(plan session.Plan, out *Output, src channel.Source, log *slog.Logger) (Mode, error) {
	if plan.Mixing == nil {
		return nil, fmt.Errorf("recorder: the plan of %s has no canvas", plan.SID)
	}
	m := &mixMode{plan: plan, out: out, src: src, log: log, queue: newMixQueue()}
	m.room = newMixRoom(plan)
	var err error
	if plan.Streams.Video() {
		if m.video, err = newMixVideo(*plan.Mixing, m.room, src, log); err != nil {
			return nil, err
		}
	}
	if plan.Streams.Audio() {
		if m.audio, err = newMixAudio(plan.AudioProfile, log); err != nil {
			m.close()
			return nil, err
		}
	}
	m.files = newMixFiles(plan, out, m.video, m.audio)
	return m, nil
}

// Handle implements Mode.
func (m *mixMode) Handle(ev channel.Event) { m.queue.push(ev) }

// Subscribe implements Mode.
func (m *mixMode) Subscribe(s session.Subscription) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.orders.subscription = &s
}

// Layout implements Mode. The pictures from this instant on have the new layout.
func (m *mixMode) Layout(l session.Layout) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.orders.layout = &l
}

// Recorded implements Mode.
func (m *mixMode) Recorded() bool { return m.out.Recorded() }

// Run implements Mode.
func (m *mixMode) Run(ctx context.Context) error {
	defer m.close()
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		select {
		case <-ctx.Done():
			return m.finish(m.out.Clock().Now())
		case <-wake.C:
		}
		next, err := m.round(m.out.Clock().Now())
		if err != nil {
			return m.salvage(err)
		}
		wake.Reset(next)
	}
}

// round does what is due at now and returns how long there is nothing to do.
func (m *mixMode) round(now media.Time) (time.Duration, error) {
	m.pump(now)
	if !m.started {
		return mixTick / 4, nil
	}
	due := now - mixDelay
	late := due - m.position()
	if late > mixLate-mixDelay {
		m.reportLate(now, late)
	}
	if err := m.advance(min(due, m.position()+mixBurst), late <= mixLate-mixDelay); err != nil {
		return 0, err
	}
	wait := time.Duration(m.position()+mixDelay-now) * time.Microsecond
	return min(max(wait, 0), mixTick), nil
}

// pump applies orders and events.
func (m *mixMode) pump(now media.Time) {
	m.mu.Lock()
	orders := m.orders
	m.orders.subscription, m.orders.layout = nil, nil
	m.mu.Unlock()
	if orders.subscription != nil {
		m.room.subscribe(*orders.subscription, now)
	}
	if orders.layout != nil {
		m.room.arrange(*orders.layout, now)
	}
	events, drops := m.queue.take(m.spare)
	if drops > 0 {
		m.log.Error("media was thrown away: this worker cannot keep up; give the machine fewer recordings", "units", drops)
		m.out.Gap("", fmt.Sprintf("%d media units were thrown away because the worker was too slow", drops))
	}
	for _, ev := range events {
		m.apply(ev, now)
	}
	m.spare = events
}

// apply takes note of one event.
func (m *mixMode) apply(ev channel.Event, now media.Time) {
	if m.video != nil {
		m.video.observe(ev, now)
	}
	switch e := ev.(type) {
	case channel.Ended:
		if m.audio != nil && !e.Track.Codec.Video() {
			m.audio.end(e.Track, m.out)
		}
	case channel.Media:
		m.media(e)
	}
}

// media takes one access unit of somebody who is recorded.
func (m *mixMode) media(e channel.Media) {
	video := e.Track.Codec.Video()
	if !m.room.wants(e.Track.User.UID, video) {
		return
	}
	if !m.started {
		m.begin(e.Unit.PTS)
	}
	switch {
	case video && m.video != nil:
		m.video.push(e.Track, e.Unit)
	case !video && m.audio != nil:
		m.audio.push(e.Track, e.Unit)
	}
}

// begin fixes the first instant of the output. A whole millisecond is a whole
// number of samples and of 90 kHz ticks, and is exact in file names.
func (m *mixMode) begin(first media.Time) {
	m.started = true
	m.start = max(0, first-((first%1000)+1000)%1000)
	if m.video != nil {
		m.video.start = m.start
	}
	if m.audio != nil {
		m.audio.begin(m.start)
	}
	m.files.begin(m.start)
}

// position is the time up to which everything has been rendered.
func (m *mixMode) position() media.Time {
	if m.video == nil {
		return m.audio.position()
	}
	return m.video.position()
}

// advance renders all pictures and sound that begin before t.
func (m *mixMode) advance(t media.Time, draw bool) error {
	if m.video != nil {
		for m.video.position() < t {
			if err := m.video.render(draw, m.files); err != nil {
				return err
			}
		}
	}
	if m.audio != nil {
		for m.audio.position() < t {
			if err := m.audio.render(m.files); err != nil {
				return err
			}
		}
	}
	return m.files.write()
}

// finish runs through what has arrived up to the stop instant without waiting
// for the clock, and closes every file.
func (m *mixMode) finish(now media.Time) error {
	m.pump(now)
	if !m.started {
		return nil
	}
	if err := m.advance(now, true); err != nil {
		return m.salvage(err)
	}
	// The sound covers the last picture.
	if err := m.advance(m.position(), true); err != nil {
		return m.salvage(err)
	}
	if err := m.flush(); err != nil {
		return m.salvage(err)
	}
	return m.files.finish(m.position())
}

// flush takes out what the encoders still hold.
func (m *mixMode) flush() error {
	if m.video != nil {
		if err := m.video.flush(m.files); err != nil {
			return err
		}
	}
	if m.audio != nil {
		if err := m.audio.flush(m.files); err != nil {
			return err
		}
		m.audio.summarise(m.out)
	}
	return nil
}

// salvage closes the files after a fault, so that what they hold is not lost
// with it.
func (m *mixMode) salvage(cause error) error {
	return errors.Join(cause, m.files.close(m.position()))
}

func (m *mixMode) reportLate(now, late media.Time) {
	if m.lateAt != 0 && now-m.lateAt < 10_000_000 {
		return
	}
	m.lateAt = now
	m.log.Warn("the mix is late and repeats pictures: give the machine fewer recordings or a faster disk", "late_ms", int64(late/1000))
	m.out.Gap("", fmt.Sprintf("pictures repeated: the worker was %d ms late", late/1000))
}

func (m *mixMode) close() {
	if m.video != nil {
		m.video.close()
	}
	if m.audio != nil {
		m.audio.close()
	}
}
