package livekit

import (
	"cmp"
	"fmt"
	"slices"

	"tapedeck/internal/channel"
)

// defaultUsers is how many users are recorded at the same time (behaviour.md 2).
const defaultUsers = 17

// settle decides who is recorded, and subscribes accordingly. The first users
// that joined have a place each; those behind them move up when a place gets
// free. Only who sends something that the lists want takes a place, and whoever
// has one keeps it until they leave or stop sending. mu is held.
func (v *visit) settle() {
	if v.closing {
		return
	}
	people := v.inOrder()
	seats := 0
	for _, p := range people {
		p.seated = p.seated && v.offers(p)
		if p.seated {
			seats++
		}
	}
	for _, p := range people {
		if !p.seated && seats < v.s.cfg.MaxUsers && v.offers(p) {
			p.seated = true
			seats++
		}
	}
	for _, p := range people {
		for _, pb := range p.pubs {
			v.subscribe(p, pb)
		}
	}
	if v.joined {
		v.turnAway(people)
	}
}

// turnAway tells once of everybody who has to wait. mu is held.
func (v *visit) turnAway(people []*person) {
	for _, p := range people {
		if p.seated || p.waits || !v.offers(p) {
			continue
		}
		p.waits = true
		v.emit(p, channel.Warned{
			User: p.user, Code: channel.WarnFull, At: v.now(),
			Note: fmt.Sprintf("%d users are recorded already, which is the most: this one is recorded as soon as one of them leaves; a larger subscribeUidGroup allows up to 49 in individual mode", v.s.cfg.MaxUsers),
		})
	}
}

// inOrder returns who is there, as they joined. mu is held.
func (v *visit) inOrder() []*person {
	people := make([]*person, 0, len(v.people))
	for _, p := range v.people {
		if !p.ignored && p.leaving == "" {
			people = append(people, p)
		}
	}
	slices.SortFunc(people, func(a, b *person) int {
		return cmp.Or(cmp.Compare(a.joinedAt, b.joinedAt), cmp.Compare(a.number, b.number))
	})
	return people
}

// offers reports whether a user publishes something that is wanted. mu is held.
func (v *visit) offers(p *person) bool {
	for _, pb := range p.pubs {
		if v.wants(p, pb) {
			return true
		}
	}
	return false
}

// wants reports whether the lists ask for a track. mu is held.
func (v *visit) wants(p *person, pb *publication) bool {
	v.s.mu.Lock()
	want := v.s.want
	v.s.mu.Unlock()
	if pb.kind == channel.Camera || pb.kind == channel.Screen {
		return v.s.cfg.Streams.Video() && want.Video.Has(p.user.UID)
	}
	return v.s.cfg.Streams.Audio() && want.Audio.Has(p.user.UID)
}
