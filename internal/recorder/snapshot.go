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
	snap "tapedeck/internal/media/snapshot"
	"tapedeck/internal/session"
)

// shotsWaiting bounds the pictures that wait to be made. A picture takes some ten
// milliseconds, so a full queue means a machine that can do nothing any more.
const shotsWaiting = 64

// snapshots takes pictures of every user at an interval (files.md 7), beside
// another mode or alone. All pictures are made by one goroutine, one after the
// other: they are never in a hurry.
type snapshots struct {
	every  media.Time
	out    *Output
	src    channel.Source
	log    *slog.Logger
	beside Mode // nil when pictures are all that is wanted

	sitters map[uint32]*sitter
	shots   chan shot

	mu   sync.Mutex
	lost map[uint32]int // pictures that were not made, since the last note
}

// shot is a key frame that becomes a picture.
type shot struct {
	uid  uint32
	unit media.Unit
}

// newModeFunc makes a mode that pictures can be taken beside.
type newModeFunc func(session.Plan, *Output, channel.Source, *slog.Logger) (Mode, error)

// pictured makes a mode, with the pictures that the plan asks for beside it or in
// its place.
func pictured(other newModeFunc, plan session.Plan, out *Output, src channel.Source, log *slog.Logger) (Mode, error) {
	if plan.Snapshot == nil {
		return other(plan, out, src, log)
	}
	if plan.Snapshot.Interval < time.Second {
		return nil, fmt.Errorf("recorder: pictures every %v are more often than once a second", plan.Snapshot.Interval)
	}
	s := &snapshots{
		every: media.Time(plan.Snapshot.Interval.Microseconds()), out: out, src: src, log: log,
		sitters: map[uint32]*sitter{}, shots: make(chan shot, shotsWaiting), lost: map[uint32]int{},
	}
	if plan.NoFiles {
		return s, nil
	}
	var err error
	s.beside, err = other(plan, out, src, log)
	return s, err
}

// Handle implements Mode.
func (s *snapshots) Handle(ev channel.Event) {
	if s.beside != nil {
		s.beside.Handle(ev)
	}
	switch e := ev.(type) {
	case channel.Started:
		if e.Track.Codec.Video() {
			s.sitter(e.Track.User.UID).show(e.Track, e.At)
		}
	case channel.Ended:
		if e.Track.Codec.Video() {
			s.sitter(e.Track.User.UID).hide(e.Track, e.At)
		}
	case channel.Muted:
		if !e.Track.Codec.Video() {
			return
		}
		if e.Muted {
			s.sitter(e.Track.User.UID).hide(e.Track, e.At)
		} else {
			s.sitter(e.Track.User.UID).show(e.Track, e.At)
		}
	case channel.Left:
		s.sitter(e.User.UID).leave(e.At)
		delete(s.sitters, e.User.UID)
	case channel.Media:
		if e.Track.Codec.Video() {
			s.media(e.Track, e.Unit)
		}
	}
}

func (s *snapshots) sitter(uid uint32) *sitter {
	p := s.sitters[uid]
	if p == nil {
		p = &sitter{uid: uid, cadence: snap.NewCadence(s.every), told: s.told}
		s.sitters[uid] = p
	}
	return p
}

// told notes that a user's pictures begin or pause. Beside a recording that is
// the recording's to say.
func (s *snapshots) told(uid uint32, receiving bool, at media.Time) {
	if s.beside == nil {
		s.out.Stream(uid, session.TrackVideo, receiving, at)
	}
}

func (s *snapshots) media(t *channel.Track, u media.Unit) {
	p := s.sitter(t.User.UID)
	if p.seen != t {
		return
	}
	p.received(u.PTS)
	key, take, ask := p.cadence.Next(u)
	if ask {
		s.src.RequestKey(t)
	}
	if !take {
		return
	}
	select {
	case s.shots <- shot{p.uid, key}:
	default:
		s.mu.Lock()
		s.lost[p.uid]++
		s.mu.Unlock()
	}
}

// Subscribe implements Mode.
func (s *snapshots) Subscribe(sub session.Subscription) {
	if s.beside != nil {
		s.beside.Subscribe(sub)
	}
}

// Layout implements Mode.
func (s *snapshots) Layout(l session.Layout) {
	if s.beside != nil {
		s.beside.Layout(l)
	}
}

// Recorded implements Mode.
func (s *snapshots) Recorded() bool { return s.out.Recorded() }

// Run implements Mode.
func (s *snapshots) Run(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	beside := make(chan error, 1)
	go func() {
		if s.beside != nil {
			beside <- s.beside.Run(ctx)
			end()
		} else {
			beside <- nil
		}
	}()
	err := s.work(ctx)
	end()
	return errors.Join(err, <-beside)
}

// work makes pictures until ctx ends, and then those that wait.
func (s *snapshots) work(ctx context.Context) error {
	for {
		select {
		case sh := <-s.shots:
			if err := s.make(sh); err != nil {
				return err
			}
		case <-ctx.Done():
			for {
				select {
				case sh := <-s.shots:
					if err := s.make(sh); err != nil {
						return err
					}
				default:
					return nil
				}
			}
		}
	}
}

// make writes one picture. Only a file that cannot be written is an error.
func (s *snapshots) make(sh shot) error {
	s.report(sh.uid)
	b, err := snap.Picture(sh.unit)
	if err != nil {
		s.log.Warn("a picture could not be taken", "uid", sh.uid, "codec", sh.unit.Codec.String(), "err", err)
		s.out.Gap(uidText(sh.uid), "a picture could not be taken: "+err.Error())
		return nil
	}
	return s.out.Picture(sh.uid, sh.unit.PTS, b)
}

// report notes pictures for which there was no time.
func (s *snapshots) report(uid uint32) {
	s.mu.Lock()
	n := s.lost[uid]
	delete(s.lost, uid)
	s.mu.Unlock()
	if n > 0 {
		s.log.Warn("pictures were left out because this worker cannot keep up: is the machine overloaded?", "uid", uid, "pictures", n)
		s.out.Gap(uidText(uid), "pictures were left out: the recorder could not keep up")
	}
}
