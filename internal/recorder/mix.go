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
	"tapedeck/internal/push"
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

	// warnPicture: a picture of the layout is left out (journal.md).
	warnPicture channel.Warning = 1010

	mixTick = 40 * time.Millisecond // longest sleep between two rounds
)

// mixMode is the composite mode: everybody in one picture and one sound, written
// as TS slices and, if asked for, as MP4 from the same encode.
//
// All work happens in Run's goroutine; Handle, Subscribe and Layout only leave
// orders.
type mixMode struct {
	plan     session.Plan
	settings Settings
	out      *Output
	src      channel.Source
	log      *slog.Logger
	queue    *mixQueue
	spare    []channel.Event

	fetching sync.WaitGroup // the gallery's goroutine
	unfetch  func()         // ends it

	mu     sync.Mutex
	orders struct { // replaced as a whole, taken at the next round
		subscription *session.Subscription
		layout       *session.Layout
		hold         *bool
		push         []string
		pushed       bool // push is an order
	}

	room    *mixRoom
	video   *mixVideo // nil without pictures
	audio   *mixAudio // nil without sound
	files   *mixFiles
	live    *push.Output // nil until there is somebody to push to
	started bool
	held    bool
	start   media.Time // of the first sample, a whole millisecond
	least   media.Time // no earlier start: the end of what was written before a pause
	lateAt  media.Time // when being late was last reported
}

func newMix(plan session.Plan, settings Settings, out *Output, src channel.Source, log *slog.Logger) (*mixMode, error) {
	if plan.Mixing == nil {
		return nil, fmt.Errorf("recorder: the plan of %s has no canvas", plan.SID)
	}
	m := &mixMode{plan: plan, settings: settings, out: out, src: src, log: log, queue: newMixQueue(), unfetch: func() {}}
	out.Account(src.Stats)
	m.room = newMixRoom(plan)
	if err := m.open(); err != nil {
		m.close()
		return nil, err
	}
	m.files = newMixFiles(plan, settings, out, m.video, m.audio)
	m.files.sent = m.send
	if plan.Mixing.OnHold { // as an earlier worker was ordered
		m.Hold(true)
	}
	return m, nil
}

// open makes what turns media into encoded pictures and sound.
func (m *mixMode) open() (err error) {
	if m.plan.Streams.Video() {
		pictures := m.openGallery()
		if m.video, err = newMixVideo(*m.plan.Mixing, m.settings.Quality, m.room, m.src, pictures, m.log); err != nil {
			return err
		}
	}
	if m.plan.Streams.Audio() {
		err = m.openAudio()
	}
	return err
}

func (m *mixMode) openAudio() (err error) {
	if m.audio, err = newMixAudio(m.plan.AudioProfile, m.log); err == nil && m.video != nil {
		m.audio.heard = m.room.speaks
	}
	return err
}

// openGallery begins to fetch the pictures of layouts.
func (m *mixMode) openGallery() *gallery {
	g := newGallery(fetcher(m.settings.Egress), time.Now, func(note string) {
		m.log.Warn("a picture is left out of the layout", "why", note)
		m.out.Warn(channel.User{}, warnPicture, note, m.out.Clock().Now())
	})
	ctx, cancel := context.WithCancel(context.Background())
	m.unfetch = cancel
	m.fetching.Go(func() { g.serve(ctx) })
	return g
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
	if err := m.pump(now); err != nil {
		return 0, err
	}
	if m.held {
		m.rest(now - mixDelay)
	}
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
func (m *mixMode) pump(now media.Time) error {
	m.mu.Lock()
	orders := m.orders
	m.orders.subscription, m.orders.layout, m.orders.hold, m.orders.pushed = nil, nil, nil, false
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
	if orders.pushed {
		m.pushTo(orders.push)
	}
	if orders.hold != nil {
		return m.pause(*orders.hold, now)
	}
	return nil
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
	if m.held || !m.room.wants(e.Track.User.UID, video) {
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
	m.start = max(m.least, 0, first-((first%1000)+1000)%1000)
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
	if err := m.pump(now); err != nil {
		return m.salvage(err)
	}
	if !m.started {
		return m.files.finish(m.least)
	}
	if err := m.drain(now); err != nil {
		return m.salvage(err)
	}
	return m.files.finish(m.position())
}

// drain renders everything up to now and takes it out of the encoders.
func (m *mixMode) drain(now media.Time) error {
	if err := m.advance(now, true); err != nil {
		return err
	}
	// The sound covers the last picture.
	if err := m.advance(m.position(), true); err != nil {
		return err
	}
	return m.flush()
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
	m.unfetch()
	m.fetching.Wait()
	if m.live != nil {
		m.live.Close()
		m.live = nil
	}
	if m.video != nil {
		m.video.close()
	}
	if m.audio != nil {
		m.audio.close()
	}
}
