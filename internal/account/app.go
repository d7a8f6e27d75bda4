package account

import (
	"log/slog"
	"slices"
	"strings"

	"tapedeck/internal/notify"
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

	HLS HLS

	Webhooks []notify.Endpoint
}

// HLS says how an app's slices are encrypted for players (docs/formats/hls.md).
type HLS struct {
	Encrypt bool
	Secret  []byte // content keys are made from it; none: they are drawn at random
	KeyURI  string // template; "" = the key is stored beside the recording
	KeyFile bool
	Clear   bool // requests may ask for files that cannot be encrypted
}

// String leaves the secret out.
func (h HLS) String() string { return "key uri " + h.KeyURI }

// GoString keeps the secret out of %#v as well.
func (h HLS) GoString() string { return h.String() }

// LogValue keeps the secret out of the logs.
func (h HLS) LogValue() slog.Value { return slog.StringValue(h.String()) }

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

// Fence settles the region of a recording: the one that was asked for, or else
// home, that of the node that answers, if the app has rooms there. It is "" for
// the app's rooms without a region. ok is false where the app has no rooms. An app
// without Regions has one place for all its rooms, and its recordings are fenced
// by the region of the nodes alone.
func (a *App) Fence(asked, home string) (region string, ok bool) {
	if len(a.Regions) == 0 {
		return asked, true
	}
	if asked != "" {
		_, ok = a.Regions[asked]
		return asked, ok
	}
	if _, ok = a.Regions[home]; ok {
		return home, true
	}
	return "", a.LiveKit.URL != ""
}

// Places returns where a recording of a region that Fence settled may be made, the
// best first. home is the region of the node that asks.
func (a *App) Places(region, home string) []string {
	switch {
	case region != "" && len(a.Regions) > 0:
		return []string{region}
	case region != "":
		return []string{region, session.PlaceUnnamed}
	case home != "":
		return []string{home, session.PlaceAny}
	}
	return []string{session.PlaceAny}
}

// Room returns the rooms of a region that Fence settled.
func (a *App) Room(region string) (LiveKit, bool) {
	if region == "" || len(a.Regions) == 0 {
		return a.LiveKit, a.LiveKit.URL != ""
	}
	l, ok := a.Regions[region]
	return l, ok
}

// Counted returns the modes that share a quota with m, and that quota; 0 = none.
func (a *App) Counted(m session.Mode) (modes []session.Mode, quota int) {
	if m == session.Individual || m == session.Raw {
		return []session.Mode{session.Individual, session.Raw}, a.QuotaOf(m)
	}
	return []session.Mode{m}, a.QuotaOf(m)
}
