package account

import (
	"log/slog"
	"slices"
	"strings"

	"tapedeck/internal/session"
)

// App is one App ID of an account and what it may do.
type App struct {
	ID      string
	Account string // the customer it belongs to; set by the directory
	Enabled bool   // recording is switched on

	Modes  []session.Mode // that may be recorded; empty = all
	Quota  int            // recordings at the same time; 0 = no limit
	Quotas Quotas         // of single modes

	LiveKit LiveKit            // rooms of recordings without a region; its URL may be empty
	Regions map[string]LiveKit // rooms by region: CN, AP, EU, NA

	TokenCheck  bool   // start has to carry a valid RTC token
	Certificate string // of RTC tokens; "" = only LiveKit tokens can be valid

	Endpoints    map[string]string // storage endpoint by vendor number, or "*"; overrides the vendor's own
	StorageHosts []string          // hosts that a request may name as its storage; empty = all

	StrictIDs  bool // identities that are no integers are not recorded
	Extensions bool // requests may use what Tapedeck has beyond the API
	MaxOutputs int  // live push outputs of a recording
}

// Quotas are limits of recordings at the same time by mode; 0 = none of its own.
type Quotas struct{ Individual, Mix, Web int }

// LiveKit is the server and the key pair of an app's rooms.
type LiveKit struct{ URL, Key, Secret string }

// String leaves the secret out.
func (l LiveKit) String() string { return l.URL + " key " + l.Key }

// GoString keeps the secret out of %#v as well.
func (l LiveKit) GoString() string { return l.String() }

// LogValue keeps the secret out of the logs.
func (l LiveKit) LogValue() slog.Value { return slog.StringValue(l.String()) }

// Allows reports whether the app may record in a mode.
func (a *App) Allows(m session.Mode) bool { return len(a.Modes) == 0 || slices.Contains(a.Modes, m) }

// QuotaOf is the limit of recordings in a mode; 0 = none but the app's Quota.
func (a *App) QuotaOf(m session.Mode) int {
	switch m {
	case session.Individual, session.Raw:
		return a.Quotas.Individual
	case session.Mix:
		return a.Quotas.Mix
	case session.Web:
		return a.Quotas.Web
	}
	return 0
}

// StorageHostAllowed reports whether a request may name host, without its
// port, as its storage.
func (a *App) StorageHostAllowed(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, h := range a.StorageHosts {
		h = strings.ToLower(h)
		if below, wild := strings.CutPrefix(h, "*"); h == host || wild && below != "" && strings.HasSuffix(host, below) && len(host) > len(below) {
			return true
		}
	}
	return len(a.StorageHosts) == 0
}
