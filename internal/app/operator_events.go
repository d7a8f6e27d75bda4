package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"tapedeck/internal/ledger"
	"tapedeck/internal/notify"
)

// eventPage is how many events one call lists or sends again at most.
const eventPage = 500

// listed is one event in an operator's list.
type listed struct {
	Place    uint64      `json:"place"`
	App      string      `json:"app"`
	SID      string      `json:"sid"`
	CName    string      `json:"cname"`
	Sequence int64       `json:"sequence"`
	Type     notify.Type `json:"type"`
	Name     string      `json:"name"`
	NoticeID string      `json:"noticeId"`
	At       int64       `json:"at"` // Unix ms when it happened

	// Dead letters only.
	Endpoint string `json:"endpoint,omitempty"`
	URL      string `json:"url,omitempty"`
	Tries    int    `json:"tries,omitempty"`
	GivenUp  int64  `json:"givenUp,omitempty"` // Unix ms
	Error    string `json:"error,omitempty"`
}

// replay says which events are sent again.
type replay struct {
	Places   []uint64 `json:"places,omitempty"`   // dead letters
	All      bool     `json:"all,omitempty"`      // all dead letters, of Endpoint and SID if these are given
	Endpoint string   `json:"endpoint,omitempty"` // id
	SID      string   `json:"sid,omitempty"`      // alone: every event of the recording that is still kept, dead or not
}

// operatorEvents is the part of the operator's API that is about events.
type operatorEvents struct {
	outbox    *ledger.Outbox
	endpoints func() []notify.Endpoint
	hooks     notify.Config
}

func (o operatorEvents) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/events", func(w http.ResponseWriter, r *http.Request) {
		all, err := o.list(r.Context(), r.URL.Query())
		answer(w, all, err)
	})
	mux.HandleFunc("POST /v1/events/replay", func(w http.ResponseWriter, r *http.Request) {
		var what replay
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&what); err != nil {
			answer(w, nil, &badRequest{"the body is not JSON: " + err.Error()})
			return
		}
		n, err := o.replay(r.Context(), what)
		answer(w, map[string]int{"replayed": n}, err)
	})
	mux.HandleFunc("GET /v1/webhooks", func(w http.ResponseWriter, r *http.Request) {
		all, err := o.status(r.Context())
		answer(w, all, err)
	})
	mux.HandleFunc("POST /v1/webhooks/check", func(w http.ResponseWriter, r *http.Request) {
		all, err := o.check(r.Context(), r.URL.Query().Get("app"))
		answer(w, all, err)
	})
}

// list returns dead letters, or with state=all the events that are kept.
func (o operatorEvents) list(ctx context.Context, q url.Values) ([]listed, error) {
	limit, after := eventPage, uint64(0)
	if s := q.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > eventPage {
			return nil, &badRequest{fmt.Sprintf("limit is not between 1 and %d", eventPage)}
		}
		limit = n
	}
	if s := q.Get("after"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return nil, &badRequest{"after is no place"}
		}
		after = n
	}
	out := []listed{}
	switch q.Get("state") {
	case "", "dead":
		dead, err := o.outbox.DeadLetters(ctx, q.Get("endpoint"), q.Get("sid"), after, limit)
		for _, d := range dead {
			l := line(d.Place, d.Dead.Event)
			l.Endpoint, l.URL, l.Tries, l.GivenUp, l.Error = d.Dead.Endpoint, d.Dead.URL, d.Dead.Tries, d.Dead.At, d.Dead.Error
			out = append(out, l)
		}
		return out, err
	case "all":
		events, err := o.outbox.Events(ctx, q.Get("app"), q.Get("sid"), after, limit)
		for _, e := range events {
			out = append(out, line(e.Place, e.Event))
		}
		return out, err
	}
	return nil, &badRequest{"state is neither dead nor all"}
}

func line(place uint64, e notify.Event) listed {
	return listed{
		Place: place, App: e.App, SID: e.SID, CName: e.CName, Sequence: e.Seq, Type: e.Type, Name: e.Type.Name(), NoticeID: e.ID, At: e.At,
	}
}

