package recorder

import (
	"slices"
	"testing"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
)

func person(uid uint32) channel.User { return channel.User{UID: uid} }

func cameraTrack(uid uint32, id string) *channel.Track {
	return &channel.Track{ID: id, User: person(uid), Codec: media.H264}
}

// Who has a region, in which order, as people come and go.
func TestMixRoomOrder(t *testing.T) {
	join := func(uid uint32, at media.Time) channel.Event { return channel.Joined{User: person(uid), At: at} }
	left := func(uid uint32, at media.Time) channel.Event { return channel.Left{User: person(uid), At: at} }
	start := func(uid uint32, id string, at media.Time) channel.Event {
		return channel.Started{Track: cameraTrack(uid, id), At: at}
	}
	end := func(uid uint32, id string, at media.Time) channel.Event {
		return channel.Ended{Track: cameraTrack(uid, id), At: at}
	}
	everybody := session.UIDList{All: true}
	for _, c := range []struct {
		name    string
		channel int
		video   session.UIDList
		audio   session.UIDList
		events  []channel.Event
		until   media.Time
		want    []uint32
		gone    []uint32
	}{
		{"in order of joining", 0, everybody, everybody, []channel.Event{join(3, 1), join(1, 2), join(2, 3)}, 9, []uint32{3, 1, 2}, nil},
		{"only up to now", 0, everybody, everybody, []channel.Event{join(3, 1), join(1, 2), left(3, 5)}, 4, []uint32{3, 1}, nil},
		{"those behind move up", 0, everybody, everybody, []channel.Event{join(3, 1), join(1, 2), left(3, 5)}, 5, []uint32{1}, []uint32{3}},
		{"who returns goes to the end", 0, everybody, everybody, []channel.Event{join(3, 1), join(1, 2), left(3, 5), join(3, 6)}, 9, []uint32{1, 3}, []uint32{3}},
		{"a second device", 0, everybody, everybody, []channel.Event{join(3, 1), join(1, 2), join(3, 3), left(3, 4)}, 9, []uint32{3, 1}, nil},
		{"listeners of a live channel", 1, everybody, everybody, []channel.Event{join(3, 1), join(1, 2), start(1, "a", 3)}, 9, []uint32{1}, nil},
		{"a host steps down", 1, everybody, everybody, []channel.Event{join(1, 1), start(1, "a", 3), start(1, "b", 3), end(1, "a", 4), end(1, "b", 5)}, 9, nil, []uint32{1}},
		{"who sends nothing counts in a communication", 0, everybody, everybody, []channel.Event{join(1, 1), start(1, "a", 3), end(1, "a", 4)}, 9, []uint32{1}, nil},
		{"sound alone is enough for a place", 0, session.UIDList{Allow: []uint32{1}}, session.UIDList{Allow: []uint32{2}}, []channel.Event{join(1, 1), join(2, 1), join(3, 1)}, 9, []uint32{1, 2}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := mixPlan()
			plan.ChannelType, plan.Subscription = c.channel, session.Subscription{Audio: c.audio, Video: c.video}
			r := newMixRoom(plan)
			for _, ev := range c.events {
				r.expect(ev, 9)
			}
			var gone []uint32
			r.advance(c.until, func(uid uint32) { gone = append(gone, uid) })
			regions, changed := r.regions(1280, 720)
			var got []uint32
			for _, g := range regions {
				got = append(got, g.UID)
			}
			if !slices.Equal(got, c.want) || !slices.Equal(gone, c.gone) || !changed {
				t.Errorf("regions of %v, want %v; gone %v, want %v", got, c.want, gone, c.gone)
			}
			if _, again := r.regions(1280, 720); again {
				t.Error("changed again")
			}
		})
	}
}

// The queue never grows without bound, drops pictures before sound, and tells
// the track's next unit what it lost.
func TestMixQueue(t *testing.T) {
	q := newMixQueue()
	cam, mic := cameraTrack(1, "cam"), &channel.Track{ID: "mic", Codec: media.Opus}
	unit := func(tr *channel.Track, n int) channel.Event {
		return channel.Media{Track: tr, Unit: media.Unit{Data: make([]byte, n)}}
	}
	const big = 1 << 20
	for range 40 {
		q.push(unit(cam, big))
	}
	for range 40 {
		q.push(unit(mic, big/4))
	}
	q.push(channel.Joined{})
	events, drops := q.take(nil)
	video, audio, joined := 0, 0, 0
	for _, ev := range events {
		switch e := ev.(type) {
		case channel.Media:
			if e.Track == cam {
				video++
			} else {
				audio++
			}
		case channel.Joined:
			joined++
		}
	}
	if video != 12 || audio != 16 || joined != 1 || drops != 40-12+40-16 {
		t.Errorf("%d pictures, %d sounds, %d joins kept; %d dropped", video, audio, joined, drops)
	}
	q.push(unit(cam, 10))
	q.push(unit(cam, 10))
	q.push(unit(mic, 10))
	events, drops = q.take(events)
	var gaps []int
	for _, ev := range events {
		gaps = append(gaps, ev.(channel.Media).Unit.Gap)
	}
	if !slices.Equal(gaps, []int{28, 0, 24}) || drops != 0 {
		t.Errorf("gaps %v, %d dropped", gaps, drops)
	}
}
