package app

import (
	"context"

	"tapedeck/internal/account"
	"tapedeck/internal/config"
	"tapedeck/internal/ledger"
	"tapedeck/internal/operator"
)

// startCustomers joins the customers of the ledger to those of the configuration,
// now and whenever they change, and lets operators change them.
func (a *App) startCustomers(ctx context.Context) error {
	static := a.staticAccounts()
	stop, err := a.ledger.WatchAccounts(ctx, func(stored ledger.Accounts) { a.setAccounts(static, stored) })
	if err != nil {
		return err
	}
	a.onStop(func(context.Context) error { stop(); return nil })
	desk := &operator.Desk{Ledger: a.ledger, Ring: a.ring, Static: static}
	a.operator.Handle("POST "+operator.Path, desk.Handler(a.log))
	return nil
}

// staticAccounts are those that only a restart can change.
func (a *App) staticAccounts() []config.Account {
	if a.cfg.Development() {
		return append([]config.Account{a.dev.account(a.cfg.Data)}, a.cfg.Accounts...)
	}
	return a.cfg.Accounts
}

// setAccounts puts a new state in force. What cannot be part of it is left out and
// reported: one bad entry must not lock everybody out.
func (a *App) setAccounts(static []config.Account, stored ledger.Accounts) {
	merged := a.merge(static, stored)
	list, err := convert(merged)
	if err == nil {
		err = a.accounts.Set(list)
	}
	if err != nil {
		a.log.Error("the customers and apps of the ledger are not taken over; those before stay in force", "error", err)
	}
}

// merge adds what is stored to what is configured, which wins where both have the
// same id.
func (a *App) merge(static []config.Account, stored ledger.Accounts) []config.Account {
	var all []config.Account
	at, apps := map[string]int{}, map[string]bool{}
	for _, c := range static {
		at[c.CustomerID] = len(all)
		c.Apps = append([]config.App(nil), c.Apps...)
		all = append(all, c)
		for _, p := range c.Apps {
			apps[p.ID] = true
		}
	}
	leftOut := func(kind, id, why string) {
		a.log.Error("an entry of the ledger is not in force", "kind", kind, "id", id, "reason", why)
	}
	for _, e := range stored.Accounts {
		if _, twice := at[e.ID]; twice {
			leftOut("account", e.ID, "the configuration file has an account of this id")
			continue
		}
		c := config.Account{CustomerID: e.ID, Secrets: e.Secrets, Inactive: e.Inactive, Rate: e.Rate}
		if err := c.Validate(); err != nil {
			leftOut("account", e.ID, err.Error())
			continue
		}
		at[e.ID] = len(all)
		all = append(all, c)
	}
	for _, e := range stored.Apps {
		owner, there := at[e.Account]
		p, err := operator.OpenApp(a.ring, e)
		switch {
		case apps[e.ID]:
			leftOut("app", e.ID, "the configuration file has an app of this id")
		case !there:
			leftOut("app", e.ID, "its account "+e.Account+" does not exist")
		case err != nil:
			leftOut("app", e.ID, err.Error())
		default:
			apps[e.ID] = true
			all[owner].Apps = append(all[owner].Apps, p)
		}
	}
	return all
}

// convert turns settings into what authenticates requests.
func convert(accounts []config.Account) ([]account.Account, error) {
	list := make([]account.Account, 0, len(accounts))
	for _, a := range accounts {
		acc := account.Account{ID: a.CustomerID, Active: !a.Inactive, Rate: a.Rate}
		for _, s := range a.Secrets {
			h, err := account.ParseSecretHash(s)
			if err != nil {
				return nil, err
			}
			acc.Secrets = append(acc.Secrets, h)
		}
		for _, p := range a.Apps {
			acc.Apps = append(acc.Apps, appOf(p))
		}
		list = append(list, acc)
	}
	return list, nil
}
