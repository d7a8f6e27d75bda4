package operator

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"tapedeck/internal/account"
	"tapedeck/internal/config"
	"tapedeck/internal/ledger"
)

// putApp adds an app or gives one other settings.
func (d *Desk) putApp(ctx context.Context, r Request) (Reply, error) {
	if r.App == nil {
		return Reply{}, errors.New("the settings of the app are missing")
	}
	p := *r.App
	add := r.Command == "app add"
	if p.ID == "" && add {
		p.ID = randomHex(16)
	}
	if d.staticApp(p.ID) {
		return Reply{}, fmt.Errorf("app %s is in the configuration file: change it there", p.ID)
	}
	if err := p.Validate(); err != nil {
		return Reply{}, err
	}
	sealed, err := SealApp(d.Ring, p)
	if err != nil {
		return Reply{}, err
	}
	if !add {
		err := d.Ledger.ChangeApp(ctx, p.ID, func(e *ledger.AppEntry) error {
			if r.Account != "" && r.Account != e.Account {
				return fmt.Errorf("app %s belongs to account %s: remove it and add it to the other", p.ID, e.Account)
			}
			e.Settings = sealed
			return nil
		})
		return Reply{ID: p.ID}, known("app", p.ID, err)
	}
	if err := d.owner(ctx, r.Account); err != nil {
		return Reply{}, err
	}
	err = d.Ledger.AddApp(ctx, ledger.AppEntry{ID: p.ID, Account: r.Account, Settings: sealed})
	return Reply{ID: p.ID}, known("app", p.ID, err)
}

// owner checks that the account of a new app is there.
func (d *Desk) owner(ctx context.Context, id string) error {
	if _, static := d.static(id); static {
		return nil
	}
	all, err := d.stored(ctx)
	if err == nil && !slices.ContainsFunc(all.Accounts, func(e ledger.AccountEntry) bool { return e.ID == id }) {
		err = known("account", id, ledger.ErrNotFound)
	}
	return err
}

func (d *Desk) removeApp(ctx context.Context, r Request) (Reply, error) {
	if d.staticApp(r.ID) {
		return Reply{}, fmt.Errorf("app %s is in the configuration file: change it there", r.ID)
	}
	return Reply{ID: r.ID}, known("app", r.ID, d.Ledger.RemoveApp(ctx, r.ID))
}

// list shows everything, whatever its source.
func (d *Desk) list(ctx context.Context) (Reply, error) {
	all, err := d.stored(ctx)
	if err != nil {
		return Reply{}, err
	}
	var r Reply
	apps := map[string]int{}
	for _, a := range d.Static {
		for _, p := range a.Apps {
			r.Apps = append(r.Apps, shown(p, a.CustomerID, fromConfig))
			apps[a.CustomerID]++
		}
	}
	for _, e := range all.Apps {
		p, err := OpenApp(d.Ring, e)
		line := shown(p, e.Account, fromLedger)
		line.ID = e.ID
		switch {
		case err != nil:
			line.Problem = err.Error()
		case d.staticApp(e.ID):
			line.Problem = "the configuration file has another app of this id"
		}
		r.Apps = append(r.Apps, line)
		apps[e.Account]++
	}
	for _, a := range d.Static {
		r.Accounts = append(r.Accounts, Account{
			ID: a.CustomerID, Source: fromConfig, Secrets: len(a.Secrets), Rate: rate(a.Rate), Inactive: a.Inactive, Apps: apps[a.CustomerID],
		})
	}
	for _, e := range all.Accounts {
		r.Accounts = append(r.Accounts, Account{
			ID: e.ID, Source: fromLedger, Secrets: len(e.Secrets), Rate: rate(e.Rate), Inactive: e.Inactive, Apps: apps[e.ID],
		})
	}
	return r, nil
}

func rate(n int) int {
	if n == 0 {
		return account.DefaultRate
	}
	return n
}

func shown(p config.App, owner, source string) App {
	line := App{ID: p.ID, Account: owner, Source: source, Disabled: p.Disabled, LiveKit: p.LiveKit.URL, Token: p.Token.Checked()}
	for region, room := range p.Regions {
		if line.Regions == nil {
			line.Regions = map[string]string{}
		}
		line.Regions[region] = room.URL
	}
	return line
}
