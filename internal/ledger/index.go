package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// index counts the live recordings of every app by watching the slots that
// they hold, so that a quota is checked without a question to the server.
type index struct {
	watch  jetstream.KeyWatcher
	cancel context.CancelFunc
	done   chan struct{}
	ready  chan struct{}

	mu    sync.Mutex
	slots map[string]string // key of the slot → app
	apps  map[string]int
}

func watchIndex(ctx context.Context, kv jetstream.KeyValue) (*index, error) {
	// The watch lives until stop, the caller's context only bounds its start.
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w, err := kv.Watch(own, "inst.*")
	if err != nil {
		cancel()
		return nil, fmt.Errorf("ledger: watch live recordings: %w", err)
	}
	x := &index{watch: w, cancel: cancel, done: make(chan struct{}), ready: make(chan struct{}), slots: map[string]string{}, apps: map[string]int{}}
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
		app := ""
		if e.Operation() == jetstream.KeyValuePut {
			var h holder
			if json.Unmarshal(e.Value(), &h) == nil {
				app = h.App
			}
		}
		x.set(e.Key(), app)
	}
}

func (x *index) set(key, app string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if old, ok := x.slots[key]; ok {
		delete(x.slots, key)
		if x.apps[old]--; x.apps[old] == 0 {
			delete(x.apps, old)
		}
	}
	if app != "" {
		x.slots[key] = app
		x.apps[app]++
	}
}

func (x *index) count(app string) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.apps[app]
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
