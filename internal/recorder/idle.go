package recorder

import (
	"sync"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/session"
)

// idle decides when a channel has been empty for too long (behaviour.md 1.1).
// In a communication channel (type 0) every participant counts, whether or not
// they publish; in a live channel (type 1) the hosts do, that is those who
// publish, whether or not it is subscribed. Other recorders, and those whose
// identity is refused, never count. The time runs from when the recorder is in
// the room, and stands still while it is not.
type idle struct {
	mu    sync.Mutex
	live  bool
	limit time.Duration
	since time.Time // when the channel became idle; zero while it is not
	away  time.Time // since when the recorder is not in the room; zero while it is
	users map[uint32]int
	hosts map[uint32]bool
}

func newIdle(plan session.Plan, now time.Time) *idle {
	return &idle{
		live: plan.ChannelType == 1, limit: plan.MaxIdle, since: now, away: now,
		users: map[uint32]int{}, hosts: map[uint32]bool{},
	}
}

// observe takes note of an event at the given time.
func (i *idle) observe(ev channel.Event, now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch e := ev.(type) {
	case channel.Connected:
		i.back(now)
	case channel.Disconnected:
		i.away = now
	case channel.Joined:
		i.users[e.User.UID]++
	case channel.Left:
		if i.users[e.User.UID]--; i.users[e.User.UID] <= 0 {
			delete(i.users, e.User.UID)
		}
		delete(i.hosts, e.User.UID)
	case channel.Hosting:
		i.hosts[e.User.UID] = e.On
		if !e.On {
			delete(i.hosts, e.User.UID)
		}
	default:
		return
	}
	busy := len(i.users) > 0
	if i.live {
		busy = len(i.hosts) > 0
	}
	switch {
	case busy:
		i.since = time.Time{}
	case i.since.IsZero():
		i.since = now
	}
}

// back ends an absence, which does not count.
func (i *idle) back(now time.Time) {
	if !i.away.IsZero() && !i.since.IsZero() {
		i.since = i.since.Add(now.Sub(i.away))
	}
	i.away = time.Time{}
}

// expires returns when the idle time will be over, if nothing changes.
func (i *idle) expires() (at time.Time, idle bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.since.IsZero() || !i.away.IsZero() || i.limit <= 0 {
		return time.Time{}, false
	}
	return i.since.Add(i.limit), true
}
