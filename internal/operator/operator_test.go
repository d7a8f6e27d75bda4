package operator

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tapedeck/internal/account"
	"tapedeck/internal/config"
	"tapedeck/internal/keyring"
	"tapedeck/internal/ledger"
)

// office is a running service as far as operators see it.
type office struct {
	t    *testing.T
	dir  string
	desk *Desk
}

func newOffice(t *testing.T) *office {
	t.Helper()
	// Longer than a socket's path may be.
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 20), strings.Repeat("path", 20))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	e, err := ledger.StartEmbedded(filepath.Join(dir, "nats"), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	nc, err := e.Conn()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	l, err := ledger.Open(t.Context(), nc, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	ring, err := keyring.New(1, map[uint16][]byte{1: make([]byte, keyring.KeyLen)})
	if err != nil {
		t.Fatal(err)
	}
	static := []config.Account{{
		CustomerID: "static", Secrets: []string{"sha256:" + strings.Repeat("0", 64)},
		Apps: []config.App{{ID: "static-app", LiveKit: config.Room{URL: "wss://static", Key: "k", Secret: "s"}}},
	}}
	o := &office{t: t, dir: dir, desk: &Desk{Ledger: l, Ring: ring, Static: static}}
	mux := http.NewServeMux()
	mux.Handle("POST "+Path, o.desk.Handler(log))
	socket, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: mux}
	go func() { _ = srv.Serve(socket) }()
	t.Cleanup(func() { _ = srv.Close() })
	return o
}

// run is a command line.
func (o *office) run(args ...string) (string, error) {
	o.t.Helper()
	var out, errs bytes.Buffer
	err := Run(o.t.Context(), append(args, "--data", o.dir), &out, &errs)
	return out.String() + errs.String(), err
}

