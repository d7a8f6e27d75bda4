package config

import "log/slog"

// App is an App ID of an account. Its JSON form is what the ledger keeps,
// sealed, for apps that are added while the service runs
// (docs/formats/accounts.md).
type App struct {
	ID       string          `koanf:"id" json:"id"`
	Disabled bool            `koanf:"disabled" json:"disabled,omitempty"`
	Modes    []string        `koanf:"modes" json:"modes,omitempty"`     // individual, mix, web, raw; empty: all
	Quota    int             `koanf:"quota" json:"quota,omitempty"`     // recordings at the same time; 0: 50
	Quotas   Quotas          `koanf:"quotas" json:"quotas,omitzero"`    // of single modes, below the quota
	LiveKit  Room            `koanf:"livekit" json:"livekit,omitzero"`  // rooms of recordings without a region
	Regions  map[string]Room `koanf:"regions" json:"regions,omitempty"` // rooms by region: CN, AP, EU, NA; key and secret default to those of livekit
	Token    Token           `koanf:"token" json:"token,omitzero"`
	Storage  Storage         `koanf:"storage" json:"storage,omitzero"`

	StrictIDs  bool `koanf:"strict_ids" json:"strict_ids,omitempty"`   // users whose identity is no integer are not recorded
	Extensions bool `koanf:"extensions" json:"extensions,omitempty"`   // requests may use what Tapedeck has beyond the API
	MaxOutputs int  `koanf:"max_outputs" json:"max_outputs,omitempty"` // live push outputs of a recording; 0: 1

	HLS HLS `koanf:"hls" json:"hls,omitzero"`

	Webhooks []Webhook `koanf:"webhooks" json:"webhooks,omitempty"`
}

// Quotas are limits of recordings at the same time by mode; 0: no limit of its
// own. Raw recordings count as individual ones.
type Quotas struct {
	Individual int `koanf:"individual" json:"individual,omitempty"`
	Mix        int `koanf:"mix" json:"mix,omitempty"`
	Web        int `koanf:"web" json:"web,omitempty"`
}

// Room is a LiveKit deployment.
type Room struct {
	URL    string `koanf:"url" json:"url,omitempty"` // ws:// or wss://
	Key    string `koanf:"key" json:"key,omitempty"`
	Secret string `koanf:"secret" json:"secret,omitempty"`
}

// Or takes what r leaves empty, but for the URL, from a default.
func (r Room) Or(def Room) Room {
	if r.Key == "" && r.Secret == "" {
		r.Key, r.Secret = def.Key, def.Secret
	}
	return r
}

// HLS says whether slices are encrypted for players (docs/formats/hls.md).
type HLS struct {
	Encrypt bool   `koanf:"encrypt" json:"encrypt,omitempty"`
	Secret  string `koanf:"secret" json:"secret,omitempty"`     // 64 hex digits: content keys are made from it; empty: drawn at random
	KeyURI  string `koanf:"key_uri" json:"key_uri,omitempty"`   // where players get a key; {app}, {sid}, {cname} are replaced; needs secret
	KeyFile bool   `koanf:"key_file" json:"key_file,omitempty"` // keys are stored beside the recordings
	Clear   bool   `koanf:"clear" json:"clear,omitempty"`       // requests may ask for files that cannot be encrypted
}

// String leaves the secret out.
func (h HLS) String() string { return "key_uri " + h.KeyURI }

// GoString keeps it out of %#v as well.
func (h HLS) GoString() string { return h.String() }

// LogValue keeps it out of the logs.
func (h HLS) LogValue() slog.Value { return slog.StringValue(h.String()) }

// Token says whether start has to carry a valid RTC token.
type Token struct {
	Check       *bool  `koanf:"check" json:"check,omitempty"`             // absent: if there is a certificate
	Certificate string `koanf:"certificate" json:"certificate,omitempty"` // app certificate: 32 hex digits; without it only LiveKit tokens can be valid
}

// Checked reports whether tokens are checked.
func (t Token) Checked() bool {
	if t.Check == nil {
		return t.Certificate != ""
	}
	return *t.Check
}

// Storage says where recordings may go.
type Storage struct {
	// Endpoints maps a vendor number, or "*" for all but 11, to
	// http(s)://host[:port] of an S3-compatible service or file:///folder.
	Endpoints map[string]string `koanf:"endpoints" json:"endpoints,omitempty"`
	// Hosts are the only hosts that vendor 11 may name; "*.example.com" stands
	// for everything below. Empty: all that the egress policy allows.
	Hosts []string `koanf:"hosts" json:"hosts,omitempty"`
}
