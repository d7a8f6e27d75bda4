package app

import (
	"encoding/hex"
	"fmt"
	"net/netip"

	"tapedeck/internal/account"
	"tapedeck/internal/config"
	"tapedeck/internal/outbound"
	"tapedeck/internal/session"
)

// defaultQuota is how many recordings an app may run at once when its
// configuration does not say (rest-api.md 1).
const defaultQuota = 50

// directory makes the directory of configured accounts.
func directory(accounts []config.Account) (*account.Directory, error) {
	list, err := convert(accounts)
	if err != nil {
		return nil, err
	}
	return account.NewDirectory(list)
}

// appOf turns a configured app into what the rooms work with.
func appOf(p config.App) account.App {
	app := account.App{
		ID: p.ID, Enabled: !p.Disabled, Quota: p.Quota,
		Quotas:     account.Quotas{Individual: p.Quotas.Individual, Mix: p.Quotas.Mix, Web: p.Quotas.Web},
		LiveKit:    account.LiveKit(p.LiveKit),
		TokenCheck: p.Token.Checked(), Certificate: p.Token.Certificate,
		Endpoints: p.Storage.Endpoints, StorageHosts: p.Storage.Hosts,
		StrictIDs: p.StrictIDs, Extensions: p.Extensions, MaxOutputs: max(1, p.MaxOutputs),
		HLS:      account.HLS{Encrypt: p.HLS.Encrypt, KeyURI: p.HLS.KeyURI, KeyFile: p.HLS.KeyFile, Clear: p.HLS.Clear},
		Webhooks: webhooks(p.ID, p.Webhooks),
	}
	app.HLS.Secret, _ = hex.DecodeString(p.HLS.Secret) // checked with the rest of the configuration
	if app.Quota == 0 {
		app.Quota = defaultQuota
	}
	for _, m := range p.Modes {
		app.Modes = append(app.Modes, session.Mode(m))
	}
	if len(p.Regions) > 0 {
		app.Regions = make(map[string]account.LiveKit, len(p.Regions))
	}
	for region, r := range p.Regions {
		app.Regions[region] = account.LiveKit(r.Or(p.LiveKit))
	}
	return app
}

// egress is the policy for everything the service connects to. The
// development account may use stores on this machine.
func egress(c config.Config) (outbound.Policy, error) {
	var p outbound.Policy
	allow := c.Egress.Allow
	if c.Development() {
		allow = append([]string{"127.0.0.0/8", "::1/128"}, allow...)
	}
	for _, a := range allow {
		prefix, err := netip.ParsePrefix(a)
		if err != nil {
			return p, fmt.Errorf("egress.allow: %w", err)
		}
		p.Allow = append(p.Allow, prefix)
	}
	return p, nil
}
