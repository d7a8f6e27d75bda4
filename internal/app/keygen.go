package app

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

// HashSecret returns the form in which a customer secret is configured.
// Secrets are 128 random bits of our own making, so a plain hash is enough.
func HashSecret(secret string) string {
	h := sha256.Sum256([]byte(secret))
	return "sha256:" + hex.EncodeToString(h[:])
}

// Keygen prints a new account: what the customer gets, and what goes into the
// configuration.
func Keygen(w io.Writer) error {
	id, secret, app := randomHex(16), randomHex(16), randomHex(16)
	_, err := fmt.Fprintf(w, `For the customer (shown once, not stored):
  app id           %s
  customer id      %s
  customer secret  %s

For the configuration file:
accounts:
  - customer_id: %s
    secrets: ["%s"]
    apps:
      - id: %s
        livekit: {url: "wss://YOUR-LIVEKIT", key: "KEY", secret: "SECRET"}
`, app, id, secret, id, HashSecret(secret), app)
	return err
}
