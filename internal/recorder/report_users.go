package recorder

import (
	"cmp"
	"slices"
	"strings"

	"tapedeck/internal/media/mux/playlist"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// user returns a user of the receipt.
func (r *receipt) user(uid string) *receiptUser {
	u := r.users[uid]
	if u == nil {
		u = &receiptUser{UID: uid, Stays: []receiptStay{}, Tracks: []receiptTrack{}, Layers: []receiptLayer{}, Gaps: []receiptGap{}}
		r.users[uid] = u
		r.Users = append(r.Users, u)
	}
	return u
}

// stay takes in that a user joined or left.
func (r *receipt) stay(f spool.Fact) {
	u := r.user(f.UID)
	if f.Identity != "" {
		u.Identity = f.Identity
	}
	at := sinceZero(f.StartMicro)
	if n := len(u.Stays); f.Note != "joined" {
		if n > 0 && u.Stays[n-1].To == nil {
			u.Stays[n-1].To = &at
		}
		return
	}
	u.Stays = append(u.Stays, receiptStay{From: at})
}

// gap takes in that something is missing; at is when that was noted.
func (r *receipt) gap(f spool.Fact, at int64) {
	g := receiptGap{At: at, Track: f.Track, Note: f.Note}
	if f.DurMicro > 0 {
		g.At, g.Dur = sinceZero(f.StartMicro), sinceZero(f.DurMicro)
	}
	if f.UID == "" || f.UID == uidText(0) {
		r.Gaps = append(r.Gaps, g)
		return
	}
	u := r.user(f.UID)
	u.Gaps = append(u.Gaps, g)
}

// file takes in a finished file, and what its tags say of the pictures in it.
func (r *receipt) file(f spool.Fact) {
	if f.Kind == spool.KindReport {
		return // of an end that a kill came before
	}
	r.Files = append(r.Files, receiptFile{
		Name: f.Name, Kind: string(f.Kind), UID: f.UID, Track: f.Track, Start: sinceZero(f.StartMicro),
		Dur: sinceZero(f.DurMicro), Size: f.Size, SHA256: f.SHA256,
	})
	if f.Kind != spool.KindSlice || f.UID == uidText(0) {
		return
	}
	starts := r.starts[f.UID]
	if starts == nil {
		starts = map[string]int64{}
		r.starts[f.UID] = starts
	}
	tracks := []string{f.Track}
	if f.Track == session.TrackBoth {
		tracks = []string{session.TrackAudio, session.TrackVideo}
	}
	for _, t := range tracks {
		if at, ok := starts[t]; !ok || f.StartMicro < at {
			starts[t] = f.StartMicro
		}
	}
	_, kind, _ := strings.Cut(strings.TrimSuffix(f.Index, playlistExt), "__uid_e_")
	for _, tag := range f.Tags {
		if w, h, turn, ok := playlist.ParseRotate(tag); ok {
			u := r.user(f.UID)
			u.Layers = append(u.Layers, receiptLayer{At: sinceZero(f.StartMicro), Type: kind, W: w, H: h, Rotate: turn})
		}
	}
}

// order sorts what came in no order, and leaves out sizes that repeat.
func (r *receipt) order() {
	slices.SortFunc(r.Users, func(a, b *receiptUser) int {
		return cmp.Or(cmp.Compare(len(a.UID), len(b.UID)), cmp.Compare(a.UID, b.UID))
	})
	for _, u := range r.Users {
		slices.SortStableFunc(u.Layers, func(a, b receiptLayer) int {
			return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.At, b.At))
		})
		u.Layers = slices.CompactFunc(u.Layers, func(a, b receiptLayer) bool {
			return a.Type == b.Type && a.W == b.W && a.H == b.H && a.Rotate == b.Rotate
		})
		slices.SortFunc(u.Tracks, func(a, b receiptTrack) int { return cmp.Compare(a.ID, b.ID) })
		slices.SortStableFunc(u.Gaps, func(a, b receiptGap) int { return cmp.Compare(a.At, b.At) })
	}
}
