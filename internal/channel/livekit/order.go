package livekit

import (
	"cmp"
	"reflect"
	"slices"

	lksdk "github.com/livekit/server-sdk-go/v2"

	"tapedeck/internal/channel"
)

// joinedAt is when the server let a participant in, in Unix ms by its clock; 0 if
// that cannot be known. The library has it and does not tell: reflection reads
// its field. TestOrderOfJoining fails when a new version moves it.
func joinedAt(rp *lksdk.RemoteParticipant) int64 {
	info := reflect.Indirect(reflect.ValueOf(rp)).FieldByName("info")
	if info.Kind() != reflect.Pointer || info.IsNil() {
		return 0
	}
	ms := info.Elem().FieldByName("JoinedAtMs")
	if ms.Kind() != reflect.Int64 {
		return 0
	}
	return ms.Int()
}

// inOrder sorts the participants we found in the room by the time they joined:
// the library has them in a map.
func inOrder(present []*lksdk.RemoteParticipant) {
	slices.SortStableFunc(present, func(a, b *lksdk.RemoteParticipant) int {
		return cmp.Compare(joinedAt(a), joinedAt(b))
	})
}

// joinsFirst puts the Joined events of those who were there before us in front
// and in the order of present. Where somebody has left again meanwhile, the
// order of events means more than that of the layout and stays.
func joinsFirst(held []channel.Event, present []*lksdk.RemoteParticipant) {
	rank := make(map[string]int, len(present))
	for i, rp := range present {
		rank[rp.Identity()] = i
	}
	place := func(ev channel.Event) int {
		if j, ok := ev.(channel.Joined); ok {
			if r, ok := rank[j.User.Identity]; ok {
				return r
			}
		}
		return len(present)
	}
	for _, ev := range held {
		if _, left := ev.(channel.Left); left {
			return
		}
	}
	slices.SortStableFunc(held, func(a, b channel.Event) int { return cmp.Compare(place(a), place(b)) })
}
