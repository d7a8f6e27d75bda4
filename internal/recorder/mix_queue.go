package recorder

import (
	"sync"

	"tapedeck/internal/channel"
)

// Bounds of the queue between the room and the mix, in bytes of media. They are
// reached only when the worker cannot keep up for many seconds. Pictures go
// first: a frozen tile is less of a loss than a missing sentence.
const (
	queueVideoBytes = 12 << 20
	queueAudioBytes = 16 << 20
)

// mixQueue takes events from the source's goroutine without ever blocking it.
type mixQueue struct {
	mu     sync.Mutex
	events []channel.Event
	bytes  int
	lost   map[string]int // track ID → units dropped since its last one that was kept
	drops  int64
}

func newMixQueue() *mixQueue { return &mixQueue{lost: map[string]int{}} }

func (q *mixQueue) push(ev channel.Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch e := ev.(type) {
	case channel.Media:
		limit := queueAudioBytes
		if e.Track.Codec.Video() {
			limit = queueVideoBytes
		}
		if q.bytes+len(e.Unit.Data) > limit {
			q.lost[e.Track.ID]++
			q.drops++
			return
		}
		if n := q.lost[e.Track.ID]; n > 0 {
			e.Unit.Gap += n
			delete(q.lost, e.Track.ID)
			ev = e
		}
		q.bytes += len(e.Unit.Data)
	case channel.Ended:
		delete(q.lost, e.Track.ID)
	}
	q.events = append(q.events, ev)
}

// take exchanges the queued events for an empty slice to reuse, and tells how
// many units were dropped since the last call.
func (q *mixQueue) take(empty []channel.Event) (events []channel.Event, drops int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	clear(empty) // let go of the media of the last round
	events, drops = q.events, q.drops
	q.events, q.bytes, q.drops = empty[:0], 0, 0
	return events, drops
}
