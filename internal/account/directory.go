// Package account knows the customers: their hashed secrets, their apps with
// quotas and LiveKit keys, and how often they may call.
package account

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
)

// MinSecret is the shortest secret that is accepted, in bytes. Secrets are kept
// as plain SHA-256, which is safe for long random ones only.
const MinSecret = 16

// MaxSecrets is how many secrets of a customer are valid at once: the old and
// the new one while a client is being changed over.
const MaxSecrets = 2

// DefaultRate is the rate limit of an account in requests per second
// (rest-api.md 1).
const DefaultRate = 10

// SecretHash is the SHA-256 of a customer secret.
type SecretHash [sha256.Size]byte

// HashSecret hashes a customer secret, which has to be a random string of at
// least MinSecret bytes.
func HashSecret(secret string) (SecretHash, error) {
	if len(secret) < MinSecret {
		return SecretHash{}, fmt.Errorf("account: a secret of %d bytes is too short: use at least %d random ones", len(secret), MinSecret)
	}
	return sha256.Sum256([]byte(secret)), nil
}

// ParseSecretHash reads the form of the configuration: "sha256:" and 64 hex digits.
func ParseSecretHash(s string) (SecretHash, error) {
	var h SecretHash
	digits, ok := strings.CutPrefix(s, "sha256:")
	if n, err := hex.Decode(h[:], []byte(digits[:min(len(digits), 2*len(h))])); !ok || err != nil || n != len(h) || len(digits) != 2*len(h) {
		return SecretHash{}, errors.New("account: a secret's hash must be sha256:<64 hex digits>")
	}
	return h, nil
}

// Account is one customer.
type Account struct {
	ID      string       // the customer ID, user name of Basic auth
	Secrets []SecretHash // one, or two while a secret is being replaced
	Active  bool         // false: acquire answers no_active_status
	Rate    int          // requests per second over the whole cluster; 0 = DefaultRate
	Apps    []App
}

// App finds an app of the account.
func (a *Account) App(id string) (*App, bool) {
	for i := range a.Apps {
		if a.Apps[i].ID == id {
			return &a.Apps[i], true
		}
	}
	return nil, false
}

// Limit is the account's rate limit in requests per second.
func (a *Account) Limit() int {
	if a.Rate > 0 {
		return a.Rate
	}
	return DefaultRate
}

// Directory holds all accounts of the moment. It is safe for concurrent use: Set
// replaces them all in one step, and what it handed out before stays as it was.
type Directory struct{ now atomic.Pointer[table] }

// table is one state of the directory. It is never changed.
type table struct {
	accounts map[string]*Account
	apps     map[string]*App
}

// NewDirectory checks the accounts and copies them.
func NewDirectory(accounts []Account) (*Directory, error) {
	d := &Directory{}
	return d, d.Set(accounts)
}

// Set checks the accounts, copies them, and puts them in place of those before. On
// an error nothing changes.
func (d *Directory) Set(accounts []Account) error {
	t := &table{accounts: make(map[string]*Account, len(accounts)), apps: make(map[string]*App)}
	for _, a := range accounts {
		if err := t.add(a); err != nil {
			return err
		}
	}
	d.now.Store(t)
	return nil
}

func (t *table) add(a Account) error {
	switch {
	case a.ID == "":
		return errors.New("account: an account without an id")
	case t.accounts[a.ID] != nil:
		return fmt.Errorf("account: %q is there twice", a.ID)
	case len(a.Secrets) == 0 || len(a.Secrets) > MaxSecrets:
		return fmt.Errorf("account: %q has %d secrets, want one, or two while one is being replaced", a.ID, len(a.Secrets))
	case a.Rate < 0:
		return fmt.Errorf("account: %q has a rate below zero", a.ID)
	}
	own := a
	own.Secrets = append([]SecretHash(nil), a.Secrets...)
	own.Apps = append([]App(nil), a.Apps...)
	for i := range own.Apps {
		app := &own.Apps[i]
		switch {
		case app.ID == "":
			return fmt.Errorf("account: %q has an app without an id", a.ID)
		case t.apps[app.ID] != nil:
			return fmt.Errorf("account: app %q is there twice", app.ID)
		case app.Quota < 0:
			return fmt.Errorf("account: app %q has a quota below zero", app.ID)
		}
		app.Account = a.ID
		t.apps[app.ID] = app
	}
	t.accounts[a.ID] = &own
	return nil
}

// Authenticate checks Basic credentials. It costs the same whether or not the
// user exists and whichever secret fits. The account must not be changed.
func (d *Directory) Authenticate(user, password []byte) (*Account, bool) {
	var secrets [MaxSecrets]SecretHash // no hash is all zero, so an absent one never fits
	a := d.now.Load().accounts[string(user)]
	if a != nil {
		copy(secrets[:], a.Secrets)
	}
	got := SecretHash(sha256.Sum256(password))
	fits := 0
	for i := range secrets {
		fits |= subtle.ConstantTimeCompare(got[:], secrets[i][:])
	}
	if fits == 0 || a == nil {
		return nil, false
	}
	return a, true
}

// Account finds an account by its customer ID.
func (d *Directory) Account(id string) (*Account, bool) {
	a, ok := d.now.Load().accounts[id]
	return a, ok
}

// App finds an app of any account, for rooms that work by App ID.
func (d *Directory) App(id string) (*App, bool) {
	app, ok := d.now.Load().apps[id]
	return app, ok
}
