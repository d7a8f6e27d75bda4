package livekit

import (
	"sync"

	"tapedeck/internal/channel"
)

// Bounds of what waits for a slow receiver, in access units: some 15 s of four
// cameras, and a minute of as many microphones. Pictures are dropped long
// before sound, and what happens in the room is never dropped.
const (
	maxVideo = 2000
	maxAudio = 12000
	maxBytes = 64 << 20 // of pictures
)

// queue hands events from the many goroutines of a connection to the one that
// calls the receiver.
type queue struct {
	mu           sync.Mutex
	events       []channel.Event
	video, audio int
	bytes        int
	lostVideo    int64
	lostAudio    int64
	wake         chan struct{}
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// push appends an event. It reports false for media that is dropped because too
// much is waiting.
func (q *queue) push(ev channel.Event) bool {
	q.mu.Lock()
	if m, ok := ev.(channel.Media); ok && !q.admit(m) {
		q.mu.Unlock()
		return false
	}
	q.events = append(q.events, ev)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return true
}

func (q *queue) admit(m channel.Media) bool {
	if !m.Track.Codec.Video() {
		if q.audio >= maxAudio {
			q.lostAudio++
			return false
		}
		q.audio++
		return true
	}
	if q.video >= maxVideo || q.bytes+len(m.Unit.Data) > maxBytes {
		q.lostVideo++
		return false
	}
	q.video++
	q.bytes += len(m.Unit.Data)
	return true
}

// take returns all that waits.
func (q *queue) take() []channel.Event {
	q.mu.Lock()
	defer q.mu.Unlock()
	events := q.events
	q.events = nil
	q.video, q.audio, q.bytes = 0, 0, 0
	return events
}

func (q *queue) drops() (video, audio int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lostVideo, q.lostAudio
}
