package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"tapedeck/internal/config"
	"tapedeck/internal/operator"
	"tapedeck/internal/session"
)

const (
	rooms1  = "wss://rooms.example.test"
	goodCID = "school"
	goodKey = "0123456789abcdef0123456789abcdef"
)

// cluster is some nodes on one NATS server, all in this process.
type cluster struct {
	t     *testing.T
	nats  string
	keys  []byte
	nodes []*App
	log   lines
}

// lines keeps what the nodes log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), s)
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("NATS does not start")
	}
	c := &cluster{t: t, nats: s.ClientURL()}
	t.Cleanup(c.stop)
	return c
}

// stop ends all nodes, side by side.
func (c *cluster) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for _, a := range c.nodes {
		wg.Go(func() {
			if err := a.Stop(ctx); err != nil {
				c.t.Errorf("stop: %v", err)
			}
		})
	}
	wg.Wait()
}

// schoolAccount is a customer with one app.
func schoolAccount(change func(*config.Account)) config.Account {
	a := config.Account{CustomerID: goodCID, Secrets: []string{HashSecret(goodKey)}, Apps: []config.App{{
		ID: "lessons", LiveKit: config.Room{URL: rooms1, Key: "k", Secret: "s"},
	}}}
	if change != nil {
		change(&a)
	}
	return a
}

