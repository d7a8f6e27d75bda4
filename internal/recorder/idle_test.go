package recorder

import (
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/session"
)

// TestIdleExit walks through channels as time passes, in seconds after the
// start, and says when the idle time is over.
func TestIdleExit(t *testing.T) {
	ann, bob := channel.User{UID: 1}, channel.User{UID: 2}
	cam := &channel.Track{ID: "cam", User: ann}
	join := func(u channel.User) channel.Event { return channel.Joined{User: u} }
	left := func(u channel.User) channel.Event { return channel.Left{User: u} }
	host := func(u channel.User, on bool) channel.Event { return channel.Hosting{User: u, On: on} }
	in, lost := channel.Connected{}, channel.Disconnected{}
	type step struct {
		at int
		ev channel.Event
	}
	cases := []struct {
		name    string
		channel int
		steps   []step
		want    int // seconds after the start; -1 = not idle
	}{
		{"nobody ever came", 0, []step{{0, in}}, 30},
		{"nobody ever came to a live channel", 1, []step{{0, in}}, 30},
		{"not in the room yet", 0, nil, -1},
		{"joining took a while", 0, []step{{8, in}}, 38},
		{"somebody is there", 0, []step{{0, in}, {5, join(ann)}}, -1},
		{"everybody left", 0, []step{{0, in}, {5, join(ann)}, {6, join(bob)}, {7, left(ann)}, {20, left(bob)}}, 50},
		{"returned in time", 0, []step{{0, in}, {5, join(ann)}, {10, left(ann)}, {35, join(ann)}}, -1},
		{"two devices of one user", 0, []step{{0, in}, {1, join(ann)}, {2, join(ann)}, {3, left(ann)}}, -1},
		{"silent user counts in a communication channel", 0, []step{{0, in}, {1, join(ann)}}, -1},
		{"silent user does not count in a live channel", 1, []step{{0, in}, {1, join(ann)}}, 30},
		{"host stopped", 1, []step{{0, in}, {1, join(ann)}, {2, host(ann, true)}, {12, host(ann, false)}}, 42},
		{"host left", 1, []step{{0, in}, {1, join(ann)}, {2, host(ann, true)}, {12, left(ann)}}, 42},
		{"host sends, subscribed or not", 1, []step{{0, in}, {1, join(ann)}, {2, host(ann, true)}}, -1},
		{"one of two hosts is left", 1, []step{{0, in}, {1, join(ann)}, {1, host(ann, true)}, {2, join(bob)}, {2, host(bob, true)}, {3, left(ann)}}, -1},
		{"an unsubscribed track ends nothing", 1, []step{{0, in}, {1, join(ann)}, {1, host(ann, true)}, {2, channel.Ended{Track: cam}}}, -1},
		{"who is refused does not count", 0, []step{{0, in}, {5, channel.Warned{User: ann}}}, 30},
		{"media changes nothing", 0, []step{{0, in}, {10, channel.Media{Track: cam}}}, 30},
		{"time away does not count", 0, []step{{0, in}, {10, lost}, {70, in}}, 90},
		{"away", 0, []step{{0, in}, {10, lost}}, -1},
		{"the connection broke with users", 0, []step{{0, in}, {1, join(ann)}, {10, left(ann)}, {10, lost}, {70, in}}, 100},
		{"and they are back", 0, []step{{0, in}, {1, join(ann)}, {10, left(ann)}, {10, lost}, {70, in}, {70, join(ann)}}, -1},
	}
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			i := newIdle(session.Plan{ChannelType: tc.channel, MaxIdle: 30 * time.Second}, start)
			for _, s := range tc.steps {
				i.observe(s.ev, start.Add(time.Duration(s.at)*time.Second))
			}
			got := -1
			if at, idle := i.expires(); idle {
				got = int(at.Sub(start) / time.Second)
			}
			if got != tc.want {
				t.Errorf("idle time is over at %d s, want %d", got, tc.want)
			}
		})
	}
}
