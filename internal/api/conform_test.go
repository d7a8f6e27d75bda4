package api

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/account"
	"tapedeck/internal/conform"
	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
)

const mediaRoom = "room-with-media"

// playing makes a recording look as if its room, or its page, were on the air.
func playing(r *ledger.Record) {
	stem := r.Plan.FilePrefix + r.SID + "_" + r.CName
	switch {
	case r.Mode != session.Web && r.CName != mediaRoom:
		return
	case r.Plan.Page != nil && r.Plan.Page.OnHold:
		return
	case r.Mode == session.Individual:
		stem += "__uid_s_21__uid_e_audio"
	}
	r.Status, r.SliceStart = session.StatusProgress, 1750000000000
	r.Files = []session.File{{Name: stem + ".m3u8", Track: session.TrackBoth, UID: "0", Mixed: true, Playable: true, StartMilli: 1750000000000}}
}

// conformed runs the command's part against a world.
func conformed(t *testing.T, w *world, o conform.Options) (results []conform.Result, table conform.Table) {
	t.Helper()
	var text strings.Builder
	table.Out = &text
	o.URL, o.App, o.Customer = w.url, "app-1", testUser
	if o.Secret == "" {
		o.Secret = testSecret
	}
	o.Pause, o.Patience = 20*time.Millisecond, 5*time.Second
	err := conform.Run(t.Context(), o, func(r conform.Result) {
		results = append(results, r)
		table.Add(r)
	})
	table.End()
	if err != nil {
		t.Errorf("%v\n%s", err, text.String())
	}
	t.Log(text.String())
	return results, table
}

// The conformance command finds nothing to say of this API.
func TestConform(t *testing.T) {
	w := newWorld(t)
	w.api.Limiter = &everyForty{}
	w.serve(&node{begin: playing, silent: func(r ledger.Record) bool { return len(r.Files) == 0 }})
	results, table := conformed(t, w, conform.Options{Room: mediaRoom, Page: "https://page.example.org/"})
	for _, r := range results {
		for _, d := range r.Differs {
			t.Errorf("%s: %s", r.Example.ID, d)
		}
	}
	if len(results) != 168 || table.Same < 140 || table.Skipped > 25 {
		t.Errorf("%d results, %d the same, %d not tried", len(results), table.Same, table.Skipped)
	}
}

// everyForty refuses one call in forty, as an account with that limit whose
// callers take a second for forty calls.
type everyForty struct {
	mu    sync.Mutex
	calls int
}

// Allow implements Limiter.
func (l *everyForty) Allow(context.Context, *account.Account) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	return l.calls%40 != 0
}

// It does see when a server answers otherwise.
func TestConformSeesDifferences(t *testing.T) {
	w := newWorld(t)
	w.serve(&node{refuse: errUnreachable}) // every start fails
	results, table := conformed(t, w, conform.Options{Only: "start-mix"})
	if table.Same > 0 || table.Other != len(results) || len(results) == 0 {
		t.Errorf("%d of %d are said to be the same", table.Same, len(results))
	}
	w.api.Sources = nil
	if _, table := conformed(t, w, conform.Options{Only: "ncs", Secret: "wrong-wrong-wrong-wrong"}); table.Other != 1 || table.Same != 1 {
		t.Errorf("with wrong credentials %d differ, %d do not", table.Other, table.Same)
	}
}
