package ledger

import (
	"context"
	"errors"
	"testing"
	"time"

	"tapedeck/internal/session"
)

// A node is known everywhere from its announcement until it leaves, or until
// some time after it fell silent.
func TestPresence(t *testing.T) {
	server := startServer(t, t.TempDir())
	o := Options{Presence: 2 * time.Second}
	other := open(t, server, o)
	if other.HasNode() || other.HasNode("EU") || other.HasNode(session.PlaceAny) {
		t.Error("a node is there before any was started")
	}
	l := open(t, server, o)
	stop, err := l.Announce(t.Context(), "EU", "n1")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []*Ledger{l, other} {
		eventually(t, "the node is known", func() bool { return x.HasNode("EU") })
		for place, want := range map[string]bool{"NA": false, session.PlaceUnnamed: false, session.PlaceAny: true} {
			if x.HasNode(place) != want {
				t.Errorf("place %q: %v", place, !want)
			}
		}
		if x.CountNodes() != 1 {
			t.Errorf("%d nodes", x.CountNodes())
		}
		if !x.HasNode() || !x.HasNode("NA", "EU") {
			t.Error("the node is not found among several places")
		}
	}
	late := open(t, server, o)
	if !late.HasNode("EU") {
		t.Error("whoever opens the ledger does not know what is there already")
	}
	silent, err := late.Announce(t.Context(), session.PlaceUnnamed, "n2")
	if err != nil {
		t.Fatal(err)
	}
	stop()
	eventually(t, "the node has left", func() bool { return !other.HasNode("EU") && other.HasNode(session.PlaceUnnamed) })
	late.nc.Close() // dies without a word
	eventually(t, "the silent node is missed", func() bool { return !other.HasNode() })
	silent()
}

// A recording is offered to the nodes of its places only, one place after the
// other.
func TestPlaceKeepsToItsPlaces(t *testing.T) {
	l := fresh(t)
	taken := make(chan string, 10)
	serve := func(region, name string, refuse error) {
		stop, err := l.ServePlaceIn(region, name, func(context.Context, string) error {
			if refuse == nil {
				taken <- name
			}
			return refuse
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
	}
	serve("EU", "eu", nil)
	serve("NA", "na", errors.New("full"))
	serve(session.PlaceUnnamed, "plain", nil)
	var refused *ErrRefused
	for _, c := range []struct {
		places []string
		node   string // "" = none
	}{
		{[]string{"EU"}, "eu"},
		{[]string{"NA"}, ""},
		{[]string{"AP"}, ""},
		{[]string{session.PlaceUnnamed}, "plain"},
		{[]string{"AP", "EU"}, "eu"},
		{[]string{"NA", session.PlaceUnnamed}, "plain"},
		{[]string{"NA", "AP"}, ""},
	} {
		err := l.Place(t.Context(), "s1", c.places...)
		got := ""
		if err == nil {
			got = <-taken
		}
		if got != c.node {
			t.Errorf("%q: taken by %q, %v; want %q", c.places, got, err, c.node)
		}
		if c.places[0] == "AP" && len(c.places) == 1 && !errors.Is(err, ErrNoNode) {
			t.Errorf("no node: %v", err)
		}
		if c.places[0] == "NA" && c.node == "" && !errors.As(err, &refused) {
			t.Errorf("a full node: %v", err)
		}
	}
}
