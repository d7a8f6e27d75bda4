package app

import (
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"tapedeck/internal/config"
)

// Check says what serve would do with a valid configuration. It changes
// nothing and connects to nobody.
func Check(c config.Config, w io.Writer) error {
	var b strings.Builder
	line := func(key, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s %s\n", key, fmt.Sprintf(format, args...))
	}
	line("api", "%s://%s, %d connections at most", scheme(c), c.Listen, c.HTTP.Connections)
	if c.TLS.On() {
		if _, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key); err != nil {
			line("tls", "BROKEN: %v", err)
		} else {
			line("tls", "%s, TLS %s or newer", c.TLS.Cert, c.TLS.MinVersion)
		}
	}
	if c.Node.Region != "" {
		line("region", "%s", c.Node.Region)
	}
	line("data", "%s", c.Data)
	checkSpool(c, line)
	checkBackup(c.Backup, line)
	if c.NATS.URL == "" {
		line("ledger", "embedded NATS in %s, every write synced", filepath.Join(c.Data, "nats"))
	} else {
		line("ledger", "NATS at %s, %d copies", c.NATS.URL, c.NATS.Replicas)
	}
	if c.Development() {
		line("livekit", "embedded server on loopback")
	}
	worker, err := workerPath(c)
	if err != nil {
		line("worker", "MISSING: %v", err)
	} else {
		line("worker", "%s", worker)
	}
	if c.FinishOnStop() {
		line("on stop", "running recordings are ended and their files closed")
	} else {
		line("on stop", "running recordings go on and are taken up by the next start")
	}
	if c.Development() {
		line("account", "no account is configured: one is generated in %s", filepath.Join(c.Data, DevFile))
		line("storage", "%s, whatever vendor a request names (vendor 11: the caller's endpoint)", recordingsDir(c.Data))
	}
	for _, a := range c.Accounts {
		line("account", "%s: %d valid secrets, %s", a.CustomerID, len(a.Secrets), activity(a))
		for _, p := range a.Apps {
			for _, text := range describe(p, c.Node.Region) {
				line("  app", "%s", text)
			}
			for vendor, e := range p.Storage.Endpoints {
				line("    store", "vendor %s goes to %s", vendor, e)
			}
			for _, w := range p.Webhooks {
				line("    told", "%s", w)
			}
		}
	}
	if _, werr := io.WriteString(w, b.String()); werr != nil {
		return werr
	}
	return err
}

// describe says where the rooms of an app are and who may record them.
func describe(p config.App, home string) []string {
	var out []string
	if p.LiveKit.URL != "" {
		out = append(out, p.ID+" records rooms of "+p.LiveKit.URL)
	}
	for _, region := range slices.Sorted(maps.Keys(p.Regions)) {
		out = append(out, p.ID+" records rooms of "+p.Regions[region].URL+" on nodes in "+region+" only")
	}
	if _, here := p.Regions[home]; !here && len(p.Regions) > 0 && p.LiveKit.URL == "" {
		out = append(out, p.ID+" has no rooms in the region of this node: requests without a region are refused here")
	}
	if p.Token.Checked() {
		out = append(out, p.ID+" starts with a valid RTC token only")
	}
	return out
}

func activity(a config.Account) string {
	if a.Inactive {
		return "inactive"
	}
	rate := a.Rate
	if rate == 0 {
		rate = 10
	}
	return fmt.Sprintf("%d requests a second", rate)
}

// checkSpool says where recordings wait, and how.
func checkSpool(c config.Config, line func(key, format string, args ...any)) {
	how := "not encrypted"
	if c.Spool.Encrypt {
		how = "encrypted, opened by keys.json"
	}
	line("spool", "%s, %s; new recordings are refused below %d MB free", spoolDir(c), how, c.Spool.MinFreeMB)
}

func spoolDir(c config.Config) string {
	if c.Spool.Dir != "" {
		return c.Spool.Dir
	}
	return filepath.Join(c.Data, "spool")
}

// workerPath finds the worker program: as configured, beside this program, or
// on PATH.
func workerPath(c config.Config) (string, error) {
	const name = "tapedeck-worker"
	if c.Worker != "" {
		if _, err := os.Stat(c.Worker); err != nil {
			return "", fmt.Errorf("worker: %w; `make build` makes it", err)
		}
		return filepath.Abs(c.Worker)
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), name)
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return filepath.Abs(path)
	}
	return "", fmt.Errorf("%s is neither beside tapedeck nor on PATH: `make build` makes it, or set `worker`", name)
}
