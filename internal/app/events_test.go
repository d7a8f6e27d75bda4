package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/config"
	"tapedeck/internal/keyring"
	"tapedeck/internal/notify"
	"tapedeck/internal/obs"
	"tapedeck/internal/operator"
	"tapedeck/webhook"
)

const eventSID = "38f8e3cfdc474cd56fc1ceba380d7e1a"

// eventsBench is the part of the service that deals with events.
type eventsBench struct {
	*App
	t   *testing.T
	got chan webhook.Notice
}

func newEventsBench(t *testing.T) *eventsBench {
	t.Helper()
	b := &eventsBench{t: t, got: make(chan webhook.Notice, 100)}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := webhook.Read(r, "s1")
		if err != nil {
			t.Error(err)
			return
		}
		b.got <- n
	}))
	t.Cleanup(srv.Close)
	data := t.TempDir()
	c := config.Default()
	c.Data = data
	c.Egress.Allow = []string{"127.0.0.0/8"}
	c.Accounts = []config.Account{{CustomerID: "c", Secrets: []string{"sha256:" + strings.Repeat("0", 64)}, Apps: []config.App{{
		ID: "app1", LiveKit: config.Room{URL: "ws://x", Key: "k", Secret: "s"},
		Webhooks: []config.Webhook{{URL: srv.URL + "/hook?token=hidden", Secrets: []string{"s1"}, Events: []int{11, 31}, AllowHTTP: true}},
	}}}}
	ring, err := keyring.LoadOrCreate(filepath.Join(data, "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	b.App = &App{cfg: c, log: slog.New(slog.DiscardHandler), ring: ring, health: obs.NewHealth(), operator: http.NewServeMux(), failed: make(chan error, 1)}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := b.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	for _, start := range []func(context.Context) error{b.startAccounts, b.startLedger, b.startEvents, b.startOperator} {
		if err := start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// run runs `tapedeck events ...`.
func (b *eventsBench) run(args ...string) (string, error) {
	var out bytes.Buffer
	load := func(string, string) (config.Config, error) { return b.cfg, nil }
	err := EventsCommand(b.t.Context(), args, load, &out, io.Discard)
	return out.String(), err
}

// says runs a command whose output has to hold the words.
func (b *eventsBench) says(words []string, args ...string) {
	b.t.Helper()
	out, err := b.run(args...)
	if err != nil {
		b.t.Fatalf("%v: %v", args, err)
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			b.t.Errorf("%v: no %q in\n%s", args, w, out)
		}
	}
	if strings.Contains(out, "hidden") {
		b.t.Errorf("%v tells the query of the address", args)
	}
}

// next returns the next notice that is no test.
func (b *eventsBench) next() webhook.Notice {
	b.t.Helper()
	for {
		select {
		case n := <-b.got:
			if n.Payload.SID == eventSID {
				return n
			}
		case <-time.After(20 * time.Second):
			b.t.Fatal("nothing comes")
		}
	}
}

func exitEvent(seq int64) notify.Event {
	return notify.Event{
		ID: fmt.Sprintf("%s:exit%d", eventSID, seq), App: "app1", CName: "room", UID: 7, SID: eventSID, Seq: seq,
		Type: notify.TypeSessionExit, Scene: notify.SceneRecord, At: 1719820799981, Details: []byte(`{"msgName":"session_exit","exitStatus":0}`),
	}
}

func TestEventsCommand(t *testing.T) {
	b := newEventsBench(t)
	ctx := t.Context()
	ep := b.accounts.Webhooks()[0]
	if told, registered := b.accounts.Told("app1"); !told || registered {
		t.Errorf("told %v, 13 %v", told, registered)
	}
	rev, err := b.outbox.Append(ctx, exitEvent(0), 0)
	if err != nil {
		t.Fatal(err)
	}
	if n := b.next(); n.EventType != 11 || n.Payload.Sequence != 0 {
		t.Errorf("%+v", n)
	}
	for seq := range int64(2) {
		if err := b.outbox.Bury(ctx, notify.Dead{Endpoint: ep.ID(), URL: ep.Place(), Event: exitEvent(5 + seq), Tries: 4, Error: "it answered 500"}); err != nil {
			t.Fatal(err)
		}
	}
	b.says([]string{eventSID, "session_exit", "it answered 500", ep.ID()}, "list")
	b.says([]string{"11 session_exit"}, "list", "--all", "--app", "app1")
	b.says([]string{"1 events"}, "replay", "1")
	if n := b.next(); n.Payload.Sequence != 5 {
		t.Errorf("%+v", n)
	}
	if _, err := b.run("replay", "1"); err == nil || !strings.Contains(err.Error(), "no dead letter") {
		t.Errorf("a dead letter is replayed twice: %v", err)
	}
	b.says([]string{"1 events"}, "replay", "--all", "--endpoint", ep.ID())
	if n := b.next(); n.Payload.Sequence != 6 {
		t.Errorf("%+v", n)
	}
	if _, err := b.outbox.Append(ctx, exitEvent(1), rev); err != nil {
		t.Fatal(err)
	}
	b.next()
	b.says([]string{"2 events"}, "replay", "--sid", eventSID)
	if first, second := b.next(), b.next(); first.Payload.Sequence != 0 || second.Payload.Sequence != 1 {
		t.Errorf("%+v, %+v", first, second)
	}
	b.says([]string{ep.ID(), "app1"}, "hooks")
	b.says([]string{"11", "31", "200"}, "check", "--app", "app1")
}

func TestEventsCommandRefusals(t *testing.T) {
	b := newEventsBench(t)
	for want, args := range map[string][]string{
		"nothing is named": {"replay"},
		"no place":         {"replay", "x"},
		"no command":       {"sing"},
		"no app":           {"check", "--app", "other"},
	} {
		if _, err := b.run(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", args, err)
		}
	}
	if st, err := os.Stat(filepath.Join(b.cfg.Data, operator.SocketName)); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", st.Mode(), err)
	}
	b.cfg.Data = t.TempDir()
	if _, err := b.run("list"); err == nil || !strings.Contains(err.Error(), "no service runs") {
		t.Errorf("without a service: %v", err)
	}
}

// What only the ring of this service can open never stands in the outbox.
func TestSealedEvents(t *testing.T) {
	b := newEventsBench(t)
	sealed, err := b.events().Seal(eventSID, []byte("rtmp://x/key"))
	if err != nil || bytes.Contains(sealed, []byte("key")) {
		t.Fatalf("%q, %v", sealed, err)
	}
	if plain, err := b.hooks.Unseal(eventSID, sealed); err != nil || string(plain) != "rtmp://x/key" {
		t.Errorf("%q, %v", plain, err)
	}
	if _, err := b.hooks.Unseal(strings.Repeat("0", 32), sealed); err == nil {
		t.Error("it opens for another recording")
	}
}
