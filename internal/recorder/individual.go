package recorder

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
)

// individual records each user into files of their own (files.md 1): pictures
// as they were sent, sound as AAC or, where the stream mode says so, as it was
// sent. Every user has a goroutine, so that the disk work of one holds up no other.
type individual struct {
	plan session.Plan
	out  *Output
	src  channel.Source
	log  *slog.Logger

	mu     sync.Mutex
	users  map[uint32]*userStreams
	closed bool

	work  sync.WaitGroup
	stop  chan struct{} // closed when everything is to be finished
	end   media.Time    // when the recording ended; set before stop is closed
	fault chan error    // the first error of any user
}

// raw reports whether this is raw mode, the newest form of individual recording:
// one merged playlist per user, MP4 and MP3 files (rest-api.md 14).
func (m *individual) raw() bool { return m.plan.Mode == session.Raw }

func newIndividual(plan session.Plan, out *Output, src channel.Source, log *slog.Logger) (Mode, error) {
	if plan.Mode == session.Raw {
		plan.StreamMode = session.StreamStandard // which it does not have: pictures and sound belong together
	}
	m := &individual{
		plan: plan, out: out, src: src, log: log,
		users: map[uint32]*userStreams{}, stop: make(chan struct{}), fault: make(chan error, 1),
	}
	out.Account(src.Stats)
	// Users of an earlier incarnation may never come back, but their files are
	// finished with all others.
	for _, i := range out.sorted() {
		m.user(i.cfg.UID)
	}
	return m, nil
}

// Handle implements Mode.
func (m *individual) Handle(ev channel.Event) {
	switch e := ev.(type) {
	case channel.Started:
		m.tell(e.Track.User.UID, ev)
	case channel.Ended:
		m.tell(e.Track.User.UID, ev)
	case channel.Muted:
		m.tell(e.Track.User.UID, ev)
	case channel.Media:
		m.tell(e.Track.User.UID, ev)
	case channel.Left:
		m.tell(e.User.UID, ev)
	}
}

func (m *individual) tell(uid uint32, ev channel.Event) {
	if p := m.user(uid); p != nil {
		p.queue.push(ev)
		if p.urgent(ev) {
			select {
			case p.wake <- struct{}{}:
			default:
			}
		}
	}
}

// user returns the streams of the user with that uid, nil when the recording is over.
func (m *individual) user(uid uint32) *userStreams {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	p := m.users[uid]
	if p == nil {
		p = newUserStreams(m, uid)
		m.users[uid] = p
		m.work.Go(func() {
			if err := p.run(m.stop); err != nil {
				select {
				case m.fault <- err:
				default:
				}
			}
		})
	}
	return p
}

// Subscribe implements Mode. Whose tracks come is the source's business: a
// user who is not wanted any more has their tracks ended.
func (m *individual) Subscribe(session.Subscription) {}

// Layout implements Mode: there is none.
func (m *individual) Layout(session.Layout) {}

// Recorded implements Mode.
func (m *individual) Recorded() bool { return m.out.Recorded() }

// Run implements Mode.
func (m *individual) Run(ctx context.Context) error {
	var fault error
	select {
	case <-ctx.Done():
	case fault = <-m.fault:
	}
	m.mu.Lock()
	m.closed = true
	m.end = m.out.Clock().Now()
	m.mu.Unlock()
	close(m.stop)
	m.work.Wait()
	select {
	case err := <-m.fault:
		fault = errors.Join(fault, err)
	default:
	}
	return fault
}
