package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"tapedeck/internal/session"
)

// index counts the live recordings of every app by watching the slots that
// they hold, so that a quota is checked without a question to the server.
type index struct {
	watch  jetstream.KeyWatcher
	cancel context.CancelFunc
	done   chan struct{}
	ready  chan struct{}

	mu    sync.Mutex
	slots map[string]slot // by key
	apps  map[string]map[string]slot
	moved chan struct{} // closed at the next change
}

// slot is one live recording.
type slot struct {
	holder
	rev uint64 // when it was claimed, in the order of all claims
}

func watchIndex(ctx context.Context, kv jetstream.KeyValue) (*index, error) {
	// The watch lives until stop, the caller's context only bounds its start.
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w, err := kv.Watch(own, "inst.*")
	if err != nil {
		cancel()
		return nil, fmt.Errorf("ledger: watch live recordings: %w", err)
	}
	x := &index{watch: w, cancel: cancel, done: make(chan struct{}), ready: make(chan struct{}), slots: map[string]slot{}, apps: map[string]map[string]slot{}, moved: make(chan struct{})}
	go x.run()
	return x, nil
}

func (x *index) run() {
	defer close(x.done)
	first := true
	for e := range x.watch.Updates() {
		if e == nil {
			if first {
				close(x.ready)
				first = false
			}
			continue
		}
		var h holder
		if e.Operation() != jetstream.KeyValuePut || json.Unmarshal(e.Value(), &h) != nil {
			h = holder{}
		}
		x.set(e.Key(), slot{h, e.Revision()})
	}
}

func (x *index) set(key string, s slot) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if old, ok := x.slots[key]; ok {
		delete(x.slots, key)
		delete(x.apps[old.App], key)
		if len(x.apps[old.App]) == 0 {
			delete(x.apps, old.App)
		}
	}
	if s.App != "" {
		x.slots[key] = s
		if x.apps[s.App] == nil {
			x.apps[s.App] = map[string]slot{}
		}
		x.apps[s.App][key] = s
	}
	close(x.moved)
	x.moved = make(chan struct{})
}

func (x *index) count(app string, modes []session.Mode) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(modes) == 0 {
		return len(x.apps[app])
	}
	n := 0
	for _, s := range x.apps[app] {
		if slices.Contains(modes, s.Mode) {
			n++
		}
	}
	return n
}

// rank returns the place of rec among the live recordings of its app, and among
// those of the modes, in the order in which they were claimed. Until the claim
// itself was seen, it returns a channel that is closed at the next change.
func (x *index) rank(rec Record, modes []session.Mode) (all, ofModes int, wait <-chan struct{}) {
	x.mu.Lock()
	defer x.mu.Unlock()
	own, ok := x.slots[rec.instance()]
	if !ok || own.SID != rec.SID {
		return 0, 0, x.moved
	}
	for _, s := range x.apps[rec.App] {
		if s.rev > own.rev {
			continue
		}
		all++
		if slices.Contains(modes, s.Mode) {
			ofModes++
		}
	}
	return all, ofModes, nil
}

// synced waits until everything stored at the start was seen.
func (x *index) synced(ctx context.Context) error {
	select {
	case <-x.ready: // always but at the start, and without a timer: every acquire asks
		return nil
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	select {
	case <-x.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (x *index) stop() {
	_ = x.watch.Stop()
	x.cancel()
	<-x.done
}
