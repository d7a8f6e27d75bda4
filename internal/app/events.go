package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tapedeck/internal/config"
	"tapedeck/internal/ledger"
	"tapedeck/internal/node"
	"tapedeck/internal/notify"
)

// webhooks turns what is configured into endpoints.
func webhooks(app string, all []config.Webhook) []notify.Endpoint {
	var out []notify.Endpoint
	for _, w := range all {
		ep := notify.Endpoint{
			App: app, URL: w.URL, Secrets: w.Secrets, CloudEvents: w.CloudEvents,
			Concurrency: w.Concurrency, AllowHTTP: w.AllowHTTP, RetryFor: w.RetryFor,
		}
		for _, t := range w.Events {
			ep.Events = append(ep.Events, notify.Type(t))
		}
		out = append(out, ep)
	}
	return out
}

// lastWords bounds what a clean stop waits for webhooks of recordings that it
// has just ended.
const lastWords = 3 * time.Second

// startEvents opens the outbox and begins to deliver what is in it.
func (a *App) startEvents(ctx context.Context) error {
	var errs []error
	for _, ep := range a.accounts.Webhooks() {
		if err := ep.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("app %s: webhook %s: %w", ep.App, ep.Place(), err))
		}
	}
	policy, err := egress(a.cfg)
	if err := errors.Join(append(errs, err)...); err != nil {
		return err
	}
	if a.outbox, err = a.ledger.OpenOutbox(ctx, ledger.OutboxOptions{Replicas: a.cfg.NATS.Replicas}); err != nil {
		return err
	}
	id, err := node.ID(a.cfg.Data)
	if err != nil {
		return err
	}
	a.hooks = notify.Config{
		Store: a.outbox, Node: id, Endpoints: a.accounts.Webhooks, Policy: policy, Log: a.log,
		Metrics: notify.NewMetrics(), Solo: a.cfg.NATS.URL == "",
		Unseal: func(sid string, sealed []byte) ([]byte, error) { return a.ring.Open(eventKey(sid), sealed) },
	}
	d, err := notify.Start(ctx, a.hooks)
	if err != nil {
		return err
	}
	a.onStop(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, lastWords)
		defer cancel()
		d.Drain(ctx)
		d.Close()
		return nil
	})
	operatorEvents{outbox: a.outbox, endpoints: a.accounts.Webhooks, hooks: a.hooks}.routes(a.operator)
	a.keyRoutes(a.operator)
	return nil
}

// events is what the node needs to tell what happens.
func (a *App) events() node.Events {
	return node.Events{
		Outbox: a.outbox, Wanted: a.accounts.Told, Written: a.hooks.Metrics.Written,
		Seal: func(sid string, details []byte) ([]byte, error) { return a.ring.Seal(eventKey(sid), details), nil },
	}
}

// eventKey binds what is sealed in an event to its recording and its use.
func eventKey(sid string) []byte { return []byte("event:" + sid) }
