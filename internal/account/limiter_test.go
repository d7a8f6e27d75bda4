package account

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// cluster is a counter that several limiters share.
type cluster struct {
	mu     sync.Mutex
	counts map[int64]int64 // by window
	calls  atomic.Int64
	broken atomic.Bool
}

func (c *cluster) Add(_ context.Context, _ string, window, n int64) (int64, error) {
	c.calls.Add(1)
	if c.broken.Load() {
		return 0, errors.New("no counter")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[int64]int64{}
	}
	c.counts[window] += n
	return c.counts[window], nil
}

// clock is set by the test.
type clock struct{ unix atomic.Int64 }

func (c *clock) now() time.Time { return time.Unix(c.unix.Load(), 0) }

func limited(t *testing.T, rate int, counter Counter, nodes int) (*Account, []*Limiter, *clock) {
	t.Helper()
	d := directory(t, Account{ID: "one", Secrets: []SecretHash{hashOf(t, secretA)}, Rate: rate})
	a, ok := d.Authenticate([]byte("one"), []byte(secretA))
	if !ok {
		t.Fatal("no account")
	}
	c := &clock{}
	c.unix.Store(1750000000)
	var list []*Limiter
	for range nodes {
		list = append(list, NewLimiter(d, counter, c.now, slog.New(slog.DiscardHandler)))
	}
	return a, list, c
}

// spend makes n requests on the nodes in turn and counts what was allowed.
func spend(nodes []*Limiter, a *Account, n int) (allowed int) {
	for i := range n {
		if nodes[i%len(nodes)].Allow(context.Background(), a) {
			allowed++
		}
	}
	return allowed
}

func TestTenASecond(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		a, list, clock := limited(t, 0, &cluster{}, nodes)
		for range 3 {
			if got := spend(list, a, 100); got != DefaultRate {
				t.Errorf("%d nodes allow %d in a second, want %d", nodes, got, DefaultRate)
			}
			clock.unix.Add(1)
		}
	}
}

func TestBatches(t *testing.T) {
	counter := &cluster{}
	a, list, _ := limited(t, 1000, counter, 1)
	if got := spend(list, a, 5000); got != 1000 {
		t.Errorf("allowed %d of 1000", got)
	}
	// 19 full batches, the shrinking ones behind them, and nothing for the 4000
	// requests in a window that is known to be used up.
	if calls := counter.calls.Load(); calls > 60 {
		t.Errorf("the counter was asked %d times", calls)
	}
}

// However requests fall on the nodes, the cluster allows the limit at most, and
// little less when all nodes are asked.
func TestNeverAboveTheLimitConcurrently(t *testing.T) {
	for _, rate := range []int{10, 500} {
		a, list, clock := limited(t, rate, &cluster{}, 3)
		for range 5 {
			var allowed atomic.Int64
			var wg sync.WaitGroup
			for i := range 12 {
				wg.Go(func() {
					for range 200 {
						if list[i%3].Allow(context.Background(), a) {
							allowed.Add(1)
						}
					}
				})
			}
			wg.Wait()
			got := allowed.Load()
			if got > int64(rate) {
				t.Errorf("allowed %d of %d", got, rate)
			}
			if got < int64(rate)*8/10 {
				t.Errorf("allowed %d only of %d", got, rate)
			}
			clock.unix.Add(1)
		}
	}
}

func TestLeftoversAreNotCarriedOver(t *testing.T) {
	a, list, clock := limited(t, 1000, &cluster{}, 1)
	spend(list, a, 1) // leases a batch
	clock.unix.Add(1)
	if got := spend(list, a, 2000); got != 1000 {
		t.Errorf("allowed %d of 1000 in the next second", got)
	}
}

func TestClockStepsBack(t *testing.T) {
	a, list, clock := limited(t, 10, nil, 1)
	spend(list, a, 10)
	clock.unix.Add(-2)
	if got := spend(list, a, 10); got != 0 {
		t.Errorf("allowed %d more after a small step back", got)
	}
	clock.unix.Add(-3600)
	if got := spend(list, a, 20); got != 10 {
		t.Errorf("allowed %d after a large step back, want 10", got)
	}
}

func TestCounterFails(t *testing.T) {
	counter := &cluster{}
	a, list, clock := limited(t, 10, counter, 1)
	if got := spend(list, a, 4); got != 4 {
		t.Fatalf("allowed %d", got)
	}
	counter.broken.Store(true)
	if got := spend(list, a, 100); got != 6 {
		t.Errorf("allowed %d after the counter failed, want the 6 that were left", got)
	}
	asked := counter.calls.Load()
	clock.unix.Add(1)
	if got := spend(list, a, 100); got != 10 {
		t.Errorf("allowed %d without a counter, want 10", got)
	}
	if n := counter.calls.Load() - asked; n != 0 {
		t.Errorf("a counter that failed was asked %d times in the next second", n)
	}
	counter.broken.Store(false)
	clock.unix.Add(counterRest)
	if got := spend(list, a, 100); got != 10 {
		t.Errorf("allowed %d with the counter back, want 10", got)
	}
	if counter.calls.Load() == asked {
		t.Error("the counter was never asked again")
	}
}

// A client that hangs up does not make the counter look broken.
func TestCancelledRequest(t *testing.T) {
	counter := &cluster{}
	a, list, _ := limited(t, 10, counter, 1)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if !list[0].Allow(ctx, a) || counter.counts[1750000000] != 1 {
		t.Error("the request was not counted by the cluster")
	}
}

func TestUnknownAccount(t *testing.T) {
	_, list, _ := limited(t, 10, nil, 1)
	if list[0].Allow(context.Background(), &Account{ID: "nobody"}) {
		t.Error("an account that is not in the directory is allowed")
	}
}

// A limit that an operator changes holds from the next second on.
func TestChangedLimit(t *testing.T) {
	a, list, clock := limited(t, 10, nil, 1)
	d := list[0].directory
	spend(list, a, 4)
	faster := Account{ID: "one", Secrets: []SecretHash{hashOf(t, secretA)}, Rate: 20}
	if err := d.Set([]Account{faster}); err != nil {
		t.Fatal(err)
	}
	now, _ := d.Account("one")
	if got := spend(list, now, 100); got != 6 {
		t.Errorf("allowed %d more in the same second, want 6", got)
	}
	clock.unix.Add(1)
	if got := spend(list, now, 100); got != 20 {
		t.Errorf("allowed %d in the next second, want 20", got)
	}
}

// Nodes that lose the counter together stay within the limit by sharing it.
func TestSharesWithoutACounter(t *testing.T) {
	counter := &cluster{}
	counter.broken.Store(true)
	a, list, clock := limited(t, 12, counter, 3)
	for _, l := range list {
		l.Among(func() int { return 3 })
	}
	for range 4 {
		if got := spend(list, a, 300); got != 12 {
			t.Errorf("three nodes without a counter allow %d, want 12", got)
		}
		clock.unix.Add(1)
	}
	few, alone, _ := limited(t, 2, counter, 1)
	alone[0].Among(func() int { return 5 })
	if got := spend(alone, few, 10); got != 1 {
		t.Errorf("a share below one request allows %d", got)
	}
}
