// Package operator lets whoever may read the data folder of a running node change
// customers and apps of the whole cluster: `tapedeck account` and `tapedeck app`
// speak to it over a socket in that folder, and it writes to the ledger, which
// every node watches.
package operator

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"tapedeck/internal/account"
	"tapedeck/internal/config"
	"tapedeck/internal/keyring"
	"tapedeck/internal/ledger"
)

// Request is one command.
type Request struct {
	Command  string      `json:"command"` // "account add", ...
	ID       string      `json:"id,omitempty"`
	Account  string      `json:"account,omitempty"` // app add: whose
	Rate     *int        `json:"rate,omitempty"`
	Inactive *bool       `json:"inactive,omitempty"`
	Finish   bool        `json:"finish,omitempty"`   // account rotate: forget the older secret
	WithApps bool        `json:"withApps,omitempty"` // account remove
	App      *config.App `json:"app,omitempty"`
}

// Reply is the answer. Error is empty if the command was carried out.
type Reply struct {
	Error    string    `json:"error,omitempty"`
	ID       string    `json:"id,omitempty"`
	Secret   string    `json:"secret,omitempty"` // new; it is not kept anywhere
	Accounts []Account `json:"accounts,omitempty"`
	Apps     []App     `json:"apps,omitempty"`
}

// Account is a customer in a list.
type Account struct {
	ID       string `json:"id"`
	Source   string `json:"source"` // "configuration" or "ledger"
	Secrets  int    `json:"secrets"`
	Rate     int    `json:"rate"` // requests a second
	Inactive bool   `json:"inactive"`
	Apps     int    `json:"apps"`
}

// App is an app in a list, without anything secret.
type App struct {
	ID       string            `json:"id"`
	Account  string            `json:"account"`
	Source   string            `json:"source"`
	Disabled bool              `json:"disabled"`
	LiveKit  string            `json:"livekit,omitempty"` // URL
	Regions  map[string]string `json:"regions,omitempty"` // URLs
	Token    bool              `json:"token"`             // tokens are checked
	Problem  string            `json:"problem,omitempty"` // why it is not in force
}

const (
	fromConfig = "configuration"
	fromLedger = "ledger"
)

// Desk carries the commands out.
type Desk struct {
	Ledger *ledger.Ledger
	Ring   *keyring.Ring
	Static []config.Account // of the configuration: they cannot be changed here
}

// Do carries a command out. Its error is for the operator and holds no secret.
func (d *Desk) Do(ctx context.Context, r Request) (Reply, error) {
	switch r.Command {
	case "account add":
		return d.addAccount(ctx, r)
	case "account rotate":
		return d.rotate(ctx, r)
	case "account change":
		return d.changeAccount(ctx, r)
	case "account remove":
		return d.removeAccount(ctx, r)
	case "app add", "app change":
		return d.putApp(ctx, r)
	case "app remove":
		return d.removeApp(ctx, r)
	case "account list", "app list":
		return d.list(ctx)
	}
	return Reply{}, fmt.Errorf("there is no command %q; are serve and this program of the same version?", r.Command)
}

func (d *Desk) addAccount(ctx context.Context, r Request) (Reply, error) {
	if r.ID == "" {
		r.ID = randomHex(16)
	}
	if _, static := d.static(r.ID); static {
		return Reply{}, fmt.Errorf("account %s is in the configuration file", r.ID)
	}
	secret, hash := newSecret()
	e := ledger.AccountEntry{ID: r.ID, Secrets: []string{hash}}
	if err := applyTo(&e, r); err != nil {
		return Reply{}, err
	}
	if err := d.Ledger.AddAccount(ctx, e); err != nil {
		return Reply{}, known("account", r.ID, err)
	}
	return Reply{ID: r.ID, Secret: secret}, nil
}

// rotate adds a secret beside the newest one, or, to finish, leaves the newest.
func (d *Desk) rotate(ctx context.Context, r Request) (Reply, error) {
	if err := d.changeable(r.ID); err != nil {
		return Reply{}, err
	}
	secret, hash := newSecret()
	err := d.Ledger.ChangeAccount(ctx, r.ID, func(e *ledger.AccountEntry) error {
		if len(e.Secrets) > 0 {
			e.Secrets = slices.Clone(e.Secrets[len(e.Secrets)-1:])
		}
		if !r.Finish {
			e.Secrets = append(e.Secrets, hash)
		}
		return nil
	})
	if err != nil {
		return Reply{}, known("account", r.ID, err)
	}
	if r.Finish {
		secret = ""
	}
	return Reply{ID: r.ID, Secret: secret}, nil
}

