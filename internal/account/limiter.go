package account

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Counter counts requests over the whole cluster.
type Counter interface {
	// Add adds n to the count of an account in a window and returns the new
	// total. Windows are numbered by whoever calls; a count may be forgotten some
	// seconds after it was last touched. account is not restricted in its
	// characters.
	Add(ctx context.Context, account string, window, n int64) (total int64, err error)
}

const (
	// batches is how many times a node goes to the counter in a window at most:
	// it leases a batch of limit/batches requests and spends it alone.
	batches = 20
	// counterPatience is how long a request waits for the counter.
	counterPatience = time.Second
	// maxStepBack is how far, in windows, the clock may step back unnoticed.
	maxStepBack = 5
	// counterRest is how many windows the counter is left alone after it failed.
	counterRest = 3
)

// Limiter allows every account its number of requests in each second of the
// clock, over all nodes that share the counter, and never more. When the counter
// cannot be reached a node goes on alone with its share of the limit: better that
// than refusing everybody. It is safe for concurrent use.
type Limiter struct {
	directory *Directory
	counter   Counter
	now       func() time.Time
	log       *slog.Logger
	nodes     func() int // how many share the limit
	budgets   sync.Map   // customer ID → *budget
}

// NewLimiter makes a limiter for the accounts of a directory. counter may be nil
// for a single node.
func NewLimiter(d *Directory, counter Counter, now func() time.Time, log *slog.Logger) *Limiter {
	return &Limiter{directory: d, counter: counter, now: now, log: log, nodes: func() int { return 1 }}
}

// Among tells the limiter how many nodes there are, for when it has to do without
// the counter. It has to be called before the first Allow.
func (l *Limiter) Among(nodes func() int) *Limiter {
	l.nodes = nodes
	return l
}

// budget returns what the account may still do, nil if it is in no directory any
// more.
func (l *Limiter) budget(a *Account) *budget {
	if b, ok := l.budgets.Load(a.ID); ok {
		return b.(*budget)
	}
	if _, ok := l.directory.Account(a.ID); !ok {
		return nil
	}
	b, _ := l.budgets.LoadOrStore(a.ID, &budget{})
	return b.(*budget)
}

// Allow reports whether the account may make one more request now.
func (l *Limiter) Allow(ctx context.Context, a *Account) bool {
	b := l.budget(a)
	if b == nil {
		return false
	}
	window := l.now().Unix()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.enter(window, int64(a.Limit()))
	if b.left > 0 {
		b.left--
		return true
	}
	if b.dead {
		return false
	}
	return l.lease(ctx, a.ID, b)
}

// lease gets the next batch and spends one request of it. Whoever needs the
// counter for the same account waits: a request more could not be decided anyway.
func (l *Limiter) lease(ctx context.Context, account string, b *budget) bool {
	if l.counter == nil || b.window < b.restUntil {
		return b.takeLocal(l.nodes())
	}
	// Without the caller's cancellation: a client that hangs up must not look like
	// a counter that fails.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), counterPatience)
	defer cancel()
	total, err := l.counter.Add(ctx, account, b.window, b.batch)
	if err != nil {
		l.log.Warn("rate limit counter does not answer, this node counts alone for a while; check the connection to the ledger",
			"account", account, "error", err)
		b.restUntil = b.window + counterRest
		return b.takeLocal(l.nodes())
	}
	return b.take(total)
}

// budget is what a node may still allow an account in the present window.
type budget struct {
	mu        sync.Mutex
	limit     int64 // of this window
	window    int64 // Unix seconds
	left      int64 // leased and not spent
	granted   int64 // leased in this window by this node
	batch     int64 // size of the next lease
	dead      bool  // nothing is left in this window
	restUntil int64 // first window in which the counter is asked again
}

// enter begins a new window; a limit that was changed holds from there on. Leases
// are never carried over. A window just gone by is not entered again: its request
// read the clock before it got the lock.
func (b *budget) enter(window, limit int64) {
	if window == b.window || (window < b.window && b.window-window <= maxStepBack) {
		return
	}
	b.limit = limit
	b.window, b.left, b.granted, b.dead, b.batch = window, 0, 0, false, b.most()
}

// most is the largest batch.
func (b *budget) most() int64 { return max(1, b.limit/batches) }

// take books a batch after which the cluster stands at total. The nearer the
// limit, the smaller the next batch, so that little lies unspent on a node while
// another has to refuse.
func (b *budget) take(total int64) bool {
	got := b.batch - max(0, total-b.limit)
	b.dead = total >= b.limit
	if got <= 0 {
		return false
	}
	b.granted += got
	b.left = got - 1
	b.batch = min(b.most(), max(1, (b.limit-total)/4))
	return true
}

// takeLocal books one request without the counter, out of this node's share of the
// limit: what the counter granted before in this window counts as well.
func (b *budget) takeLocal(nodes int) bool {
	if b.granted >= max(1, b.limit/int64(max(1, nodes))) {
		b.dead = true
		return false
	}
	b.granted++
	return true
}
