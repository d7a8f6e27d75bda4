package notify

import (
	"container/heap"
	"time"
)

// item is an entry on its way to an endpoint.
type item struct {
	Entry
	tries int
}

// lane is the entries of one recording, of which only the first is on its way.
type lane struct {
	sid   string
	items []*item
	busy  bool      // an attempt is under way
	due   time.Time // of the next attempt; zero: at once
}

// lanes are all recordings that have something for an endpoint: those that are
// ready, in the order in which they became so, and those that wait to try
// again, by time.
type lanes struct {
	all     map[string]*lane
	ready   []*lane
	waiting dueHeap
}

func newLanes() *lanes { return &lanes{all: map[string]*lane{}} }

// add puts an entry behind those of its recording.
func (l *lanes) add(i *item) {
	x := l.all[i.Event.SID]
	if x == nil {
		x = &lane{sid: i.Event.SID}
		l.all[x.sid] = x
		l.ready = append(l.ready, x)
	}
	x.items = append(x.items, i)
}

// next takes the lane whose turn it is, nil if none is ready.
func (l *lanes) next(now time.Time) *lane {
	for len(l.waiting) > 0 && !l.waiting[0].due.After(now) {
		l.ready = append(l.ready, heap.Pop(&l.waiting).(*lane))
	}
	if len(l.ready) == 0 {
		return nil
	}
	x := l.ready[0]
	l.ready[0] = nil
	l.ready = l.ready[1:]
	x.busy = true
	return x
}

// done removes the first entry of a lane.
func (l *lanes) done(x *lane) {
	x.busy = false
	x.items[0] = nil
	x.items = x.items[1:]
	if len(x.items) == 0 {
		delete(l.all, x.sid)
		return
	}
	x.due = time.Time{}
	l.ready = append(l.ready, x)
}

// again lets a lane wait until due.
func (l *lanes) again(x *lane, due time.Time) {
	x.busy, x.due = false, due
	heap.Push(&l.waiting, x)
}

// hurry makes all waiting lanes ready: the endpoint is back.
func (l *lanes) hurry() {
	for len(l.waiting) > 0 {
		l.ready = append(l.ready, heap.Pop(&l.waiting).(*lane))
	}
}

// first returns when the next waiting lane is due.
func (l *lanes) first() (time.Time, bool) {
	if len(l.waiting) == 0 {
		return time.Time{}, false
	}
	return l.waiting[0].due, true
}

// dueHeap implements heap.Interface.
type dueHeap []*lane

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *dueHeap) Push(x any) { *h = append(*h, x.(*lane)) }

// Pop implements heap.Interface.
func (h *dueHeap) Pop() any {
	old := *h
	l := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return l
}
