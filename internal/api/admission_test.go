package api

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"tapedeck/internal/account"
	"tapedeck/internal/resource"
	"tapedeck/internal/session"
)

// However many starts arrive at once, no more recordings run than the quota says,
// and the ones that were refused can be started later with the same resource id.
func TestQuotaHoldsOverParallelStarts(t *testing.T) {
	const quota, starts = 3, 12
	a := testAccount("app-1")
	a.Apps[0].Quota = quota
	w := newWorld(t, a)
	w.serve(&node{})
	var resources []string
	for i := range starts {
		resources = append(resources, w.acquire("app-1", fmt.Sprint("room", i), "1", `{}`))
	}
	replies := make([]reply, starts)
	var wg sync.WaitGroup
	for i := range starts {
		wg.Go(func() {
			replies[i] = w.send("POST", startPath("app-1", resources[i], "mix"), envelope(fmt.Sprint("room", i), "1", goodOptions), nil)
		})
	}
	wg.Wait()
	placed, last := 0, -1
	for i, r := range replies {
		switch r.status {
		case 200:
			placed++
			last = i
		default:
			w.want("start above the quota", r, 500, 502)
		}
	}
	if placed != quota {
		t.Fatalf("%d recordings run, want %d", placed, quota)
	}
	w.want("acquire above the quota", w.send("POST", acquirePath("app-1"), envelope("a", "1", `{}`), nil), 400, 406)
	w.want("stop", w.send("POST", taskPath("app-1", resources[last], replies[last].text("sid"), "mix", "stop"),
		envelope(fmt.Sprint("room", last), "1", `{}`), nil), 200, 0)
	refused := slices.IndexFunc(replies, func(r reply) bool { return r.status != 200 })
	w.want("the same start later", w.send("POST", startPath("app-1", resources[refused], "mix"),
		envelope(fmt.Sprint("room", refused), "1", goodOptions), nil), 200, 0)
}

func TestQuotasOfModes(t *testing.T) {
	a := testAccount("app-1")
	a.Apps[0].Quotas = account.Quotas{Mix: 1, Individual: 2, Web: 1}
	w := newWorld(t, a)
	w.serve(&node{})
	late := w.acquire("app-1", "late", "1", `{}`)
	w.record("app-1", "room1", "1", "mix", goodOptions)
	w.want("a second mix", w.send("POST", startPath("app-1", late, "mix"), envelope("late", "1", goodOptions), nil), 500, 502)
	w.want("an individual one instead", w.send("POST", startPath("app-1", late, "individual"), envelope("late", "1", goodOptions), nil), 200, 0)
	w.acquire("app-1", "room3", "1", `{}`) // individual recordings are left
	w.record("app-1", "room3", "1", "individual", goodOptions)
	w.want("nothing of channels is left", w.send("POST", acquirePath("app-1"), envelope("room4", "1", `{}`), nil), 400, 406)
	w.want("nothing postponed is left", w.send("POST", acquirePath("app-1"), envelope("room4", "1", `{"scene":2}`), nil), 400, 406)
	w.want("pages are counted by themselves", w.send("POST", acquirePath("app-1"), envelope("room4", "1", `{"scene":1}`), nil), 200, 200)
}

// nodeOf serves a node of a region that tells its name when it takes a recording.
func (w *world) nodeOf(region, name string, got chan<- string) {
	w.t.Helper()
	stop, err := w.ledger.ServePlaceIn(region, name, func(context.Context, string) error { got <- name; return nil })
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(stop)
}

// A resource of a region is recorded there or nowhere.
func TestRegions(t *testing.T) {
	a := testAccount("app-1", "app-2", "app-3")
	room := account.LiveKit{URL: "wss://x", Key: "k", Secret: "s"}
	a.Apps[0].Regions = map[string]account.LiveKit{"EU": room, "NA": room}
	a.Apps[1].Regions = map[string]account.LiveKit{"AP": room}
	a.Apps[2].LiveKit = room
	w := newWorld(t, a)
	got := make(chan string, 1)
	w.nodeOf("EU", "eu", got)
	w.nodeOf("AP", "ap", got)
	there := []string{"EU", "AP"}
	w.api.HasNode = func(places []string) bool {
		return slices.ContainsFunc(places, func(p string) bool { return slices.Contains(there, p) || p == session.PlaceAny })
	}
	w.api.Home = "EU"
	for i, c := range []struct{ app, asked, region, node string }{
		{"app-1", "EU", "EU", "eu"},
		{"app-1", "", "EU", "eu"},   // the node's own
		{"app-1", "NA", "", ""},     // no node there
		{"app-1", "AP", "", ""},     // a node, but no rooms of this app
		{"app-2", "AP", "AP", "ap"}, // not this node's
		{"app-2", "EU", "", ""},     // no rooms
		{"app-2", "", "", ""},       // no rooms here, and none without a region
		{"app-3", "AP", "AP", "ap"}, // one place for all rooms: the node's region counts
		{"app-3", "CN", "", ""},
		{"app-3", "", "", "eu"}, // the nearest
	} {
		options := `{}`
		if c.asked != "" {
			options = `{"region":"` + c.asked + `"}`
		}
		name := fmt.Sprint("room", i)
		r := w.send("POST", acquirePath(c.app), envelope(name, "1", options), nil)
		if c.node == "" {
			w.want(c.app+" in "+c.asked, r, 500, 501)
			continue
		}
		res, err := resource.Open(w.api.Ring, c.app, r.text("resourceId"))
		if err != nil || res.Region.String() != c.region {
			t.Fatalf("%s in %q: %d %s, sealed for %q, %v", c.app, c.asked, r.status, r.raw, res.Region, err)
		}
		w.want("start", w.send("POST", startPath(c.app, r.text("resourceId"), "mix"), envelope(name, "1", goodOptions), nil), 200, 0)
		if n := <-got; n != c.node {
			t.Errorf("%s in %q was given to %q, want %q", c.app, c.asked, n, c.node)
		}
	}
}

// The nodes of a region may go between acquire and start: then nobody records.
func TestRegionIsKeptWhenItsNodesAreGone(t *testing.T) {
	a := testAccount("app-1")
	a.Apps[0].Regions = map[string]account.LiveKit{"NA": {URL: "wss://x", Key: "k", Secret: "s"}}
	w := newWorld(t, a)
	w.nodeOf("EU", "eu", make(chan string, 1))
	w.nodeOf(session.PlaceUnnamed, "plain", make(chan string, 1))
	resource := w.acquire("app-1", "room", "1", `{"region":"NA"}`)
	w.want("start", w.send("POST", startPath("app-1", resource, "mix"), envelope("room", "1", goodOptions), nil), 500, 502)
}
