package node

import (
	"errors"
	"strings"
	"testing"

	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
)

// A node keeps its hands off what is fenced elsewhere, by whatever way it is
// offered, and takes what is fenced here or nowhere.
func TestForeignRegionIsNotTaken(t *testing.T) {
	b := newBench(t, "good")
	b.cfg.Region = "EU"
	b.open()
	in := func(region string) func(*ledger.Record) {
		return func(r *ledger.Record) { r.Plan.Region = region }
	}
	foreign := b.claim(in("NA"))
	var refused *ledger.ErrRefused
	if err := b.ledger.Place(t.Context(), foreign, session.PlaceAny); !errors.As(err, &refused) || !strings.Contains(refused.Reason, "stays in NA") {
		t.Errorf("a recording of NA on a node in EU: %v", err)
	}
	if err := b.ledger.Place(t.Context(), foreign, "NA"); !errors.Is(err, ledger.ErrNoNode) {
		t.Errorf("asked in NA: %v", err)
	}
	b.clock.ahead.Add(int64(2 * b.cfg.times.unplaced)) // now every sweep would take it
	b.node.sweep(t.Context())
	if rec := b.get(foreign); rec.Node != "" || b.log.has("is refused") {
		t.Errorf("node %q has it", rec.Node)
	}
	for _, region := range []string{"EU", ""} {
		sid := b.claim(in(region))
		if err := b.ledger.Place(t.Context(), sid, "EU"); err != nil {
			t.Errorf("region %q: %v", region, err)
		}
	}
	b.close(false)
	b.eventually("the node has left", func() bool { return !b.ledger.HasNode() })
}
