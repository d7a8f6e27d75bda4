package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Accounts is all that is stored of customers and apps, sorted by id.
type Accounts struct {
	Accounts []AccountEntry
	Apps     []AppEntry
}

// WatchAccounts calls see with all customers and apps, before it returns and
// after every change, one call at a time. An entry that cannot be read is left out
// and reported. stop waits for a call under way.
func (l *Ledger) WatchAccounts(ctx context.Context, see func(Accounts)) (stop func(), err error) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w, err := l.kv.WatchFiltered(own, []string{"acct.*", "app.*"})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("ledger: watch the accounts: %w", err)
	}
	v := &accountView{l: l, accounts: map[string]AccountEntry{}, apps: map[string]AppEntry{}}
	first, done := context.WithTimeout(ctx, callTimeout)
	defer done()
	if err := v.first(first, w); err != nil {
		cancel()
		return nil, err
	}
	see(v.all())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for e := range w.Updates() {
			if e != nil && v.take(e) {
				see(v.all())
			}
		}
	}()
	return func() {
		_ = w.Stop()
		cancel()
		<-ended
	}, nil
}

// accountView is what a watch has seen, by key.
type accountView struct {
	l        *Ledger
	accounts map[string]AccountEntry
	apps     map[string]AppEntry
}

func (v *accountView) first(ctx context.Context, w jetstream.KeyWatcher) error {
	for {
		select {
		case e, ok := <-w.Updates():
			if !ok || e == nil {
				return nil
			}
			v.take(e)
		case <-ctx.Done():
			return fmt.Errorf("ledger: list the accounts: %w", ctx.Err())
		}
	}
}

// take reports whether an entry changed anything.
func (v *accountView) take(e jetstream.KeyValueEntry) bool {
	var err error
	switch put := e.Operation() == jetstream.KeyValuePut; {
	case strings.HasPrefix(e.Key(), "acct."):
		err = keep(v.accounts, e, put)
	default:
		err = keep(v.apps, e, put)
	}
	if err != nil {
		v.l.log.Error("an account or app cannot be read and is left out", "key", e.Key(), "error", err)
	}
	return err == nil
}

func keep[T kept](m map[string]T, e jetstream.KeyValueEntry, put bool) error {
	if !put {
		delete(m, e.Key())
		return nil
	}
	x, err := decodeEntry[T](e.Value())
	if err == nil {
		m[e.Key()] = x
	}
	return err
}

func (v *accountView) all() Accounts {
	byAccount := func(a, b AccountEntry) int { return strings.Compare(a.ID, b.ID) }
	byApp := func(a, b AppEntry) int { return strings.Compare(a.ID, b.ID) }
	return Accounts{
		Accounts: slices.SortedFunc(maps.Values(v.accounts), byAccount),
		Apps:     slices.SortedFunc(maps.Values(v.apps), byApp),
	}
}
