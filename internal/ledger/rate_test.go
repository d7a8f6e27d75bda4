package ledger

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"tapedeck/internal/account"
)

// asked counts the round trips to the counter, and those that failed.
type asked struct {
	*Counter
	n, failed atomic.Int64
}

func (a *asked) Add(ctx context.Context, key string, window, n int64) (int64, error) {
	a.n.Add(1)
	sum, err := a.Counter.Add(ctx, key, window, n)
	if err != nil {
		a.failed.Add(1)
	}
	return sum, err
}

// failures tells a machine that is too busy for this test: a node that waits too
// long for the counter counts alone for a while.
func failures(all []*asked) (n int64) {
	for _, a := range all {
		n += a.failed.Load()
	}
	return n
}

// Three nodes, each with a connection of its own over TCP, never allow more than
// the limit together in any second, waste little of it, and seldom ask.
func TestRateOverNodes(t *testing.T) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("NATS does not start")
	}
	for _, limit := range []int{10, 500} {
		hash, err := account.HashSecret("0123456789abcdef0123456789abcdef")
		if err != nil {
			t.Fatal(err)
		}
		directory, err := account.NewDirectory([]account.Account{{ID: "c", Secrets: []account.SecretHash{hash}, Rate: limit}})
		if err != nil {
			t.Fatal(err)
		}
		c, _ := directory.Account("c")
		var second atomic.Int64
		second.Store(1750000000 + int64(limit)*1000)
		now := func() time.Time { return time.Unix(second.Load(), 0) }
		var nodes []*account.Limiter
		var counters []*asked
		for range 3 {
			nc, err := nats.Connect(s.ClientURL())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(nc.Close)
			l, err := Open(t.Context(), nc, Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(l.Close)
			counters = append(counters, &asked{Counter: l.Counter()})
			nodes = append(nodes, account.NewLimiter(directory, counters[len(counters)-1], now, slog.New(slog.DiscardHandler)))
		}
		const seconds, calls = 5, 3 * 4 * 400
		for range seconds {
			var allowed atomic.Int64
			var wg sync.WaitGroup
			for i := range 12 {
				wg.Go(func() {
					for range calls / 12 {
						if nodes[i%3].Allow(t.Context(), c) {
							allowed.Add(1)
						}
					}
				})
			}
			wg.Wait()
			if n := failures(counters); n > 0 {
				t.Skipf("the counter did not answer in time %d times", n)
			}
			if n := allowed.Load(); n > int64(limit) || n < int64(limit)*8/10 {
				t.Errorf("limit %d: %d of %d calls were allowed in a second", limit, n, calls)
			}
			second.Add(1)
		}
		trips := int64(0)
		for _, k := range counters {
			trips += k.n.Load()
		}
		if trips > seconds*3*60 {
			t.Errorf("limit %d: %d round trips for %d calls", limit, trips, seconds*calls)
		}
		t.Logf("limit %d: %d round trips for %d calls", limit, trips, seconds*calls)
	}
}
