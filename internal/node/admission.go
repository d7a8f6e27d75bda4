package node

import (
	"fmt"
	"sync"

	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// load is the share of a core that may be planned: the rest absorbs what a
// table cannot know, such as users who join.
const load = 0.7

// Costs says how much of a processor core a recording takes.
type Costs struct {
	Mix           float64 // with pictures, whatever their size: decoding, sound
	MixMegapixel  float64 // in addition, for each million pixels a second of the canvas
	MixAudio      float64 // without pictures
	Individual    float64 // the recording itself
	IndividualOne float64 // in addition, for each user that is expected
	Users         int     // expected when the plan does not say
	Web           float64 // a page that stands still, with its browser
	WebMegapixel  float64 // in addition, for each million pixels a second of a page that moves
}

// DefaultCosts are measurements on a 2-core 2.x GHz machine: a mix of four users
// takes 0.07 cores at 640x360 and 15 frames a second, 0.22..0.26 at 1280x720
// and 30; a user of an individual recording takes 0.011..0.020; a page 0.1 when it
// stands still, 0.5..0.8 when all of it moves at 1280x720 and 30.
func DefaultCosts() Costs {
	return Costs{Mix: 0.045, MixMegapixel: 0.0075, MixAudio: 0.03, Individual: 0.01, IndividualOne: 0.017, Users: 4, Web: 0.1, WebMegapixel: 0.018}
}

// Of returns the cores that a recording takes.
func (c Costs) Of(p session.Plan) float64 {
	if p.Mode == session.Mix {
		if !p.Streams.Video() || p.Mixing == nil {
			return c.MixAudio
		}
		m := p.Mixing
		return c.Mix + c.MixMegapixel*float64(m.Width*m.Height*m.FPS)/1e6
	}
	if p.Mode == session.Web && p.Page != nil {
		return c.Web + c.WebMegapixel*float64(p.Page.Width*p.Page.Height*p.Page.FPS)/1e6
	}
	users := c.Users
	for _, l := range []session.UIDList{p.Subscription.Audio, p.Subscription.Video} {
		if !l.All {
			users = max(1, min(users, len(l.Allow)))
		}
	}
	return c.Individual + c.IndividualOne*float64(users)
}

// admission keeps account of what is promised.
type admission struct {
	costs    Costs
	capacity float64

	mu    sync.Mutex
	taken map[string]float64
}

func newAdmission(costs Costs, cores float64) *admission {
	return &admission{costs: costs, capacity: cores * load, taken: map[string]float64{}}
}

// reserve books a recording if it fits. The first one always does: a table
// must not keep a small machine from recording at all.
func (a *admission) reserve(sid string, p session.Plan) error {
	cost := a.costs.Of(p)
	a.mu.Lock()
	defer a.mu.Unlock()
	used := a.sum()
	if len(a.taken) > 0 && used+cost > a.capacity {
		return fmt.Errorf("node: full: %d recordings take %.2f of %.2f cores and this one needs %.2f: add a node, or raise node.cores", len(a.taken), used, a.capacity, cost)
	}
	a.taken[sid] = cost
	return nil
}

// book counts a recording that already runs, fit or not.
func (a *admission) book(sid string, p session.Plan) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.taken[sid] = a.costs.Of(p)
}

func (a *admission) release(sid string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.taken, sid)
}

func (a *admission) used() (recordings int, cores float64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.taken), a.sum()
}

func (a *admission) sum() float64 {
	total := 0.0
	for _, c := range a.taken {
		total += c
	}
	return total
}

// checkSpool says why the spool cannot take a recording.
func checkSpool(root string, minFree uint64) error {
	if err := spool.Writable(root); err != nil {
		return err
	}
	free, err := spool.Free(root)
	if err != nil {
		return err
	}
	if free < minFree {
		return fmt.Errorf("node: %w: %s has %d MiB left and keeps %d MiB: free space there, or lower spool.min_free_mb", spool.ErrFull, root, free>>20, minFree>>20)
	}
	return nil
}