// add starts a node. All have the same keys, as the nodes of a cluster must.
func (c *cluster) add(change func(*config.Config)) *App {
	c.t.Helper()
	cfg := config.Default()
	cfg.Data, cfg.Listen, cfg.NATS.URL = c.t.TempDir(), "127.0.0.1:0", c.nats
	off := false
	cfg.Dev = &off
	cfg.Worker = filepath.Join(cfg.Data, "worker")
	if err := os.WriteFile(cfg.Worker, []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil {
		c.t.Fatal(err)
	}
	if change != nil {
		change(&cfg)
	}
	if c.keys != nil {
		if err := os.WriteFile(filepath.Join(cfg.Data, "keys.json"), c.keys, 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
	a, err := Start(c.t.Context(), cfg, slog.New(slog.NewTextHandler(&c.log, nil)))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.keys == nil {
		if c.keys, err = os.ReadFile(filepath.Join(cfg.Data, "keys.json")); err != nil {
			c.t.Fatal(err)
		}
	}
	c.nodes = append(c.nodes, a)
	return a
}

// post makes a call and returns its status and body.
func post(t *testing.T, a *App, user, secret, path, body string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+a.Addr()+"/v1/apps/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(user, secret)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatalf("%d %s", res.StatusCode, raw)
	}
	return res.StatusCode, out
}

func acquire(t *testing.T, a *App, user, secret, app, options string) (int, map[string]any) {
	t.Helper()
	return post(t, a, user, secret, app+"/cloud_recording/acquire", `{"cname":"room","uid":"7","clientRequest":`+options+`}`)
}

// soon waits for what another node learns by itself.
func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func command(t *testing.T, a *App, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if err := operator.Run(t.Context(), append(args, "--data", a.cfg.Data), &out, &errs); err != nil {
		t.Fatalf("%q: %v %s", args, err, &errs)
	}
	return out.String()
}

func shownSecret(t *testing.T, out string) string {
	t.Helper()
	_, rest, ok := strings.Cut(out, "customer secret")
	if !ok {
		t.Fatal(out)
	}
	return strings.Fields(rest)[0]
}

// What an operator does at one node is in force on all, without a restart, and
// whoever starts later has it as well.
func TestCustomersAreInForceOnEveryNode(t *testing.T) {
	c := newCluster(t)
	one, two := c.add(nil), c.add(nil)
	first := shownSecret(t, command(t, one, "account", "add", "--id", "school", "--rate", "1000"))
	file := filepath.Join(t.TempDir(), "app.yaml")
	if err := os.WriteFile(file, []byte("id: lessons\nlivekit: {url: 'wss://rooms.example.test', key: k, secret: s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, one, "app", "add", "--account", "school", "--file", file)
	answers := func(a *App, secret string, want int) func() bool {
		return func() bool {
			status, _ := acquire(t, a, "school", secret, "lessons", `{}`)
			return status == want
		}
	}
	for _, a := range []*App{one, two} {
		soon(t, "the new customer is served", answers(a, first, 200))
	}
	second := shownSecret(t, command(t, two, "account", "rotate", "school"))
	for _, a := range []*App{one, two} {
		soon(t, "the new secret is good", answers(a, second, 200))
		if status, _ := acquire(t, a, "school", first, "lessons", `{}`); status != 200 {
			t.Errorf("the old secret is not good beside it: %d", status)
		}
	}
	command(t, one, "account", "rotate", "school", "--finish")
	late := c.add(nil)
	for _, a := range []*App{one, two, late} {
		soon(t, "the old secret is refused", answers(a, first, 401))
		if status, _ := acquire(t, a, "school", second, "lessons", `{}`); status != 200 {
			t.Errorf("the new secret: %d", status)
		}
	}
	command(t, two, "account", "change", "school", "--inactive=true")
	soon(t, "an inactive account is refused", func() bool {
		_, body := acquire(t, one, "school", second, "lessons", `{}`)
		return body["code"] == 405.0
	})
	command(t, late, "account", "remove", "school", "--with-apps")
	for _, a := range []*App{one, two, late} {
		soon(t, "a customer that was removed is refused", answers(a, second, 401))
	}
}

// The configuration wins over the ledger, and a bad entry hides nothing else.
func TestConfiguredCustomersStay(t *testing.T) {
	c := newCluster(t)
	free := c.add(nil)
	command(t, free, "account", "add", "--id", goodCID)
	command(t, free, "account", "add", "--id", "other")
	file := filepath.Join(t.TempDir(), "app.yaml")
	if err := os.WriteFile(file, []byte("id: lessons\ndisabled: true\nlivekit: {url: 'wss://rooms.example.test', key: k, secret: s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, free, "app", "add", "--account", "other", "--file", file)
	fixed := c.add(func(cfg *config.Config) { cfg.Accounts = []config.Account{schoolAccount(nil)} })
	if status, body := acquire(t, fixed, goodCID, goodKey, "lessons", `{}`); status != 200 {
		t.Errorf("the configured customer: %d %v", status, body)
	}
	if _, ok := fixed.accounts.Account("other"); !ok {
		t.Error("an account of the ledger that collides with nothing is not in force")
	}
	if list := command(t, fixed, "app", "list"); !strings.Contains(list, "NOT IN FORCE") || !strings.Contains(list, "configuration") {
		t.Errorf("the list hides the collision:\n%s", list)
	}
}

// However requests fall on three nodes, the customer gets its limit in each second
// and no more.
func TestRateOverThreeNodes(t *testing.T) {
	const limit, clients = 40, 9
	c := newCluster(t)
	for range 3 {
		c.add(func(cfg *config.Config) {
			cfg.Accounts = []config.Account{schoolAccount(func(a *config.Account) { a.Rate = limit })}
		})
	}
	var allowed, refused atomic.Int64
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	began := time.Now()
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for ctx.Err() == nil {
				switch status, body := acquire(t, c.nodes[i%3], goodCID, goodKey, "lessons", `{}`); status {
				case 200:
					allowed.Add(1)
				case 429:
					refused.Add(1)
				default:
					t.Errorf("%d %v", status, body)
				}
			}
		})
	}
	wg.Wait()
	if c.log.has("rate limit counter does not answer") {
		t.Skip("this machine is too busy: a node waited too long for the counter and counted alone")
	}
	seconds := time.Now().Unix() - began.Unix() + 1 // seconds of the clock that were touched
	if got := allowed.Load(); got > limit*seconds || got < limit || refused.Load() == 0 {
		t.Errorf("allowed %d and refused %d in %d seconds at a limit of %d", got, refused.Load(), seconds, limit)
	}
}

// A recording of a region is made by a node of that region, or by nobody.
func TestTwoRegions(t *testing.T) {
	c := newCluster(t)
	account := schoolAccount(func(a *config.Account) {
		a.Rate = 1000
		a.Apps[0] = config.App{ID: "lessons", LiveKit: config.Room{Key: "k", Secret: "s"}, Regions: map[string]config.Room{
			"EU": {URL: "wss://eu.example.test"}, "NA": {URL: "wss://na.example.test"}, "AP": {URL: "wss://ap.example.test"},
		}, Storage: config.Storage{Endpoints: map[string]string{"*": "file://" + t.TempDir()}}}
	})
	in := func(region string) *App {
		return c.add(func(cfg *config.Config) {
			cfg.Node.Region, cfg.Accounts = region, []config.Account{account}
		})
	}
	eu, na := in("EU"), in("NA")
	soon(t, "the nodes know each other", func() bool { return eu.ledger.HasNode("NA") && na.ledger.HasNode("EU") })
	start := func(a *App, cname, options string) string {
		t.Helper()
		status, body := post(t, a, goodCID, goodKey, "lessons/cloud_recording/acquire", `{"cname":"`+cname+`","uid":"7","clientRequest":`+options+`}`)
		if status != 200 {
			t.Fatalf("acquire %s: %d %v", options, status, body)
		}
		status, body = post(t, a, goodCID, goodKey, "lessons/cloud_recording/resourceid/"+fmt.Sprint(body["resourceId"])+"/mode/mix/start",
			`{"cname":"`+cname+`","uid":"7","clientRequest":{"storageConfig":{"vendor":1,"region":0,"bucket":"b","accessKey":"a","secretKey":"s"}}}`)
		if status != 200 {
			t.Fatalf("start %s: %d %v", options, status, body)
		}
		rec, _, err := a.ledger.Get(t.Context(), fmt.Sprint(body["sid"]))
		if err != nil {
			t.Fatal(err)
		}
		room, err := rooms{eu.accounts, map[string]string{eu.node.ID(): "EU", na.node.ID(): "NA"}[rec.Node]}.Room(rec.Plan, time.Hour)
		if err != nil {
			t.Errorf("%s was given to a node that may not join: %v", options, err)
		}
		return map[string]string{eu.node.ID(): "EU", na.node.ID(): "NA"}[rec.Node] + " " + room.URL
	}
	for i, x := range []struct {
		at            *App
		options, want string
	}{
		{eu, `{"region":"EU"}`, "EU wss://eu.example.test"},
		{eu, `{"region":"NA"}`, "NA wss://na.example.test"},
		{na, `{"region":"EU"}`, "EU wss://eu.example.test"},
		{na, `{}`, "NA wss://na.example.test"},
		{eu, `{}`, "EU wss://eu.example.test"},
	} {
		if got := start(x.at, fmt.Sprint("room", i), x.options); got != x.want {
			t.Errorf("%s at %s: recorded by %s, want %s", x.options, x.at.cfg.Node.Region, got, x.want)
		}
	}
	for _, options := range []string{`{"region":"AP"}`, `{"region":"CN"}`} { // no node; no rooms
		if status, body := acquire(t, eu, goodCID, goodKey, "lessons", options); status != 500 || body["code"] != 501.0 {
			t.Errorf("%s: %d %v", options, status, body)
		}
	}
	// The last guard: a node of another region gets no token, however a recording
	// came to it.
	plan := session.Plan{AppID: "lessons", CName: "x", Region: "NA"}
	if room, err := (rooms{eu.accounts, "EU"}).Room(plan, time.Hour); err == nil {
		t.Errorf("a node in EU joins %s for a recording of NA", room.URL)
	}
}
