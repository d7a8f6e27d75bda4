package recorder

import (
	"testing"
	"time"
)

// A worker that takes over a paused mix does not write until it is let go on.
func TestMixStartsPaused(t *testing.T) {
	plan := mixPlan()
	plan.Mixing.OnHold = true
	s := newStage(t, plan)
	a := s.actor(0)
	a.stay(0, 20*second)
	s.run(3 * second)
	s.mode.Hold(false)
	s.run(6 * second)
	s.stop()
	p := s.playlist()
	if d := p.Sum() - 3*time.Second; d < -time.Second || d > time.Second {
		t.Errorf("%v were written", p.Sum())
	}
}
