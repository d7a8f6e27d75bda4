package recorder

import (
	"sync"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/session"
)

// idle decides when a channel has been empty for too long (behaviour.md 1.1).
// In a communication channel (type 0) every participant counts, whether or not
// they publish; in a live channel (type 1) only those who do.
type idle struct {
	mu    sync.Mutex
	live  bool
	limit time.Duration
	since time.Time // when the channel became idle; zero while it is not
	users map[uint32]int
	sends map[string]bool
}

func newIdle(plan session.Plan, now time.Time) *idle {
	return &idle{
		live: plan.ChannelType == 1, limit: plan.MaxIdle, since: now,
		users: map[uint32]int{}, sends: map[string]bool{},
	}
}

// observe takes note of an event at the given time.
func (i *idle) observe(ev channel.Event, now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch e := ev.(type) {
	case channel.Joined:
		i.users[e.User.UID]++
	case channel.Left:
		if i.users[e.User.UID]--; i.users[e.User.UID] <= 0 {
			delete(i.users, e.User.UID)
		}
	case channel.Started:
		i.sends[e.Track.ID] = true
	case channel.Ended:
		delete(i.sends, e.Track.ID)
	default:
		return
	}
	busy := len(i.users) > 0
	if i.live {
		busy = len(i.sends) > 0
	}
	switch {
	case busy:
		i.since = time.Time{}
	case i.since.IsZero():
		i.since = now
	}
}

// expires returns when the idle time will be over, if nothing changes.
func (i *idle) expires() (at time.Time, idle bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.since.IsZero() || i.limit <= 0 {
		return time.Time{}, false
	}
	return i.since.Add(i.limit), true
}
