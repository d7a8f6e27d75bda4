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
)

// MinSecret is the shortest secret that is accepted, in bytes. Secrets are kept
// as plain SHA-256, which is safe for long random ones only.
const MinSecret = 16

// maxSecrets is how many secrets of a customer are valid at once: the old and
// the new one while a client is being changed over.
const maxSecrets = 2

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

// Directory holds all accounts. It is immutable and safe for concurrent use.
type Directory struct {
	accounts map[string]*Account
	apps     map[string]*App
}

// NewDirectory checks the accounts and copies them.
func NewDirectory(accounts []Account) (*Directory, error) {
	d := &Directory{accounts: make(map[string]*Account, len(accounts)), apps: make(map[string]*App)}
	for _, a := range accounts {
		if err := d.add(a); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *Directory) add(a Account) error {
	switch {
	case a.ID == "":
		return errors.New("account: an account without an id")
	case d.accounts[a.ID] != nil:
		return fmt.Errorf("account: %q is there twice", a.ID)
	case len(a.Secrets) == 0 || len(a.Secrets) > maxSecrets:
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
		case d.apps[app.ID] != nil:
			return fmt.Errorf("account: app %q is there twice", app.ID)
		case app.Quota < 0:
			return fmt.Errorf("account: app %q has a quota below zero", app.ID)
		}
		app.Account = a.ID
		d.apps[app.ID] = app
	}
	d.accounts[a.ID] = &own
	return nil
}

// Authenticate checks Basic credentials. It costs the same whether or not the
// user exists and whichever secret fits. The account must not be changed.
func (d *Directory) Authenticate(user, password []byte) (*Account, bool) {
	var secrets [maxSecrets]SecretHash // no hash is all zero, so an absent one never fits
	a := d.accounts[string(user)]
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

// App finds an app of any account, for rooms that work by App ID.
func (d *Directory) App(id string) (*App, bool) {
	app, ok := d.apps[id]
	return app, ok
}

// Accounts calls f for every account, in no particular order.
func (d *Directory) Accounts(f func(*Account)) {
	for _, a := range d.accounts {
		f(a)
	}
}
