package livekit

import (
	"errors"
	"os"
	"strconv"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/channel/embedded"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
	"tapedeck/internal/testkit/publish"
)

// sends reports whether at least n units of sound of an identity came after
// the first skip events.
func sends(events []channel.Event, skip int, identity string, n int) bool {
	return len(unitsOf(events[skip:], of(identity, media.Opus))) >= n
}

// TestTheFirstThatJoinedAreRecorded fills a room with three users more than there
// are places. The whole number of places takes a machine that is not busy.
func TestTheFirstThatJoinedAreRecorded(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{})
	cfg := configOf(t, s.URL())
	seats := 6
	cfg.MaxUsers = seats
	if os.Getenv("TAPEDECK_TEST_LONG") != "" {
		seats, cfg.MaxUsers = 17, 0
	}
	// They are there before the recorder, the first of them sends nothing; one
	// comes later.
	name := func(i int) string { return strconv.Itoa(101 + i) }
	warned := func(i int) string { return "warned " + name(i) + " 1002" }
	var people []*publish.Publisher
	enter(t, s.URL(), "quiet", publish.Spec{})
	for i := range seats + 3 {
		people = append(people, enter(t, s.URL(), name(i), publish.Spec{Audio: opus(uint64(i))})) //nolint:gosec // small
	}
	r := record(t, cfg)
	heard := func(skip int, who ...int) func([]channel.Event) bool {
		return func(events []channel.Event) bool {
			for _, i := range who {
				if !sends(events, skip, name(i), 5) {
					return false
				}
			}
			return true
		}
	}
	var first []int
	for i := range seats {
		first = append(first, i)
	}
	r.until("the first users", heard(0, first...))
	r.until("the word about the others", func(events []channel.Event) bool {
		return has(events, warned(seats)) == 1 && has(events, warned(seats+1)) == 1 && has(events, warned(seats+2)) == 1
	})
	enter(t, s.URL(), name(seats+3), publish.Spec{Audio: opus(50)})
	r.until("a late one waits", func(events []channel.Event) bool { return has(events, warned(seats+3)) == 1 })

	// Somebody leaves: the next in the order of joining moves up, nobody else.
	people[3].Leave()
	r.until("the next moves up", heard(0, seats))
	// Somebody sends no more: another place.
	people[4].Unpublish(channel.Microphone)
	r.until("another moves up", heard(0, seats+1))
	// The lists are put: who is not wanted leaves their place.
	skip := len(r.all())
	r.src.SetSubscription(session.Subscription{Audio: session.UIDList{All: true, Deny: []uint32{101, 102}}})
	r.until("two more move up", heard(skip, seats+2, seats+3, 5))
	r.stop()
	events := r.all()
	checkLife(t, events)
	for i, ev := range events[:skip] {
		if e, ok := ev.(channel.Started); ok && e.Track.User.UID > uint32(101+seats+1) { //nolint:gosec // small
			t.Errorf("event %d: %s was recorded too early", i, e.Track.User.Identity)
		}
	}
	if has(events, "warned quiet 1002")+has(events, warned(0)) != 0 {
		t.Errorf("events: %s", summary(events))
	}
}

func TestMoreUsersWhereTheGroupAllowsThem(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{})
	for i := range 4 {
		enter(t, s.URL(), strconv.Itoa(1+i), publish.Spec{Audio: opus(uint64(i))}) //nolint:gosec // small
	}
	cfg := configOf(t, s.URL())
	cfg.MaxUsers = 3
	r := record(t, cfg)
	r.until("three users", func(events []channel.Event) bool {
		return sends(events, 0, "1", 1) && sends(events, 0, "2", 1) && sends(events, 0, "3", 1) && has(events, "warned 4 1002") == 1
	})
	r.stop()
	if has(r.all(), "started 4 opus") != 0 {
		t.Errorf("events: %s", summary(r.all()))
	}
}

