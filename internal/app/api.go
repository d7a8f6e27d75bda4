package app

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tapedeck/internal/account"
	"tapedeck/internal/api"
	"tapedeck/internal/session"
	"tapedeck/internal/upload"
)

// startAPI opens the service to callers. It comes last: whoever reaches the
// API can be served.
func (a *App) startAPI(context.Context) error {
	policy, err := egress(a.cfg)
	if err != nil {
		return err
	}
	metrics := prometheus.NewRegistry()
	observe := a.metrics(metrics)
	a.hooks.Metrics.Register(metrics)
	handler := api.New(api.Deps{
		Accounts: a.accounts,
		Limiter:  account.NewLimiter(a.accounts, a.ledger.Counter(), time.Now, a.log).Among(a.ledger.CountNodes),
		Ledger:   a.ledger, Ring: a.ring, Now: time.Now, Log: a.log,
		Home: a.cfg.Node.Region, HasNode: a.hasNode,
		CheckTarget: func(app *account.App, t session.Target) error {
			_, err := upload.OpenStore(t, storageRules(app, policy))
			return err
		},
		Observe: observe, Sources: sources(a.cfg),
	})
	return a.listen(beside(handler, map[string]http.Handler{
		"/healthz": http.HandlerFunc(a.health.Live),
		"/readyz":  http.HandlerFunc(a.health.Ready),
		"/metrics": promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}),
	}))
}

// beside serves a few exact paths and leaves every other request to the API,
// unchanged: http.ServeMux would redirect unclean paths, which clients of this
// API do not expect (errors.md 2).
func beside(api http.Handler, paths map[string]http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h, ok := paths[r.URL.Path]; ok && r.Method == http.MethodGet {
			h.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}

// hasNode answers acquire. What this node can do itself needs no look at the
// others.
func (a *App) hasNode(places []string) bool {
	for _, p := range places {
		if p == a.cfg.Node.Region || p == session.PlaceAny {
			return true
		}
	}
	return a.ledger.HasNode(places...)
}

// metrics declares what the service counts and returns the observer of calls.
func (a *App) metrics(r *prometheus.Registry) func(api.Call) {
	calls := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "tapedeck_api_seconds", Help: "Time to answer a call, by endpoint, HTTP status and code.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .1, .5, 1, 5, 20},
	}, []string{"endpoint", "status", "code"})
	gauge := func(name, help string, read func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read)
	}
	r.MustRegister(calls,
		gauge("tapedeck_recordings", "Recordings with a worker on this node.",
			func() float64 { return float64(a.node.Stats().Live) }),
		gauge("tapedeck_recordings_uploading", "Ended recordings with files still on their way.",
			func() float64 { return float64(a.node.Stats().Uploading) }),
		gauge("tapedeck_cores_promised", "Processor cores that running recordings take, by the cost table.",
			func() float64 { return a.node.Stats().Used }),
	)
	return func(c api.Call) {
		calls.WithLabelValues(c.Endpoint, strconv.Itoa(c.Status), strconv.Itoa(c.Code)).Observe(c.Took.Seconds())
	}
}
