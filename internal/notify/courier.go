package notify

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"
)

// courier delivers to one endpoint, as long as this node holds its position.
// run's goroutine owns the state; attempts and writes of the position run
// beside it.
type courier struct {
	ep     Endpoint
	id     string
	cfg    Config
	log    *slog.Logger
	sender *sender

	lanes   *lanes
	items   map[uint64]*item // by place
	head    uint64
	running int
	failing bool // the newest attempt failed

	rev    uint64
	saved  time.Time // when the position was last known to be ours, monotonic
	dirty  bool
	saving bool

	entries chan Entry
	results chan result
	saves   chan saveResult
	broken  chan error // the follower's end
}

type result struct {
	lane *lane
	item *item
	err  error
	dead bool // it was given up and buried
	took time.Duration
}

type saveResult struct {
	rev     uint64
	started time.Time
	err     error
}

func newCourier(ep Endpoint, cfg Config, log *slog.Logger, rev uint64) *courier {
	return &courier{
		ep: ep, id: ep.ID(), cfg: cfg, log: log, sender: newSender(ep, cfg), rev: rev, saved: time.Now(),
		lanes: newLanes(), items: map[uint64]*item{},
		entries: make(chan Entry), results: make(chan result, ep.concurrency()), saves: make(chan saveResult, 1), broken: make(chan error, 1),
	}
}

// run delivers until ctx ends or another node has the position; then it waits
// for the attempts under way and gives the position up.
func (c *courier) run(ctx context.Context, p Position) error {
	defer c.sender.close()
	defer c.cfg.Metrics.forget(c.id)
	if err := c.resume(ctx, p); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go c.follow(ctx)
	timer := time.NewTimer(0)
	defer timer.Stop()
	var err error
	for err == nil {
		c.launch(ctx)
		c.save(ctx)
		c.cfg.Metrics.waiting(c.id, len(c.items))
		entries := c.entries
		if len(c.items) >= c.cfg.times.window {
			entries = nil // what an endpoint does not take stays in the ledger
		}
		timer.Reset(c.sleep())
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case err = <-c.broken:
		case e := <-entries:
			c.take(e, Open{})
		case r := <-c.results:
			c.settle(r)
		case s := <-c.saves:
			err = c.afterSave(s)
		case <-timer.C:
		}
	}
	cancel()
	c.leave(err)
	return err
}

// resume takes up the entries that an earlier courier left open.
func (c *courier) resume(ctx context.Context, p Position) error {
	c.head = p.Head
	for _, o := range p.Open {
		e, err := c.cfg.Store.Entry(ctx, o.Place)
		if errors.Is(err, ErrGone) {
			c.log.Error("an event was kept too short a time to be delivered", "place", o.Place)
			continue
		}
		if err != nil {
			return err
		}
		c.take(e, o)
	}
	c.head = p.Head
	return nil
}

// follow feeds new entries to run.
func (c *courier) follow(ctx context.Context) {
	err := c.cfg.Store.Follow(ctx, c.ep.App, c.id, c.head, func(e Entry) {
		select {
		case c.entries <- e:
		case <-ctx.Done():
		}
	})
	if err == nil {
		err = errors.New("notify: the outbox gives no more events")
	}
	c.broken <- err
}

func (c *courier) take(e Entry, o Open) {
	c.head = max(c.head, e.Place)
	c.dirty = true
	if !c.ep.Wants(e.Event.Type) {
		return
	}
	i := &item{Entry: e, tries: o.Tries}
	c.items[e.Place] = i
	c.lanes.add(i)
}

// launch starts as many attempts as the endpoint may have at a time. When the
// position could not be saved for long, another node may have taken over.
func (c *courier) launch(ctx context.Context) {
	if time.Since(c.saved) > c.cfg.times.lease*3/4 {
		c.dirty = true // it is saved first
		return
	}
	for c.running < c.ep.concurrency() {
		l := c.lanes.next(c.cfg.Now())
		if l == nil {
			return
		}
		c.running++
		go c.attempt(ctx, l, *l.items[0])
	}
}

// attempt sends one event. An event that is given up is buried before anybody
// forgets it.
func (c *courier) attempt(ctx context.Context, l *lane, i item) {
	start := time.Now()
	// An attempt under way is not torn when the node stops: it has its own timeout.
	sendCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.Timeout)
	defer cancel()
	r := result{lane: l, item: &i, err: c.sender.send(sendCtx, i.Event)}
	r.took = time.Since(start)
	i.tries++
	unsendable := errors.Is(r.err, errUnsendable)
	if r.err != nil && (unsendable || c.ep.giveUp(i.tries, i.At, c.cfg.Now())) {
		err := c.cfg.Store.Bury(context.WithoutCancel(ctx), Dead{
			Endpoint: c.id, URL: c.ep.Place(), Event: i.Event, Tries: i.tries, At: c.cfg.Now().UnixMilli(), Error: r.err.Error(),
		})
		if r.dead = err == nil; !r.dead {
			c.log.Warn("a dead letter cannot be kept now, so the event is tried again", "error", err)
		}
	}
	c.results <- r
}