func TestEverybodyHasANumberAndIsRecorded(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{})
	cfg := configOf(t, s.URL())
	cfg.UID = 101
	cfg.Known = map[string]uint32{"carol": 4711}
	strict := configOf(t, s.URL())
	strict.StrictIDs = true
	var err error
	if strict.Room.Token, err = MintToken(key, secret, "room", "rec-2", time.Hour); err != nil {
		t.Fatal(err)
	}
	clip := opus(1)
	alice := enter(t, s.URL(), "alice", publish.Spec{Audio: clip})
	enter(t, s.URL(), "101", publish.Spec{Audio: opus(2)}) // also the recorder's uid
	r, r2 := record(t, cfg), record(t, strict)
	r.until("alice", func(events []channel.Event) bool { return sends(events, 0, "alice", 5) })
	enter(t, s.URL(), "bob", publish.Spec{Audio: opus(3)})
	enter(t, s.URL(), "carol", publish.Spec{Audio: opus(4)})
	r.until("everybody", func(events []channel.Event) bool {
		return sends(events, 0, "101", 5) && sends(events, 0, "bob", 5) && sends(events, 0, "carol", 5)
	})
	alice.Leave()
	r.until("alice leaves", func(events []channel.Event) bool { return has(events, "left alice client") == 1 })
	enter(t, s.URL(), "alice", publish.Spec{Audio: clip})
	r.until("alice again", func(events []channel.Event) bool { return has(events, "started alice opus") == 2 })
	r2.until("the word of the strict one", func(events []channel.Event) bool {
		return sends(events, 0, "101", 5) && has(events, "warned alice 1001") == 2 && has(events, "warned bob 1001") == 1 && has(events, "warned carol 1001") == 1
	})
	r.stop()
	r2.stop()
	checkLife(t, r.all())
	checkLife(t, r2.all())
	want := map[string]channel.User{
		"alice": {UID: 735577801, Identity: "alice", Mapped: true},
		"101":   {UID: 101, Identity: "101"},
		"bob":   {UID: hashed("bob", 0), Identity: "bob", Mapped: true},
		"carol": {UID: 4711, Identity: "carol", Mapped: true},
	}
	for _, ev := range r.all() {
		switch e := ev.(type) {
		case channel.Joined:
			if e.User != want[e.User.Identity] {
				t.Errorf("joined %+v", e.User)
			}
		case channel.Started:
			if e.Track.User != want[e.Track.User.Identity] {
				t.Errorf("started %+v", e.Track.User)
			}
		}
	}
	if has(r.all(), "warned 101 1003") != 1 {
		t.Errorf("nobody is told that 101 is the recorder's own: %s", summary(r.all()))
	}
	for _, ev := range r2.all() {
		if e, ok := ev.(channel.Joined); ok && e.User.Identity != "101" {
			t.Errorf("the strict one let %s in", e.User.Identity)
		}
	}
	for _, who := range []string{"alice", "bob", "carol"} {
		if has(r2.all(), "started "+who+" opus") != 0 {
			t.Errorf("%s is recorded all the same", who)
		}
	}
}

func TestHostsAreThoseWhoPublish(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{})
	host := enter(t, s.URL(), "1", publish.Spec{Audio: opus(1), Video: []*publish.Clip{h264(1)}})
	enter(t, s.URL(), "2", publish.Spec{})
	cfg := configOf(t, s.URL())
	cfg.Subscription = session.Subscription{Audio: session.UIDList{Allow: []uint32{9}}}
	r := record(t, cfg)
	r.until("both", func(events []channel.Event) bool {
		return has(events, "joined 1") == 1 && has(events, "joined 2") == 1 && has(events, "hosting 1") == 1
	})
	host.Unpublish(channel.Microphone)
	host.Unpublish(channel.Camera)
	r.until("the end of the show", func(events []channel.Event) bool { return has(events, "not hosting 1") == 1 })
	r.stop()
	checkLife(t, r.all())
	if has(r.all(), "hosting 2") != 0 || has(r.all(), "hosting 1") != 1 {
		t.Errorf("events: %s", summary(r.all()))
	}
}

// TestWhoTakesTheRecordersPlaceHasIt: the recorder gives way and ends; it does
// not come back to push the other out.
func TestWhoTakesTheRecordersPlaceHasIt(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{})
	r := record(t, configOf(t, s.URL()))
	r.until("the room", func(events []channel.Event) bool { return has(events, "connected") == 1 })
	enter(t, s.URL(), "rec-1", publish.Spec{Audio: opus(1)})
	var end *channel.EndError
	if err := r.end(); !errors.As(err, &end) || end.End != channel.EndRemoved {
		t.Errorf("Run returned %v", err)
	}
	if n := has(r.all(), "connected"); n != 1 {
		t.Errorf("connected %d times", n)
	}
	checkLife(t, r.all())
}
