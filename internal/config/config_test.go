package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
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
tls: {cert: /etc/tapedeck/cert.pem, key: /etc/tapedeck/key.pem, min_version: "1.3"}
http: {max_connections: 500, idle_timeout: 30s}
log: {level: warn, format: json}
spool: {min_free_mb: 2048, keep: 48h, encrypt: true}
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
	if !c.TLS.On() || c.TLS.MinVersion != "1.3" || c.HTTP.Connections != 500 || c.HTTP.IdleTimeout != 30*time.Second || c.HTTP.HeaderTimeout != 10*time.Second {
		t.Errorf("the edge: %+v %+v", c.TLS, c.HTTP)
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
		"unknown key":              {"datta: /x", "datta"},
		"unknown nested key":       {"spool: {sise: 3}", "sise"},
		"wrong type":               {"spool: {min_free_mb: plenty}", "min_free_mb"},
		"bad listen":               {"listen: '8080'", "host:port"},
		"bad level":                {"log: {level: loud}", "log.level"},
		"bad replicas":             {"nats: {replicas: 2}", "nats.replicas"},
		"embedded replicas":        {"nats: {replicas: 3}", "nats.url"},
		"clear beyond the machine": {"listen: ':8080'", "http.plain"},
		"clear on a name":          {"listen: 'tapedeck.example:80'", "http.plain"},
		"half a certificate":       {"tls: {cert: x.pem}", "together"},
		"old TLS":                  {"tls: {min_version: '1.1'}", "tls.min_version"},
		"stop could not wait":      {"http: {write_timeout: 5s}", "http.write_timeout"},
		"no connections":           {"http: {max_connections: 0}", "http.max_connections"},
		"bad mode":                 {strings.Replace(production, "quota: 7", "modes: [video]", 1), ".modes"},
		"negative quota":           {strings.Replace(production, "quota: 7", "quotas: {web: -1}", 1), "below zero"},
		"six outputs":              {strings.Replace(production, "quota: 7", "max_outputs: 6", 1), "max_outputs: is at most 5"},
		"bad region":               {strings.Replace(production, "quota: 7", "regions: {US: {url: 'wss://us'}}", 1), ".regions"},
		"region without a URL":     {strings.Replace(production, "quota: 7", "regions: {EU: {key: x}}", 1), ".regions.EU.url"},
		"bad certificate":          {strings.Replace(production, "quota: 7", "token: {certificate: abc}", 1), "32 hex digits"},
		"bad host":                 {strings.Replace(production, "storage: {", "storage: {hosts: ['https://x'], ", 1), ".hosts"},
		"colon in the customer":    {strings.Replace(production, "customer_id: c1", "customer_id: 'c:1'", 1), "colon"},
		"bad range":                {"egress: {allow: [everything]}", "CIDR"},
		"clear secret":             {"accounts: [{customer_id: c, secrets: [hunter2], apps: []}]", "keygen"},
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

func TestDevelopmentSwitch(t *testing.T) {
	off, err := Load("", []string{"TAPEDECK_CONF_DEVELOPMENT=false"}, nil)
	if err != nil || off.Development() {
		t.Errorf("accounts of the ledger only: %v, %v", off.Development(), err)
	}
	on, err := Load(write(t, production+"development: true\n"), nil, nil)
	if err != nil || !on.Development() {
		t.Errorf("a development account beside others: %v, %v", on.Development(), err)
	}
}

func TestPlainHTTP(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		listen string
		plain  *bool
		want   bool
	}{
		{"127.0.0.1:1", nil, true}, {"[::1]:1", nil, true}, {"localhost:1", nil, true}, {"127.8.9.1:1", nil, true},
		{"0.0.0.0:1", nil, false}, {":1", nil, false}, {"10.0.0.1:1", nil, false}, {"host:1", nil, false},
		{"0.0.0.0:1", &yes, true}, {"127.0.0.1:1", &no, false},
	} {
		if got := (Config{Listen: c.listen, HTTP: HTTP{Plain: c.plain}}).PlainHTTP(); got != c.want {
			t.Errorf("%s: %v", c.listen, got)
		}
	}
}

const oneApp = `
id: a9
modes: [mix, web]
quotas: {mix: 3}
livekit: {key: k, secret: s}
regions: {EU: {url: "wss://eu.example"}, NA: {url: "wss://na.example", key: k2, secret: s2}}
token: {certificate: 5CFd2fd1755d40ecb72977518be15d3b}
storage: {endpoints: {"1": "http://10.0.0.9:9000"}, hosts: ["*.example.com"]}
strict_ids: true
`

// What the ledger keeps, sealed: nodes of two versions read the same form.
func TestAppGolden(t *testing.T) {
	p, err := ReadApp(strings.NewReader(oneApp))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	if eu := p.Regions["EU"].Or(p.LiveKit); eu.Key != "k" || eu.Secret != "s" || p.Regions["NA"].Or(p.LiveKit).Key != "k2" {
		t.Errorf("keys of regions: %+v", p.Regions)
	}
	got, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/app.golden.json")
	if err != nil || string(got)+"\n" != string(want) {
		t.Errorf("%v; got\n%s", err, got)
	}
	var back App
	if err := json.Unmarshal(got, &back); err != nil || !reflect.DeepEqual(back, p) {
		t.Errorf("read back: %+v, %v", back, err)
	}
}

func TestReadAppNamesMistakes(t *testing.T) {
	for text, want := range map[string]string{"idd: a": "idd", "- a": "", "id: [": "", "quota: many": "quota"} {
		if _, err := ReadApp(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
