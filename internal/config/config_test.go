package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tapedeck.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const production = `
data: /var/lib/tapedeck
listen: 0.0.0.0:8443
log: {level: warn, format: json}
spool: {min_free_mb: 2048, keep: 48h}
nats: {url: "nats://10.0.0.1:4222", replicas: 3}
egress: {allow: ["10.0.0.0/8"]}
accounts:
  - customer_id: c1
    secrets: ["sha256:` + "0000000000000000000000000000000000000000000000000000000000000000" + `"]
    rate: 25
    apps:
      - id: a1
        quota: 7
        livekit: {url: "wss://rooms.example.test", key: k, secret: s}
        storage: {endpoints: {"1": "http://10.0.0.9:9000", "*": "file:///srv/recordings"}}
`

func TestLoadMergesSourcesInOrder(t *testing.T) {
	c, err := Load(write(t, production), []string{"TAPEDECK_CONF_LISTEN=127.0.0.1:1", "TAPEDECK_CONF_SPOOL__MIN_FREE_MB=64", "OTHER=x"},
		map[string]string{"listen": "127.0.0.1:2"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:2" {
		t.Errorf("listen = %q, want the flag's", c.Listen)
	}
	if c.Spool.MinFreeMB != 64 {
		t.Errorf("spool.min_free_mb = %d, want the environment's 64", c.Spool.MinFreeMB)
	}
	if c.Spool.Keep != 48*time.Hour || c.Log.Level != "warn" {
		t.Errorf("the file's values are not taken: %+v", c)
	}
	if c.Data != "/var/lib/tapedeck" || c.NATS.Replicas != 3 {
		t.Errorf("the file's values are not taken: %+v", c)
	}
	app := c.Accounts[0].Apps[0]
	if app.Quota != 7 || app.Storage.Endpoints["*"] != "file:///srv/recordings" {
		t.Errorf("the app is wrong: %+v", app)
	}
	if c.Development() || c.FinishOnStop() {
		t.Error("a configuration with accounts must not start the development servers")
	}
}

func TestDefaultsNeedNoFile(t *testing.T) {
	c, err := Load("", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:8080" || !c.Development() || !c.FinishOnStop() {
		t.Errorf("unexpected defaults: %+v", c)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	cases := map[string]struct{ yaml, want string }{
		"unknown key":        {"datta: /x", "datta"},
		"unknown nested key": {"spool: {sise: 3}", "sise"},
		"wrong type":         {"spool: {min_free_mb: plenty}", "min_free_mb"},
		"bad listen":         {"listen: '8080'", "host:port"},
		"bad level":          {"log: {level: loud}", "log.level"},
		"bad replicas":       {"nats: {replicas: 2}", "nats.replicas"},
		"embedded replicas":  {"nats: {replicas: 3}", "nats.url"},
		"bad range":          {"egress: {allow: [everything]}", "CIDR"},
		"clear secret":       {"accounts: [{customer_id: c, secrets: [hunter2], apps: []}]", "keygen"},
		"no livekit": {"accounts: [{customer_id: c, secrets: ['sha256:" + strings.Repeat("0", 64) + "'], apps: [{id: a}]}]",
			"livekit.url"},
		"bad endpoint": {strings.Replace(production, "file:///srv/recordings", "/srv/recordings", 1), "storage.endpoints"},
		"app twice":    {production + "      - id: a1\n        livekit: {url: 'ws://x', key: k, secret: s}\n", "used twice"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Load(write(t, tc.yaml), nil, nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error %v does not name %q", err, tc.want)
			}
		})
	}
}

func TestMissingFileIsAnError(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml"), nil, nil); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Fatalf("got %v", err)
	}
}
