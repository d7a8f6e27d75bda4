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
// live channel those who send something. Events take effect when the mix
// reaches their time, not when they arrive: who leaves is seen to the end.
type mixRoom struct {
	live    bool
	streams session.StreamTypes
	sub     session.Subscription
	layout  session.Layout
	order   []uint32
	joined  map[uint32]int            // uid → sessions that are in the room
	tracks  map[uint32]map[string]int // uid → IDs of its tracks
	changed bool                      // regions have to be worked out again
	later   []channel.Event
}

func newMixRoom(plan session.Plan) *mixRoom {
	return &mixRoom{
		live: plan.ChannelType == 1, streams: plan.Streams, sub: plan.Subscription, layout: plan.Mixing.Layout,
		joined: map[uint32]int{}, tracks: map[uint32]map[string]int{}, changed: true,
	}
}

// wants reports whether that kind of a user's media is recorded.
func (r *mixRoom) wants(uid uint32, video bool) bool {
	if video {
		return r.streams.Video() && r.sub.Video.Has(uid)
	}
	return r.streams.Audio() && r.sub.Audio.Has(uid)
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
		if r.wants(uid, true) || r.wants(uid, false) {
			users = append(users, uid)
		}
	}
	return layout.Place(r.layout, users, w, h), true
}

func (r *mixRoom) subscribe(s session.Subscription) { r.sub, r.changed = s, true }
func (r *mixRoom) arrange(l session.Layout)         { r.layout, r.changed = l, true }

// expect keeps an event until its time.
func (r *mixRoom) expect(ev channel.Event) { r.later = append(r.later, ev) }

// advance applies the events up to t and calls gone for every user who does not
// take part any more.
func (r *mixRoom) advance(t media.Time, gone func(uid uint32)) {
	n := 0
	for ; n < len(r.later); n++ {
		at, uid := when(r.later[n])
		if at > t {
			break
		}
		was := r.present(uid)
		r.apply(r.later[n])
		if was && !r.present(uid) {
			gone(uid)
		}
	}
	r.later = slices.Delete(r.later, 0, n)
}

func when(ev channel.Event) (media.Time, uint32) {
	switch e := ev.(type) {
	case channel.Joined:
		return e.At, e.User.UID
	case channel.Left:
		return e.At, e.User.UID
	case channel.Started:
		return e.At, e.Track.User.UID
	case channel.Ended:
		return e.At, e.Track.User.UID
	}
	return 0, 0
}

func (r *mixRoom) apply(ev channel.Event) {
	switch e := ev.(type) {
	case channel.Joined:
		r.join(e.User)
	case channel.Left:
		r.leave(e.User.UID)
	case channel.Started:
		r.begin(e.Track)
	case channel.Ended:
		r.end(e.Track)
	}
}

func (r *mixRoom) join(u channel.User) {
	r.joined[u.UID]++
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
	default:
		return
	}
	r.changed = true
}

// present reports whether a user takes part.
func (r *mixRoom) present(uid uint32) bool { return slices.Contains(r.order, uid) }
