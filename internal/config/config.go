// Package config holds the typed, immutable settings of `tapedeck serve`.
// Later sources win: built-in defaults, the YAML file, environment variables
// (TAPEDECK_CONF_<KEY>, nested keys joined by two underscores), flags. A key
// that nobody knows is an error, so that a typo never silently changes
// nothing. docs/ops/configuration.md lists every key.
package config

import (
	"net"
	"net/netip"
	"time"
)

// Config is the whole of it. The zero value of most members means "default".
type Config struct {
	Data     string    `koanf:"data"`   // folder of everything that has to survive a restart
	Listen   string    `koanf:"listen"` // host:port of the HTTP API
	TLS      TLS       `koanf:"tls"`
	HTTP     HTTP      `koanf:"http"`
	Log      Log       `koanf:"log"`
	NATS     NATS      `koanf:"nats"`
	LiveKit  LiveKit   `koanf:"livekit"`
	Worker   string    `koanf:"worker"` // path of tapedeck-worker; default: beside tapedeck
	Spool    Spool     `koanf:"spool"`
	Upload   Upload    `koanf:"upload"`
	Backup   Backup    `koanf:"backup"`
	Node     Node      `koanf:"node"`
	Egress   Egress    `koanf:"egress"`
	Mix      Mix       `koanf:"mix"`
	Accounts []Account `koanf:"accounts"`

	WebhookSources []string `koanf:"webhook_sources"` // addresses that webhooks come from, of all nodes, as receivers see them; empty: those of this machine

	Dev *bool `koanf:"development"` // run the development account and LiveKit server; absent: if no account is configured
}

// TLS is the certificate of the API. The files are read again when they change.
type TLS struct {
	Cert       string `koanf:"cert"`        // PEM file: the certificate, then those between it and the root
	Key        string `koanf:"key"`         // PEM file
	MinVersion string `koanf:"min_version"` // 1.2 or 1.3
}

// On reports whether the API speaks TLS.
func (t TLS) On() bool { return t.Cert != "" || t.Key != "" }

// HTTP bounds what a connection to the API may do.
type HTTP struct {
	Plain         *bool         `koanf:"plain"`           // speak HTTP without TLS; absent: on a loopback address only
	Connections   int           `koanf:"max_connections"` // open at the same time
	HeaderTimeout time.Duration `koanf:"header_timeout"`  // for the head of a request
	ReadTimeout   time.Duration `koanf:"read_timeout"`    // for a whole request
	WriteTimeout  time.Duration `koanf:"write_timeout"`   // from the head of a request to the end of its answer; a stop takes up to 21 s
	IdleTimeout   time.Duration `koanf:"idle_timeout"`    // between requests
}

// Log says how to log.
type Log struct {
	Level  string `koanf:"level"`  // debug, info, warn, error
	Format string `koanf:"format"` // text, json
}

// NATS is the control plane. With an empty URL an embedded server runs.
type NATS struct {
	URL         string `koanf:"url"`         // nats://host:4222[,...]
	Credentials string `koanf:"credentials"` // path of a .creds file
	Replicas    int    `koanf:"replicas"`    // of every stream: 1, 3 or 5
}

// LiveKit configures the embedded development server, which runs when no
// account is configured.
type LiveKit struct {
	Port int `koanf:"port"` // 0: 7880 if free, else any
}

// Spool is where recordings wait until their destination has them.
type Spool struct {
	Dir       string        `koanf:"dir"`         // default: <data>/spool
	MinFreeMB int           `koanf:"min_free_mb"` // new recordings are refused below this
	MaxMB     int           `koanf:"max_mb"`      // and when the spool holds as much; 0: no bound
	Encrypt   bool          `koanf:"encrypt"`     // the files of new recordings, with a key of their own
	Keep      time.Duration `koanf:"keep"`        // how long journals of finished recordings stay
}

// Node bounds what this machine takes on.
type Node struct {
	Region string  `koanf:"region"`  // CN, AP, EU, NA or empty
	Cores  float64 `koanf:"cores"`   // processor cores given to recordings; 0: all
	OnStop string  `koanf:"on_stop"` // "finish" or "leave" running recordings at a clean stop; empty: finish with the embedded LiveKit server, else leave
}

// Egress allows outbound connections to address ranges that are refused by
// default: private, loopback, link-local.
type Egress struct {
	Allow []string `koanf:"allow"` // CIDR
}

// Mix tunes composite recordings.
type Mix struct {
	Quality   string        `koanf:"quality"`    // "s1" (default) or "high": better pictures at about 1.5 times the cost
	MP4Length time.Duration `koanf:"mp4_length"` // the next MP4 begins after this; 0: 2 h
}

// Account is a customer: the user of HTTP Basic authentication.
type Account struct {
	CustomerID string   `koanf:"customer_id"`
	Secrets    []string `koanf:"secrets"` // "sha256:<64 hex>" of each valid secret, two at most
	Inactive   bool     `koanf:"inactive"`
	Rate       int      `koanf:"rate"` // requests a second over all nodes; 0: 10
	Apps       []App    `koanf:"apps"`
}

// Default returns the built-in settings.
func Default() Config {
	return Config{
		Data:   "./tapedeck-data",
		Listen: "127.0.0.1:8080",
		TLS:    TLS{MinVersion: "1.2"},
		HTTP: HTTP{
			Connections: 10000, HeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
			WriteTimeout: 75 * time.Second, IdleTimeout: 2 * time.Minute,
		},
		Log:   Log{Level: "info", Format: "text"},
		NATS:  NATS{Replicas: 1},
		Spool: Spool{MinFreeMB: 512, Keep: 24 * time.Hour},
	}
}

// Development reports whether the service makes an account for itself, and a
// LiveKit server, so that it can be tried at once.
func (c Config) Development() bool {
	if c.Dev != nil {
		return *c.Dev
	}
	return len(c.Accounts) == 0
}

// PlainHTTP reports whether the API may be served without TLS.
func (c Config) PlainHTTP() bool {
	if c.HTTP.Plain != nil {
		return *c.HTTP.Plain
	}
	host, _, _ := net.SplitHostPort(c.Listen)
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// FinishOnStop reports whether running recordings end with a clean stop.
func (c Config) FinishOnStop() bool {
	if c.Node.OnStop == "" {
		return c.Development()
	}
	return c.Node.OnStop == "finish"
}
