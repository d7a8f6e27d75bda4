package recorder

import (
	"slices"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/media/layout"
	"tapedeck/internal/session"
)

// mixRoom knows who takes part in the mix, in the order in which they joined:
// somebody who leaves makes room for those behind, somebody who returns goes to
// the end (layouts.md 1). In a communication channel everybody takes part, in a
// live channel those who send something. Events and orders take effect when the
// mix reaches their time, not when they arrive: who leaves is seen to the end.
type mixRoom struct {
	live    bool
	streams session.StreamTypes
	sub     session.Subscription // of what arrives
	seen    session.Subscription // of what is drawn
	layout  session.Layout
	order   []uint32
	joined  map[uint32]int            // uid → sessions that are in the room
	tracks  map[uint32]map[string]int // uid → IDs of its tracks
	names   map[uint32]string         // uid → identity
	speaker uint32                    // who is large in layout 100
	changed bool                      // regions have to be worked out again
	later   []mixEvent
}

// mixEvent is one of an event of the room, a new layout and a new subscription.
type mixEvent struct {
	at     media.Time
	uid    uint32
	ev     channel.Event
	layout *session.Layout
	sub    *session.Subscription
}

func newMixRoom(plan session.Plan) *mixRoom {
	return &mixRoom{
		live: plan.ChannelType == 1, streams: plan.Streams, sub: plan.Subscription, seen: plan.Subscription, layout: plan.Mixing.Layout,
		joined: map[uint32]int{}, tracks: map[uint32]map[string]int{}, names: map[uint32]string{}, changed: true,
	}
}

// wants reports whether that kind of a user's media is recorded from now on.
func (r *mixRoom) wants(uid uint32, video bool) bool { return r.selects(r.sub, uid, video) }

// draws reports whether a user's pictures are seen at the mix's present time.
func (r *mixRoom) draws(uid uint32) bool { return r.selects(r.seen, uid, true) }

func (r *mixRoom) selects(s session.Subscription, uid uint32, video bool) bool {
	if video {
		return r.streams.Video() && s.Video.Has(uid)
	}
	return r.streams.Audio() && s.Audio.Has(uid)
}

// regions returns where everybody is drawn, and whether that may have changed
// since the last call.
func (r *mixRoom) regions(w, h int) ([]layout.Region, bool) {
	if !r.changed {
		return nil, false
	}
	r.changed = false
	var users []uint32
	for _, uid := range r.order {
		if r.selects(r.seen, uid, true) || r.selects(r.seen, uid, false) {
			users = append(users, uid)
		}
	}
	return layout.Place(r.staged(users), users, w, h), true
}

// staged is the layout with the active speaker put in.
func (r *mixRoom) staged(users []uint32) session.Layout {
	l := r.layout
	if l.Kind == layout.Speaker && len(users) > 0 {
		if l.MaxUID = r.speaker; !slices.Contains(users, r.speaker) {
			l.MaxUID = users[0]
		}
	}
	return l
}

// speaks tells who is heard most.
func (r *mixRoom) speaks(uid uint32) {
	if r.speaker != uid {
		r.speaker = uid
		r.changed = r.changed || r.layout.Kind == layout.Speaker
	}
}

// subscribe replaces the subscription at now.
func (r *mixRoom) subscribe(s session.Subscription, now media.Time) {
	r.sub = s
	if r.streams.Video() {
		r.later = append(r.later, mixEvent{at: now, sub: &s})
	}
}

// arrange replaces the layout at now.
func (r *mixRoom) arrange(l session.Layout, now media.Time) {
	if r.streams.Video() {
		r.later = append(r.later, mixEvent{at: now, layout: &l})
	}
}

// expect keeps an event that arrived at now until its time, which is not later.
func (r *mixRoom) expect(ev channel.Event, now media.Time) {
	e := mixEvent{ev: ev}
	switch k := ev.(type) {
	case channel.Joined:
		e.at, e.uid = k.At, k.User.UID
	case channel.Left:
		e.at, e.uid = k.At, k.User.UID
	case channel.Started:
		e.at, e.uid = k.At, k.Track.User.UID
	case channel.Ended:
		e.at, e.uid = k.At, k.Track.User.UID
	default:
		return
	}
	e.at = min(e.at, now)
	r.later = append(r.later, e)
}

// advance applies what is due at t, calls gone for every user who does not take
// part any more, and reports whether there is a new layout.
func (r *mixRoom) advance(t media.Time, gone func(uid uint32)) (replaced bool) {
	n := 0
	for ; n < len(r.later) && r.later[n].at <= t; n++ {
		e := r.later[n]
		was := r.present(e.uid)
		r.apply(e)
		replaced = replaced || e.layout != nil
		if was && !r.present(e.uid) {
			gone(e.uid)
		}
	}
	r.later = slices.Delete(r.later, 0, n)
	return replaced
}

func (r *mixRoom) apply(e mixEvent) {
	switch {
	case e.layout != nil:
		r.layout, r.changed = *e.layout, true
	case e.sub != nil:
		r.seen, r.changed = *e.sub, true
	}
	switch k := e.ev.(type) {
	case channel.Joined:
		r.join(k.User)
	case channel.Left:
		r.leave(k.User.UID)
	case channel.Started:
		r.begin(k.Track)
	case channel.Ended:
		r.end(k.Track)
	}
}

func (r *mixRoom) join(u channel.User) {
	r.joined[u.UID]++
	r.names[u.UID] = u.Identity
	r.settle(u.UID)
}

// leave ends one stay of a user. A user who was replaced by the same uid from
// elsewhere is still there.
func (r *mixRoom) leave(uid uint32) {
	if r.joined[uid]--; r.joined[uid] <= 0 {
		delete(r.joined, uid)
	}
	r.settle(uid)
}

func (r *mixRoom) begin(t *channel.Track) {
	r.names[t.User.UID] = t.User.Identity
	if r.tracks[t.User.UID] == nil {
		r.tracks[t.User.UID] = map[string]int{}
	}
	r.tracks[t.User.UID][t.ID]++
	r.settle(t.User.UID)
}

func (r *mixRoom) end(t *channel.Track) {
	delete(r.tracks[t.User.UID], t.ID)
	if len(r.tracks[t.User.UID]) == 0 {
		delete(r.tracks, t.User.UID)
	}
	r.settle(t.User.UID)
}

// settle puts a user into the order or takes them out.
func (r *mixRoom) settle(uid uint32) {
	in := len(r.tracks[uid]) > 0
	if !r.live {
		in = in || r.joined[uid] > 0
	}
	at := slices.Index(r.order, uid)
	switch {
	case in && at < 0:
		r.order = append(r.order, uid)
	case !in && at >= 0:
		r.order = slices.Delete(r.order, at, at+1)
		delete(r.names, uid)
	default:
		return
	}
	r.changed = true
}

// present reports whether a user takes part.
func (r *mixRoom) present(uid uint32) bool { return slices.Contains(r.order, uid) }
