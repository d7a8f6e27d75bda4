package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tapedeck/internal/session"
)

const (
	nodesBucket = "tapedeck_nodes"
	// presenceTTL is how long a node counts as there after it was last heard of,
	// unless Options say otherwise. It says so four times as often.
	presenceTTL   = 20 * time.Second
	presenceBeats = 4
)

// presence is the value of a node's entry.
type presence struct {
	Region string `json:"region"`
}

// nodes knows which nodes are there, by watching their entries, so that acquire
// asks nobody.
type nodes struct {
	kv     jetstream.KeyValue
	ttl    time.Duration
	watch  jetstream.KeyWatcher
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	regions map[string]string // key → region
}

func openNodes(ctx context.Context, js jetstream.JetStream, replicas int, ttl time.Duration) (*nodes, error) {
	ctx, stop := context.WithTimeout(ctx, callTimeout)
	defer stop()
	kv, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: nodesBucket, Description: "nodes that are there",
		Storage: jetstream.FileStorage, Replicas: replicas, TTL: ttl, LimitMarkerTTL: markerTTL,
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: create the list of nodes: %w", err)
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w, err := kv.WatchAll(own)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("ledger: watch the nodes: %w", err)
	}
	n := &nodes{kv: kv, ttl: ttl, watch: w, cancel: cancel, done: make(chan struct{}), regions: map[string]string{}}
	if err := n.first(ctx); err != nil {
		cancel()
		return nil, err
	}
	go n.run()
	return n, nil
}

// first takes in what is there already: an acquire right after the start must
// not find an empty world.
func (n *nodes) first(ctx context.Context) error {
	for {
		select {
		case e, ok := <-n.watch.Updates():
			if !ok || e == nil {
				return nil
			}
			n.see(e)
		case <-ctx.Done():
			return fmt.Errorf("ledger: list the nodes: %w", ctx.Err())
		}
	}
}

func (n *nodes) run() {
	defer close(n.done)
	for e := range n.watch.Updates() {
		if e != nil {
			n.see(e)
		}
	}
}

func (n *nodes) see(e jetstream.KeyValueEntry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var p presence
	if e.Operation() != jetstream.KeyValuePut || json.Unmarshal(e.Value(), &p) != nil {
		delete(n.regions, e.Key())
		return
	}
	n.regions[e.Key()] = p.Region
}

func (n *nodes) stop() {
	_ = n.watch.Stop()
	n.cancel()
	<-n.done
}

// HasNode reports whether a node is there for one of the places, or any at all
// when none is named. It asks no server. A node that dies is missed after 20 s.
func (l *Ledger) HasNode(places ...string) bool {
	l.nodes.mu.Lock()
	defer l.nodes.mu.Unlock()
	for _, region := range l.nodes.regions {
		if len(places) == 0 || slices.Contains(places, region) || slices.Contains(places, session.PlaceAny) {
			return true
		}
	}
	return false
}

// CountNodes returns how many nodes are there. It asks no server.
func (l *Ledger) CountNodes() int {
	l.nodes.mu.Lock()
	defer l.nodes.mu.Unlock()
	return len(l.nodes.regions)
}

// Announce makes the node called name, of a region or of none, known to all
// until stop is called. It must be able to take recordings by then.
func (l *Ledger) Announce(ctx context.Context, region, name string) (stop func(), err error) {
	value, err := json.Marshal(presence{Region: region})
	if err != nil {
		return nil, err
	}
	say := func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, l.nodes.ttl/presenceBeats)
		defer cancel()
		_, err := l.nodes.kv.Put(ctx, name, value)
		return err
	}
	first, done := context.WithTimeout(ctx, callTimeout)
	defer done()
	if _, err := l.nodes.kv.Put(first, name, value); err != nil {
		return nil, fmt.Errorf("ledger: announce node %s: %w", name, err)
	}
	beat, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var beating sync.WaitGroup
	beating.Go(func() {
		t := time.NewTicker(l.nodes.ttl / presenceBeats)
		defer t.Stop()
		for {
			select {
			case <-beat.Done():
				return
			case <-t.C:
				if err := say(beat); err != nil && beat.Err() == nil {
					l.log.Warn("this node cannot say that it is there; others will not count on it", "error", err)
				}
			}
		}
	})
	return func() {
		cancel()
		beating.Wait()
		gone, done := context.WithTimeout(context.Background(), unserveTimeout)
		defer done()
		if err := l.nodes.kv.Purge(gone, name); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			l.log.Warn("this node cannot say that it leaves; it is missed after a while", "error", err)
		}
	}, nil
}