func (d *Desk) changeAccount(ctx context.Context, r Request) (Reply, error) {
	if err := d.changeable(r.ID); err != nil {
		return Reply{}, err
	}
	err := d.Ledger.ChangeAccount(ctx, r.ID, func(e *ledger.AccountEntry) error { return applyTo(e, r) })
	return Reply{ID: r.ID}, known("account", r.ID, err)
}

func applyTo(e *ledger.AccountEntry, r Request) error {
	if r.Rate != nil {
		if *r.Rate < 0 {
			return fmt.Errorf("a rate of %d requests a second is below zero", *r.Rate)
		}
		e.Rate = *r.Rate
	}
	if r.Inactive != nil {
		e.Inactive = *r.Inactive
	}
	return nil
}

func (d *Desk) removeAccount(ctx context.Context, r Request) (Reply, error) {
	if err := d.changeable(r.ID); err != nil {
		return Reply{}, err
	}
	all, err := d.stored(ctx)
	if err != nil {
		return Reply{}, err
	}
	for _, p := range all.Apps {
		if p.Account != r.ID {
			continue
		}
		if !r.WithApps {
			return Reply{}, fmt.Errorf("account %s still has app %s: remove its apps first, or add --with-apps", r.ID, p.ID)
		}
		if err := d.Ledger.RemoveApp(ctx, p.ID); err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return Reply{}, err
		}
	}
	return Reply{ID: r.ID}, known("account", r.ID, d.Ledger.RemoveAccount(ctx, r.ID))
}

// changeable refuses what is written in the configuration.
func (d *Desk) changeable(id string) error {
	if _, static := d.static(id); static {
		return fmt.Errorf("account %s is in the configuration file: change it there", id)
	}
	return nil
}

func (d *Desk) static(id string) (config.Account, bool) {
	for _, a := range d.Static {
		if a.CustomerID == id {
			return a, true
		}
	}
	return config.Account{}, false
}

func (d *Desk) staticApp(id string) bool {
	return slices.ContainsFunc(d.Static, func(a config.Account) bool {
		return slices.ContainsFunc(a.Apps, func(p config.App) bool { return p.ID == id })
	})
}

// stored reads what is in the ledger.
func (d *Desk) stored(ctx context.Context) (ledger.Accounts, error) {
	var all ledger.Accounts
	stop, err := d.Ledger.WatchAccounts(ctx, func(a ledger.Accounts) { all = a })
	if err != nil {
		return all, err
	}
	stop()
	return all, nil
}

// known puts an operator's words for what the ledger says.
func known(kind, id string, err error) error {
	switch {
	case errors.Is(err, ledger.ErrExists):
		return fmt.Errorf("%s %s is there already", kind, id)
	case errors.Is(err, ledger.ErrNotFound):
		return fmt.Errorf("there is no %s %s", kind, id)
	}
	return err
}

// newSecret makes 128 random bits and the form in which they are kept.
func newSecret() (secret, hash string) {
	secret = randomHex(account.MinSecret)
	h, _ := account.HashSecret(secret) // long enough
	return secret, "sha256:" + hex.EncodeToString(h[:])
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// SealApp makes the stored form of an app's settings.
func SealApp(ring *keyring.Ring, p config.App) ([]byte, error) {
	plain, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("app %s: %w", p.ID, err)
	}
	return ring.Seal(ledger.AppPurpose(p.ID), plain), nil
}

// OpenApp reads the settings of a stored app and checks them.
func OpenApp(ring *keyring.Ring, e ledger.AppEntry) (config.App, error) {
	var p config.App
	plain, err := ring.Open(ledger.AppPurpose(e.ID), e.Settings)
	if err != nil {
		return p, fmt.Errorf("app %s: its settings cannot be opened: do all nodes have the same keys.json?", e.ID)
	}
	if err := json.Unmarshal(plain, &p); err != nil || p.ID != e.ID {
		return p, fmt.Errorf("app %s: its settings are damaged: write them again with `tapedeck app change`", e.ID)
	}
	if err := p.Validate(); err != nil {
		return p, fmt.Errorf("app %s: %w", e.ID, err)
	}
	return p, nil
}
