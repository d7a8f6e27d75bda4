package ledger

import (
	"fmt"
	"sync"
	"testing"

	"tapedeck/internal/session"
)

// However many starts run side by side on several nodes, exactly as many stay as
// the quota allows.
func TestRankOfParallelClaims(t *testing.T) {
	const quota, each = 5, 12
	server := startServer(t, t.TempDir())
	var nodes []*Ledger
	for range 3 {
		nodes = append(nodes, open(t, server, Options{}))
	}
	var mu sync.Mutex
	var in []Record
	var wg sync.WaitGroup
	for i, l := range nodes {
		for j := range each {
			wg.Go(func() {
				rec := record(fmt.Sprintf("s%d-%d", i, j), fmt.Sprintf("r%d-%d", i, j), fmt.Sprintf("room%d-%d", i, j))
				if err := l.Claim(t.Context(), rec); err != nil {
					t.Errorf("claim: %v", err)
					return
				}
				all, ofMode, err := l.Rank(t.Context(), rec, session.Mix)
				if err != nil || all != ofMode {
					t.Errorf("rank %d, %d of its mode: %v", all, ofMode, err)
				}
				if all <= quota {
					mu.Lock()
					in = append(in, rec)
					mu.Unlock()
				} else if err := l.Release(t.Context(), rec); err != nil {
					t.Errorf("release: %v", err)
				}
			})
		}
	}
	wg.Wait()
	if len(in) != quota {
		t.Errorf("%d recordings stay, want %d", len(in), quota)
	}
	eventually(t, "all nodes count the same", func() bool {
		for _, l := range nodes {
			if n, err := l.CountLive(t.Context(), "app1"); err != nil || n != len(in) {
				return false
			}
		}
		return true
	})
	if err := nodes[0].Release(t.Context(), in[0]); err != nil {
		t.Fatal(err)
	}
	next := record("next", "next", "next")
	claim(t, nodes[1], next)
	eventually(t, "the place that became free is given away", func() bool {
		all, _, err := nodes[1].Rank(t.Context(), next)
		return err == nil && all == quota
	})
}

func TestRankOfModes(t *testing.T) {
	l := fresh(t)
	modes := []session.Mode{session.Mix, session.Web, session.Individual, session.Raw, session.Mix}
	wantAll, wantSame := []int{1, 2, 3, 4, 5}, []int{1, 1, 1, 2, 2}
	same := map[session.Mode][]session.Mode{
		session.Mix: {session.Mix}, session.Web: {session.Web},
		session.Individual: {session.Individual, session.Raw}, session.Raw: {session.Individual, session.Raw},
	}
	for i, m := range modes {
		rec := record(fmt.Sprint("s", i), fmt.Sprint("r", i), fmt.Sprint("room", i))
		rec.Mode = m
		claim(t, l, rec)
		all, ofModes, err := l.Rank(t.Context(), rec, same[m]...)
		if err != nil || all != wantAll[i] || ofModes != wantSame[i] {
			t.Errorf("%d, %s: rank %d and %d, %v; want %d and %d", i, m, all, ofModes, err, wantAll[i], wantSame[i])
		}
	}
	if n, err := l.CountLive(t.Context(), "app1", session.Individual, session.Raw); err != nil || n != 2 {
		t.Errorf("%d individual ones, %v", n, err)
	}
	if n, err := l.CountLive(t.Context(), "app1"); err != nil || n != 5 {
		t.Errorf("%d in all, %v", n, err)
	}
}