func (c *courier) settle(r result) {
	c.running--
	c.cfg.Metrics.attempt(c.id, errorClass(r.err), r.took)
	e := r.item.Event
	switch {
	case r.err == nil:
		c.cfg.Metrics.delivered(c.id, c.cfg.Now().Sub(r.item.At))
		c.finish(r)
		if c.failing {
			c.failing = false
			c.log.Info("the endpoint takes events again", "waiting", len(c.items))
			c.lanes.hurry()
		}
	case r.dead:
		c.failing = true
		c.cfg.Metrics.died(c.id)
		c.log.Error("an event is given up; `tapedeck events replay` sends it again", "sid", e.SID, "event", int(e.Type), "notice", e.ID, "tries", r.item.tries, "error", r.err)
		c.finish(r)
	default:
		if !c.failing || r.item.tries == 1 {
			c.log.Warn("an event was not taken and is tried again", "sid", e.SID, "event", int(e.Type), "notice", e.ID, "error", r.err)
		}
		c.failing = true
		c.items[r.item.Place].tries = r.item.tries
		c.lanes.again(r.lane, c.cfg.Now().Add(pause(r.item.tries)))
	}
	c.dirty = true
}

func (c *courier) finish(r result) {
	delete(c.items, r.item.Place)
	c.lanes.done(r.lane)
}

// sleep returns how long nothing is due.
func (c *courier) sleep() time.Duration {
	d := c.cfg.times.poll
	if due, ok := c.lanes.first(); ok && c.running < c.ep.concurrency() {
		d = min(d, max(due.Sub(c.cfg.Now()), 0))
	}
	if c.dirty && !c.saving {
		d = min(d, max(c.cfg.times.save-time.Since(c.saved), 0))
	}
	return d
}

// save writes the position down, soon after it changed and now and then in any
// case, to show that somebody is at work.
func (c *courier) save(ctx context.Context) {
	since := time.Since(c.saved)
	if c.saving || since < c.cfg.times.save || (!c.dirty && since < c.cfg.times.beat) {
		return
	}
	c.saving, c.dirty = true, false
	p, rev, started := c.position(c.cfg.Node), c.rev, time.Now()
	go func() {
		next, err := c.cfg.Store.SavePosition(context.WithoutCancel(ctx), c.id, p, rev)
		c.saves <- saveResult{next, started, err}
	}()
}

func (c *courier) afterSave(s saveResult) error {
	c.saving = false
	switch {
	case s.err == nil:
		c.rev, c.saved = s.rev, s.started
		return nil
	case errors.Is(s.err, ErrTaken):
		return s.err
	}
	// It is not known whether it was written, and with which revision.
	c.log.Warn("the position of an endpoint cannot be written", "error", s.err)
	return s.err
}

func (c *courier) position(holder string) Position {
	p := Position{Holder: holder, Head: c.head}
	for place, i := range c.items {
		p.Open = append(p.Open, Open{Place: place, Tries: i.tries})
	}
	slices.SortFunc(p.Open, func(a, b Open) int { return int(min(max(int64(a.Place)-int64(b.Place), -1), 1)) })
	return p
}

// leave waits for what is under way and lets go of the position.
func (c *courier) leave(why error) {
	limit := time.NewTimer(c.cfg.times.grace)
	defer limit.Stop()
	for c.running > 0 || c.saving {
		select {
		case r := <-c.results:
			c.settle(r)
		case s := <-c.saves:
			c.saving = false
			if s.err == nil {
				c.rev = s.rev
			} else if why == nil || !errors.Is(why, ErrTaken) {
				why = s.err
			}
		case <-limit.C:
			c.drain()
			return
		}
	}
	if errors.Is(why, ErrTaken) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.times.grace)
	defer cancel()
	if _, err := c.cfg.Store.SavePosition(ctx, c.id, c.position(""), c.rev); err != nil {
		c.log.Debug("the position of an endpoint is not given up; another node takes it after a while", "error", err)
	}
}

// drain takes what is still under way off the hands of its goroutines. What
// was not answered yet is sent again by whoever delivers next.
func (c *courier) drain() {
	running, saving := c.running, c.saving
	go func() {
		for range running {
			<-c.results
		}
		if saving {
			<-c.saves
		}
	}()
}
