package edge

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// look is how often the files are looked at, at most: on handshakes only.
const look = time.Second

// certificate is a key pair whose files may be replaced at any time, as a renewal
// does. A pair that cannot be used leaves the one before in force.
type certificate struct {
	cert, key string
	now       func() time.Time
	log       *slog.Logger

	mu      sync.Mutex
	pair    *tls.Certificate
	stamps  [2]stamp // of the files that were tried last
	checked time.Time
}

// stamp tells one version of a file from another.
type stamp struct {
	changed time.Time
	size    int64
}

func newCertificate(cert, key string, now func() time.Time, log *slog.Logger) (*certificate, error) {
	c := &certificate{cert: cert, key: key, now: now, log: log}
	stamps, err := c.look()
	if err == nil {
		err = c.load(stamps)
	}
	if err != nil {
		return nil, fmt.Errorf("edge: the certificate: %w", err)
	}
	return c, nil
}

// get is tls.Config.GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.checked) >= look || now.Before(c.checked) {
		c.checked = now
		c.renew()
	}
	return c.pair, nil
}

// renew reads the files again if they are not those that were tried last.
func (c *certificate) renew() {
	stamps, err := c.look()
	if err == nil && stamps == c.stamps {
		return
	}
	if err == nil {
		err = c.load(stamps)
	}
	if err != nil {
		c.log.Error("the new TLS certificate cannot be used, the one before stays in force; mend the files, no restart is needed",
			"cert", c.cert, "key", c.key, "error", err)
		return
	}
	c.log.Info("a new TLS certificate is in force", "cert", c.cert, "until", c.pair.Leaf.NotAfter)
}

func (c *certificate) look() (stamps [2]stamp, err error) {
	for i, path := range []string{c.cert, c.key} {
		st, err := os.Stat(path)
		if err != nil {
			return stamps, err
		}
		stamps[i] = stamp{st.ModTime(), st.Size()}
	}
	return stamps, nil
}

// load reads the pair. Between the two files of a renewal they do not fit together;
// the next look finds the second one changed.
func (c *certificate) load(stamps [2]stamp) error {
	c.stamps = stamps
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return err
	}
	if pair.Leaf == nil {
		return errors.New("it has no leaf")
	}
	if c.now().After(pair.Leaf.NotAfter) {
		c.log.Warn("the TLS certificate has expired: callers will refuse it", "cert", c.cert, "since", pair.Leaf.NotAfter)
	}
	c.pair = &pair
	return nil
}
