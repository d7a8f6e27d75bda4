package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// AccountVersion is the value of V in the entries of accounts and apps that this
// build writes and reads (docs/formats/accounts.md).
const AccountVersion = 1

// ErrExists: there is an account or app of that id already.
var ErrExists = errors.New("ledger: it exists already")

// AccountEntry is a customer that was added while the service runs.
type AccountEntry struct {
	V        int       `json:"v"`
	ID       string    `json:"id"`      // the customer ID
	Secrets  []string  `json:"secrets"` // "sha256:<64 hex digits>" of each valid one, the newest last
	Inactive bool      `json:"inactive,omitempty"`
	Rate     int       `json:"rate,omitempty"` // requests a second; 0 = the default
	Changed  time.Time `json:"changed"`
}

// AppEntry is an app of such a customer, or of one in the configuration.
type AppEntry struct {
	V        int       `json:"v"`
	ID       string    `json:"id"`       // the App ID
	Account  string    `json:"account"`  // the customer ID
	Settings []byte    `json:"settings"` // sealed JSON of config.App, for AppPurpose(ID)
	Changed  time.Time `json:"changed"`
}

// AppPurpose is what the settings of an app are sealed for.
func AppPurpose(id string) []byte { return []byte("app settings\x00" + id) }

// id, key and version are what both kinds of entries have in common.
type kept interface {
	key() string
	version() int
}

func (a AccountEntry) key() string  { return "acct." + nameHash(a.ID) }
func (a AccountEntry) version() int { return a.V }
func (a AppEntry) key() string      { return "app." + nameHash(a.ID) }
func (a AppEntry) version() int     { return a.V }

// nameHash makes a key of an id, which may hold what a key may not.
func nameHash(id string) string {
	h := sha256.Sum256([]byte(id))
	return hex.EncodeToString(h[:16])
}

// AddAccount stores a new customer. ErrExists if there is one of the id.
func (l *Ledger) AddAccount(ctx context.Context, a AccountEntry) error {
	a.V, a.Changed = AccountVersion, l.now().UTC()
	return l.addEntry(ctx, a)
}

// AddApp stores a new app. ErrExists if there is one of the id, whosever it is.
func (l *Ledger) AddApp(ctx context.Context, a AppEntry) error {
	a.V, a.Changed = AccountVersion, l.now().UTC()
	return l.addEntry(ctx, a)
}

// ChangeAccount changes a customer by compare-and-swap: change may run several
// times, and its error ends it. ErrNotFound if there is none of the id.
func (l *Ledger) ChangeAccount(ctx context.Context, id string, change func(*AccountEntry) error) error {
	return changeEntry(ctx, l, AccountEntry{ID: id}, func(a *AccountEntry) error {
		a.Changed = l.now().UTC()
		return change(a)
	})
}

// ChangeApp is ChangeAccount for an app.
func (l *Ledger) ChangeApp(ctx context.Context, id string, change func(*AppEntry) error) error {
	return changeEntry(ctx, l, AppEntry{ID: id}, func(a *AppEntry) error {
		a.Changed = l.now().UTC()
		return change(a)
	})
}

// RemoveAccount forgets a customer, whose apps should be gone before. ErrNotFound
// if there is none of the id.
func (l *Ledger) RemoveAccount(ctx context.Context, id string) error {
	return l.removeEntry(ctx, AccountEntry{ID: id}.key())
}

// RemoveApp forgets an app. Its recordings go on as long as they can without it.
func (l *Ledger) RemoveApp(ctx context.Context, id string) error {
	return l.removeEntry(ctx, AppEntry{ID: id}.key())
}

func (l *Ledger) addEntry(ctx context.Context, e kept) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("ledger: encode %s: %w", e.key(), err)
	}
	var rev uint64
	for {
		if _, err = l.put(ctx, e.key(), body, rev, 0); !errors.Is(err, errRevision) {
			return err
		}
		old, err := l.read(ctx, e.key())
		if err != nil {
			return err
		}
		if old.value != nil {
			return ErrExists
		}
		rev = old.rev // of the marker that its removal left
	}
}

func changeEntry[T kept](ctx context.Context, l *Ledger, named T, change func(*T) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for {
		old, err := l.read(ctx, named.key())
		if err != nil {
			return err
		}
		if old.value == nil {
			return ErrNotFound
		}
		e, err := decodeEntry[T](old.value)
		if err != nil {
			return err
		}
		if err := change(&e); err != nil {
			return err
		}
		if e.key() != named.key() {
			return fmt.Errorf("ledger: %s: its id cannot change", named.key())
		}
		body, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("ledger: encode %s: %w", e.key(), err)
		}
		if _, err := l.put(ctx, e.key(), body, old.rev, 0); !errors.Is(err, errRevision) {
			return err
		}
	}
}

func (l *Ledger) removeEntry(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for {
		old, err := l.read(ctx, key)
		if err != nil {
			return err
		}
		if old.value == nil {
			return ErrNotFound
		}
		if err := l.remove(ctx, key, old.rev); !errors.Is(err, errRevision) {
			return err
		}
	}
}

func decodeEntry[T kept](b []byte) (T, error) {
	var e T
	if err := json.Unmarshal(b, &e); err != nil {
		return e, fmt.Errorf("ledger: bad entry: %w", err)
	}
	if e.version() != AccountVersion {
		return e, fmt.Errorf("ledger: entry %s has version %d, this build reads %d", e.key(), e.version(), AccountVersion)
	}
	return e, nil
}
