package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"tapedeck/internal/outbound"
)

// Config is what a Dispatcher needs. Members without a default are required.
type Config struct {
	Store     Store
	Node      string            // the name of this node; it keeps it over restarts
	Endpoints func() []Endpoint // all that are valid now; asked again and again
	Policy    outbound.Policy   // which addresses may be connected to
	TLS       *tls.Config       // nil: the system's certificates
	// Unseal opens what Event.Sealed holds; nil: nothing can be opened.
	Unseal  func(sid string, sealed []byte) ([]byte, error)
	Timeout time.Duration // of one attempt; 0: 10 s (events.md 3)
	Now     func() time.Time
	Metrics *Metrics     // nil: none
	Log     *slog.Logger // nil: none
	// Solo: no other node delivers, so none has to be shown that this one lives.
	Solo bool

	times times
}

// times are the patience of a Dispatcher; tests shorten it.
type times struct {
	refresh time.Duration // between looks at the endpoints
	lease   time.Duration // a position that nobody writes for so long is anybody's
	beat    time.Duration // between writes of a position that does not change
	save    time.Duration // between writes of one that does
	poll    time.Duration // between looks at the clock
	retry   time.Duration // after a failure of the store
	grace   time.Duration // for attempts under way at the end
	window  int           // entries of an endpoint that are held in memory
}

func (t times) withDefaults() times {
	def := times{
		refresh: 5 * time.Second, lease: 15 * time.Second, beat: 5 * time.Second, save: 200 * time.Millisecond,
		poll: time.Second, retry: time.Second, grace: 3 * time.Second, window: 4096,
	}
	for _, p := range []struct{ v, d *time.Duration }{
		{&t.refresh, &def.refresh}, {&t.lease, &def.lease}, {&t.beat, &def.beat}, {&t.save, &def.save},
		{&t.poll, &def.poll}, {&t.retry, &def.retry}, {&t.grace, &def.grace},
	} {
		if *p.v == 0 {
			*p.v = *p.d
		}
	}
	if t.window == 0 {
		t.window = def.window
	}
	return t
}

func (c Config) withDefaults() Config {
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Unseal == nil {
		c.Unseal = func(string, []byte) ([]byte, error) { return nil, errors.New("notify: no key") }
	}
	c.times = c.times.withDefaults()
	if c.Solo {
		c.times.beat = max(c.times.beat, time.Minute)
	}
	return c
}

// Dispatcher delivers what is in the outbox. Every node runs one; for each
// endpoint one of them is at work at a time.
type Dispatcher struct {
	cfg  Config
	stop context.CancelFunc
	done sync.WaitGroup

	mu      sync.Mutex
	serving map[string]*service
}

// service is one endpoint that this node looks after.
type service struct {
	ep   Endpoint
	stop context.CancelFunc
	gone chan struct{}
}

// Start begins to deliver. When it returns, everything that is appended to the
// outbox from now on will reach the endpoints that there are now.
func Start(ctx context.Context, cfg Config) (*Dispatcher, error) {
	d := &Dispatcher{cfg: cfg.withDefaults(), serving: map[string]*service{}}
	var fresh []Endpoint
	for _, ep := range d.cfg.Endpoints() {
		isNew, err := d.introduce(ctx, ep)
		if err != nil {
			return nil, err
		}
		if isNew {
			fresh = append(fresh, ep)
		}
	}
	ctx, d.stop = context.WithCancel(context.WithoutCancel(ctx))
	for _, ep := range fresh {
		d.try(ctx, ep)
	}
	d.done.Go(func() { d.manage(ctx) })
	return d, nil
}

// Close ends the deliveries. Attempts under way are waited for, a little.
func (d *Dispatcher) Close() {
	d.stop()
	d.done.Wait()
}

// Drain waits until everything that is in the outbox now was delivered, or ctx
// ends. What an endpoint does not take stays for later.
func (d *Dispatcher) Drain(ctx context.Context) {
	for _, ep := range d.cfg.Endpoints() {
		tail, err := d.cfg.Store.Tail(ctx, ep.App)
		for err == nil {
			p, _, err := d.cfg.Store.Position(ctx, ep.ID())
			failing := slices.ContainsFunc(p.Open, func(o Open) bool { return o.Tries > 0 })
			if err != nil || failing || p.Holder != d.cfg.Node || (p.Head >= tail && len(p.Open) == 0) {
				break
			}
			if !pass(ctx, d.cfg.times.save/4) {
				return
			}
		}
	}
}

