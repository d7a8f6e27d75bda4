package upload

import (
	"context"
	"sync"
)

// Gate bounds how many files a node sends at once, over all recordings. Who
// waits longest is let in first, and a recording asks for a few places at a
// time, so that none starves another. One destination gets three quarters of
// the places at most, so that a store that hangs does not stop the others;
// large files get half, so that slices always find a place.
type Gate struct {
	slots, large chan struct{}
	each         int // places for one destination

	mu    sync.Mutex
	lanes map[string]*lane
}

type lane struct {
	slots chan struct{}
	users int
}

// NewGate returns a gate for n files at a time, at least one.
func NewGate(n int) *Gate {
	n = max(n, 1)
	return &Gate{
		slots: make(chan struct{}, n), large: make(chan struct{}, max(n/2, 1)),
		each: max(n*3/4, 1), lanes: map[string]*lane{},
	}
}

// Enter waits for a place for a file to the given destination. leave gives it
// back. A nil gate is open; a destination without a name is not counted.
func (g *Gate) Enter(ctx context.Context, destination string, large bool) (leave func(), err error) {
	if g == nil {
		return func() {}, ctx.Err()
	}
	var wanted []chan struct{}
	if destination != "" {
		wanted = append(wanted, g.lane(destination).slots)
	}
	if large {
		wanted = append(wanted, g.large)
	}
	wanted = append(wanted, g.slots)
	var got []chan struct{}
	leave = func() {
		for _, c := range got {
			<-c
		}
		g.forget(destination)
	}
	for _, c := range wanted {
		select {
		case c <- struct{}{}:
			got = append(got, c)
		case <-ctx.Done():
			leave()
			return nil, ctx.Err()
		}
	}
	return leave, nil
}

func (g *Gate) lane(destination string) *lane {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.lanes[destination]
	if l == nil {
		l = &lane{slots: make(chan struct{}, g.each)}
		g.lanes[destination] = l
	}
	l.users++
	return l
}

func (g *Gate) forget(destination string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.lanes[destination]; l != nil {
		if l.users--; l.users == 0 {
			delete(g.lanes, destination)
		}
	}
}
