// Package app is the composition root: it builds every room of the service
// from the settings, starts them in order and stops them in reverse.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"

	"github.com/nats-io/nats.go"

	"tapedeck/internal/account"
	"tapedeck/internal/channel/embedded"
	"tapedeck/internal/config"
	"tapedeck/internal/keyring"
	"tapedeck/internal/ledger"
	"tapedeck/internal/node"
	"tapedeck/internal/notify"
	"tapedeck/internal/obs"
)

// addressFile holds host:port of the API in the data folder.
const addressFile = "address"

// App is the running service.
type App struct {
	cfg  config.Config
	log  *slog.Logger
	dev  DevCredentials // zero unless cfg.Development()
	addr net.Addr

	accounts *account.Directory
	ring     *keyring.Ring
	ledger   *ledger.Ledger
	outbox   *ledger.Outbox
	hooks    notify.Config
	jobs     *ledger.Jobs
	node     *node.Node
	health   *obs.Health
	operator *http.ServeMux // what the operator of this machine may ask

	stops  []func(context.Context) error // in order of start
	failed chan error                    // a part that died
}

// Start builds and starts everything. What was started is stopped again when a
// later part fails.
func Start(ctx context.Context, c config.Config, log *slog.Logger) (*App, error) {
	a := &App{cfg: c, log: log, health: obs.NewHealth(), operator: http.NewServeMux(), failed: make(chan error, 1)}
	for _, step := range []struct {
		name  string
		start func(context.Context) error
	}{
		{"data folder", a.startData},
		{"livekit", a.startLiveKit},
		{"accounts", a.startAccounts},
		{"ledger", a.startLedger},
		{"customers", a.startCustomers},
		{"webhooks", a.startEvents},
		{"postponed work", a.startJobs},
		{"node", a.startNode},
		{"operator socket", a.startOperator},
		{"api", a.startAPI},
	} {
		if err := step.start(ctx); err != nil {
			stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
			defer cancel()
			return nil, errors.Join(fmt.Errorf("%s: %w", step.name, err), a.Stop(stopCtx))
		}
	}
	return a, nil
}

// Stop ends every part, last started first, and reports what went wrong.
func (a *App) Stop(ctx context.Context) error {
	var errs []error
	for i := len(a.stops) - 1; i >= 0; i-- {
		errs = append(errs, a.stops[i](ctx))
	}
	a.stops = nil
	return errors.Join(errs...)
}

// Addr is where the API listens.
func (a *App) Addr() string { return a.addr.String() }

func (a *App) onStop(f func(context.Context) error) { a.stops = append(a.stops, f) }

func (a *App) startData(context.Context) error {
	abs, err := filepath.Abs(a.cfg.Data)
	if err != nil {
		return err
	}
	a.cfg.Data = abs
	unlock, err := lockData(abs)
	if err != nil {
		return err
	}
	a.onStop(func(context.Context) error { unlock(); return nil })
	a.ring, err = keyring.LoadOrCreate(filepath.Join(abs, "keys.json"))
	return err
}

func (a *App) startLiveKit(ctx context.Context) error {
	if !a.cfg.Development() {
		return nil
	}
	dev, err := loadDev(a.cfg.Data)
	if err != nil {
		return err
	}
	s, err := embedded.Start(ctx, embedded.Options{
		Port: a.liveKitPort(dev), Key: dev.LiveKitKey, Secret: dev.LiveKitSecret,
	})
	if err != nil {
		return err
	}
	a.onStop(func(context.Context) error { return s.Stop() })
	dev.LiveKitURL = s.URL()
	a.dev = dev
	return dev.save(a.cfg.Data)
}

// liveKitPort picks the port of the embedded server: as configured, else the
// one of the last run, so that workers that outlived it find the room again.
func (a *App) liveKitPort(dev DevCredentials) int {
	want := a.cfg.LiveKit.Port
	if want == 0 {
		want = 7880
		if _, port, err := net.SplitHostPort(trimScheme(dev.LiveKitURL)); err == nil {
			want, _ = strconv.Atoi(port)
		}
		if !portFree(want) {
			a.log.Warn("the usual port of the embedded LiveKit server is taken, another one is used", "port", want)
			return 0
		}
	}
	return want
}

func (a *App) startAccounts(context.Context) (err error) {
	a.accounts, err = directory(a.staticAccounts())
	return err
}

func (a *App) startLedger(ctx context.Context) error {
	nc, err := a.connectNATS()
	if err != nil {
		return err
	}
	a.onStop(func(context.Context) error { nc.Close(); return nil })
	a.ledger, err = ledger.Open(ctx, nc, ledger.Options{Replicas: a.cfg.NATS.Replicas, Log: a.log})
	if err != nil {
		return err
	}
	a.onStop(func(context.Context) error { a.ledger.Close(); return nil })
	a.health.Add("ledger", func(context.Context) error {
		if !nc.IsConnected() {
			return errors.New("no connection to NATS")
		}
		return nil
	})
	return nil
}

func (a *App) connectNATS() (*nats.Conn, error) {
	if a.cfg.NATS.URL == "" {
		e, err := ledger.StartEmbedded(filepath.Join(a.cfg.Data, "nats"), a.log)
		if err != nil {
			return nil, err
		}
		a.onStop(func(context.Context) error { e.Stop(); return nil })
		return e.Conn()
	}
	opts := []nats.Option{nats.Name("tapedeck"), nats.MaxReconnects(-1)}
	if a.cfg.NATS.Credentials != "" {
		opts = append(opts, nats.UserCredentials(a.cfg.NATS.Credentials))
	}
	nc, err := nats.Connect(a.cfg.NATS.URL, opts...)
	if err != nil {
		return nil, fmt.Errorf("cannot reach NATS at %s: %w", a.cfg.NATS.URL, err)
	}
	return nc, nil
}