// replay sends events again and returns how many.
func (o operatorEvents) replay(ctx context.Context, what replay) (int, error) {
	switch {
	case len(what.Places) > 0:
		return o.revive(ctx, what.Places)
	case what.All:
		return o.reviveAll(ctx, what)
	case what.SID != "":
		return o.repeat(ctx, what)
	}
	return 0, &badRequest{"nothing is named: give places, all, or sid"}
}

func (o operatorEvents) revive(ctx context.Context, places []uint64) (n int, err error) {
	for _, place := range places {
		err := o.outbox.Revive(ctx, place)
		if errors.Is(err, notify.ErrGone) {
			return n, &badRequest{fmt.Sprintf("there is no dead letter at place %d", place)}
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (o operatorEvents) reviveAll(ctx context.Context, what replay) (n int, err error) {
	for after := uint64(0); ; {
		dead, err := o.outbox.DeadLetters(ctx, what.Endpoint, what.SID, after, eventPage)
		if err != nil || len(dead) == 0 {
			return n, err
		}
		for _, d := range dead {
			after = d.Place
			if err := o.outbox.Revive(ctx, d.Place); err != nil && !errors.Is(err, notify.ErrGone) {
				return n, err
			}
			n++
		}
	}
}

// repeat sends every event of a recording that is still kept to the endpoints
// of its app, or to one of them.
func (o operatorEvents) repeat(ctx context.Context, what replay) (n int, err error) {
	for after := uint64(0); ; {
		events, err := o.outbox.Events(ctx, "", what.SID, after, eventPage)
		if err != nil || len(events) == 0 {
			return n, err
		}
		for _, e := range events {
			after = e.Place
			for _, ep := range o.endpoints() {
				if ep.App != e.Event.App || (what.Endpoint != "" && what.Endpoint != ep.ID()) {
					continue
				}
				if err := o.outbox.Again(ctx, ep.ID(), e.Event); err != nil {
					return n, err
				}
				n++
			}
		}
	}
}

// hook is the state of an endpoint.
type hook struct {
	App      string `json:"app"`
	Endpoint string `json:"endpoint"`
	URL      string `json:"url"`
	Node     string `json:"node"`    // that delivers; empty: none at the moment
	Behind   bool   `json:"behind"`  // there are events that nobody has looked at for it
	Waiting  int    `json:"waiting"` // events that were looked at and not delivered
	Tries    int    `json:"tries"`   // most failed attempts of any of these
}

func (o operatorEvents) status(ctx context.Context) ([]hook, error) {
	out := []hook{}
	for _, ep := range o.endpoints() {
		tail, err := o.outbox.Tail(ctx, ep.App)
		if err != nil {
			return nil, err
		}
		p, _, err := o.outbox.Position(ctx, ep.ID())
		if err != nil {
			return nil, err
		}
		h := hook{App: ep.App, Endpoint: ep.ID(), URL: ep.Place(), Node: p.Holder, Waiting: len(p.Open), Behind: p.Head < tail}
		for _, e := range p.Open {
			h.Tries = max(h.Tries, e.Tries)
		}
		out = append(out, h)
	}
	return out, nil
}

// checked is what an endpoint made of test events.
type checked struct {
	App      string               `json:"app"`
	Endpoint string               `json:"endpoint"`
	URL      string               `json:"url"`
	Results  []notify.CheckResult `json:"results"`
}

func (o operatorEvents) check(ctx context.Context, app string) ([]checked, error) {
	out := []checked{}
	for _, ep := range o.endpoints() {
		if app == "" || app == ep.App {
			out = append(out, checked{App: ep.App, Endpoint: ep.ID(), URL: ep.Place(), Results: notify.Check(ctx, ep, o.hooks)})
		}
	}
	if len(out) == 0 {
		return nil, &badRequest{"no app that is meant has a webhook"}
	}
	return out, nil
}