func (o *office) must(args ...string) string {
	o.t.Helper()
	out, err := o.run(args...)
	if err != nil {
		o.t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return out
}

func (o *office) refused(want string, args ...string) {
	o.t.Helper()
	if out, err := o.run(args...); err == nil || !strings.Contains(err.Error(), want) {
		o.t.Errorf("%q: %v, want %q\n%s", args, err, want, out)
	}
}

// secretOf finds the secret in what was printed.
func secretOf(t *testing.T, out string) string {
	t.Helper()
	_, rest, ok := strings.Cut(out, "customer secret")
	if !ok || len(strings.Fields(rest)[0]) != 32 {
		t.Fatalf("no secret in %q", out)
	}
	return strings.Fields(rest)[0]
}

func (o *office) stored() ledger.Accounts {
	o.t.Helper()
	all, err := o.desk.stored(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	return all
}

// accepts reports whether a secret is one of those stored for the first account.
func (o *office) accepts(secret string) bool {
	h, err := account.HashSecret(secret)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, s := range o.stored().Accounts[0].Secrets {
		if got, err := account.ParseSecretHash(s); err == nil && got == h {
			return true
		}
	}
	return false
}

func TestAccounts(t *testing.T) {
	o := newOffice(t)
	first := secretOf(t, o.must("account", "add", "--id", "school", "--rate", "25"))
	if e := o.stored().Accounts[0]; e.ID != "school" || e.Rate != 25 || len(e.Secrets) != 1 || !o.accepts(first) {
		t.Fatalf("%+v", e)
	}
	o.refused("is there already", "account", "add", "--id", "school")
	o.refused("configuration file", "account", "add", "--id", "static")

	second := secretOf(t, o.must("account", "rotate", "school"))
	if !o.accepts(first) || !o.accepts(second) {
		t.Error("old and new secret are not both valid while clients change over")
	}
	third := secretOf(t, o.must("account", "rotate", "school"))
	if o.accepts(first) || !o.accepts(second) || !o.accepts(third) {
		t.Error("a third secret does not take the place of the oldest")
	}
	if out := o.must("account", "rotate", "school", "--finish"); strings.Contains(out, "secret") || o.accepts(second) || !o.accepts(third) {
		t.Errorf("the newest secret is not the only one left: %s", out)
	}

	o.must("account", "change", "school", "--inactive=true", "--rate", "5")
	if e := o.stored().Accounts[0]; !e.Inactive || e.Rate != 5 {
		t.Errorf("%+v", e)
	}
	o.must("account", "change", "school", "--inactive=false")
	if e := o.stored().Accounts[0]; e.Inactive || e.Rate != 5 {
		t.Errorf("%+v", e)
	}
	list := o.must("account", "list")
	if !strings.Contains(list, "school") || !strings.Contains(list, "ledger") || !strings.Contains(list, "static") || strings.Contains(list, third) {
		t.Error(list)
	}
	for _, verb := range []string{"rotate", "change", "remove"} {
		o.refused("there is no account nobody", "account", verb, "nobody")
		o.refused("configuration file", "account", verb, "static")
		o.refused("its id is missing", "account", verb)
	}
	o.must("account", "remove", "school")
	if all := o.stored(); len(all.Accounts) != 0 {
		t.Errorf("%+v", all)
	}
}

func TestApps(t *testing.T) {
	o := newOffice(t)
	o.must("account", "add", "--id", "school")
	file := filepath.Join(t.TempDir(), "app.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("id: lessons\nquota: 7\nlivekit: {url: 'wss://rooms.example', key: k, secret: SECRET-OF-ROOMS}\ntoken: {certificate: 5CFd2fd1755d40ecb72977518be15d3b}\n")
	o.must("app", "add", "--account", "school", "--file", file)
	entry := o.stored().Apps[0]
	p, err := OpenApp(o.desk.Ring, entry)
	if err != nil || entry.Account != "school" || p.Quota != 7 || p.LiveKit.Secret != "SECRET-OF-ROOMS" || !p.Token.Checked() {
		t.Fatalf("%+v, %v", p, err)
	}
	for _, hidden := range []string{"SECRET-OF-ROOMS", "5CFd2fd1", "rooms.example"} {
		if bytes.Contains(entry.Settings, []byte(hidden)) {
			t.Errorf("%q is stored in the clear", hidden)
		}
	}
	o.refused("is there already", "app", "add", "--account", "school", "--file", file)
	o.refused("there is no account nobody", "app", "add", "--account", "nobody", "--file", file, "--id", "other")
	o.refused("--account is missing", "app", "add", "--file", file)
	o.refused("configuration file", "app", "add", "--account", "school", "--file", file, "--id", "static-app")
	o.refused("configuration file", "app", "remove", "static-app")

	write("id: lessons\nquota: 9\nlivekit: {url: 'wss://rooms.example', key: k, secret: s}\n")
	o.must("app", "change", "--file", file)
	if p, err := OpenApp(o.desk.Ring, o.stored().Apps[0]); err != nil || p.Quota != 9 || p.Token.Checked() {
		t.Errorf("%+v, %v", p, err)
	}
	o.refused("belongs to account school", "app", "change", "--account", "static", "--file", file)
	for text, want := range map[string]string{"id: x\nquotta: 1\n": "quotta", "id: x\n": "livekit.url", "": "livekit.url"} {
		write(text)
		o.refused(want, "app", "add", "--account", "school", "--file", file)
	}

	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("from-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.must("app", "add", "--account", "static", "--livekit-url", "ws://10.0.0.1:7880", "--livekit-key", "k", "--livekit-secret-file", secret)
	list := o.must("app", "list")
	for _, want := range []string{"lessons", "wss://rooms.example", "ws://10.0.0.1:7880", "static-app", "wss://static"} {
		if !strings.Contains(list, want) {
			t.Errorf("%q is not in\n%s", want, list)
		}
	}
	if strings.Contains(list, "from-a-file") {
		t.Error("the list shows a secret")
	}
	o.refused("still has app lessons", "account", "remove", "school")
	o.must("account", "remove", "school", "--with-apps")
	if all := o.stored(); len(all.Accounts) != 0 || len(all.Apps) != 1 || all.Apps[0].Account != "static" {
		t.Errorf("%+v", all)
	}
	o.must("app", "remove", all(o.stored()))
	o.refused("there is no app", "app", "remove", "lessons")
}

func all(a ledger.Accounts) string { return a.Apps[0].ID }

// Settings that were sealed for one app are worth nothing for another.
func TestSealedSettingsAreBound(t *testing.T) {
	o := newOffice(t)
	p := config.App{ID: "a", LiveKit: config.Room{URL: "wss://x", Key: "k", Secret: "s"}}
	sealed, err := SealApp(o.desk.Ring, p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenApp(o.desk.Ring, ledger.AppEntry{ID: "b", Settings: sealed}); err == nil {
		t.Error("another app opens them")
	}
	other, err := keyring.New(1, map[uint16][]byte{1: bytes.Repeat([]byte{1}, keyring.KeyLen)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenApp(other, ledger.AppEntry{ID: "a", Settings: sealed}); err == nil || !strings.Contains(err.Error(), "keys.json") {
		t.Errorf("another key ring: %v", err)
	}
}

func TestCommandLine(t *testing.T) {
	for _, args := range [][]string{{"account"}, {"app", "rename"}, {"app", "--data", "x"}} {
		var out, errs bytes.Buffer
		if err := Run(t.Context(), args, &out, &errs); !errors.Is(err, flag.ErrHelp) || !strings.Contains(errs.String(), "tapedeck account add") {
			t.Errorf("%q: %v %s", args, err, &errs)
		}
	}
	for _, args := range [][]string{{"account", "list", "x", "y"}, {"account", "remove", "x", "--finish"}, {"account", "add", "--rate", "many"}} {
		var out, errs bytes.Buffer
		if err := Run(t.Context(), args, &out, &errs); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

func TestNoServiceRuns(t *testing.T) {
	if _, err := Call(context.Background(), t.TempDir(), Request{Command: "account list"}); err == nil || !strings.Contains(err.Error(), "no tapedeck serves") {
		t.Errorf("%v", err)
	}
	dir := t.TempDir()
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(filepath.Join(dir, SocketName))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	_ = l.Close() // as a crash leaves it
	if _, err := Call(context.Background(), dir, Request{Command: "account list"}); err == nil || !strings.Contains(err.Error(), "no tapedeck serves") {
		t.Errorf("%v", err)
	}
	again, err := Listen(dir)
	if err != nil {
		t.Fatalf("what a crash left is in the way: %v", err)
	}
	_ = again.Close()
}