// introduce gives a new endpoint its position: behind everything that was
// there before it. It reports whether the endpoint is new.
func (d *Dispatcher) introduce(ctx context.Context, ep Endpoint) (bool, error) {
	p, rev, err := d.cfg.Store.Position(ctx, ep.ID())
	if err != nil || p.V != 0 {
		return false, err
	}
	tail, err := d.cfg.Store.Tail(ctx, "")
	if err != nil {
		return false, err
	}
	_, err = d.cfg.Store.SavePosition(ctx, ep.ID(), Position{Head: tail}, rev)
	if errors.Is(err, ErrTaken) {
		return false, nil // another node introduced it
	}
	return err == nil, err
}

// manage keeps a service for each endpoint.
func (d *Dispatcher) manage(ctx context.Context) {
	t := time.NewTicker(d.cfg.times.refresh)
	defer t.Stop()
	for {
		d.refresh(ctx)
		select {
		case <-ctx.Done():
			d.endAll()
			return
		case <-t.C:
		}
	}
}

func (d *Dispatcher) refresh(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	want := map[string]Endpoint{}
	for _, ep := range d.cfg.Endpoints() {
		want[ep.ID()] = ep
	}
	for id, s := range d.serving {
		if ep, ok := want[id]; ok && reflect.DeepEqual(ep, s.ep) {
			delete(want, id)
			continue
		}
		s.stop() // gone or changed
		<-s.gone
		delete(d.serving, id)
	}
	for id, ep := range want {
		own, stop := context.WithCancel(ctx)
		s := &service{ep: ep, stop: stop, gone: make(chan struct{})}
		d.serving[id] = s
		d.done.Go(func() {
			defer close(s.gone)
			d.serve(own, ep)
		})
	}
}

func (d *Dispatcher) endAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, s := range d.serving {
		s.stop()
		delete(d.serving, id)
	}
}

// serve delivers to an endpoint whenever nobody else does.
func (d *Dispatcher) serve(ctx context.Context, ep Endpoint) {
	log := d.logFor(ep)
	for ctx.Err() == nil {
		fresh, err := d.introduce(ctx, ep)
		if err == nil {
			if fresh {
				d.try(ctx, ep)
			}
			err = d.deliver(ctx, ep, log)
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, ErrTaken) {
			log.Warn("webhooks are interrupted and go on in a moment", "error", err)
		}
		if !pass(ctx, d.cfg.times.retry) {
			return
		}
	}
}

// try sends test events to an endpoint that has just been configured.
func (d *Dispatcher) try(ctx context.Context, ep Endpoint) {
	d.done.Go(func() {
		if results := Check(ctx, ep, d.cfg); ctx.Err() == nil {
			Report(d.logFor(ep), results)
		}
	})
}

func (d *Dispatcher) logFor(ep Endpoint) *slog.Logger {
	return d.cfg.Log.With("app", ep.App, "endpoint", ep.ID(), "url", ep.Place())
}

// deliver waits until the position is free and delivers while it is ours.
func (d *Dispatcher) deliver(ctx context.Context, ep Endpoint, log *slog.Logger) error {
	p, rev, err := d.await(ctx, ep.ID())
	if err != nil {
		return err
	}
	if p.Holder != "" && p.Holder != d.cfg.Node {
		log.Warn("the node that delivered is silent: this one goes on", "node", p.Holder)
	}
	p.Holder = d.cfg.Node
	if rev, err = d.cfg.Store.SavePosition(ctx, ep.ID(), p, rev); err != nil {
		return err
	}
	log.Debug("delivering webhooks", "open", len(p.Open))
	return newCourier(ep, d.cfg, log, rev).run(ctx, p)
}

// await returns the position once nobody else works on it: it was given up, it
// is our own from an earlier run, or it did not change for a whole lease. Only
// this node's clock counts.
func (d *Dispatcher) await(ctx context.Context, id string) (Position, uint64, error) {
	var seen uint64
	var since time.Time
	for {
		p, rev, err := d.cfg.Store.Position(ctx, id)
		if err != nil {
			return p, 0, err
		}
		if rev != seen {
			seen, since = rev, time.Now()
		}
		if p.Holder == "" || p.Holder == d.cfg.Node || time.Since(since) > d.cfg.times.lease {
			return p, rev, nil
		}
		if !pass(ctx, d.cfg.times.lease/5) {
			return p, 0, ctx.Err()
		}
	}
}

// pass waits; false: ctx ended first.
func pass(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
