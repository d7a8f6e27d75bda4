package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The stored forms: nodes of two versions read the same entries.
func TestAccountEntriesGolden(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	var got strings.Builder
	for _, e := range []kept{
		AccountEntry{V: 1, ID: "c/1 ü", Secrets: []string{"sha256:" + strings.Repeat("0a", 32)}, Rate: 25, Inactive: true, Changed: at},
		AccountEntry{V: 1, ID: "c2", Secrets: []string{"sha256:" + strings.Repeat("0b", 32), "sha256:" + strings.Repeat("0c", 32)}, Changed: at},
		AppEntry{V: 1, ID: "970CA35de60c44645bbae8a215061b33", Account: "c2", Settings: []byte("sealed"), Changed: at},
	} {
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "%s %s\n", e.key(), b)
	}
	path := filepath.Join("testdata", "accounts.golden")
	want, err := os.ReadFile(path)
	if err != nil || got.String() != string(want) {
		t.Errorf("%v; got\n%swant\n%s", err, &got, want)
	}
}

// seen is the newest state that a watch told.
type seen struct {
	mu sync.Mutex
	a  Accounts
	n  int
}

func (s *seen) see(a Accounts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.a, s.n = a, s.n+1
}

func (s *seen) is(ok func(Accounts) bool) func() bool {
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return ok(s.a)
	}
}

func TestAccountsReachEveryNode(t *testing.T) {
	server := startServer(t, t.TempDir())
	here, there := open(t, server, Options{}), open(t, server, Options{})
	watch := func(l *Ledger) *seen {
		s := &seen{}
		stop, err := l.WatchAccounts(t.Context(), s.see)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
		return s
	}
	a, b := watch(here), watch(there)
	if a.n != 1 || len(a.a.Accounts)+len(a.a.Apps) != 0 {
		t.Fatalf("told %d times, %+v", a.n, a.a)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	must(here.AddAccount(ctx, AccountEntry{ID: "c1", Secrets: []string{"x"}}))
	must(there.AddApp(ctx, AppEntry{ID: "a1", Account: "c1", Settings: []byte("s")}))
	for _, s := range []*seen{a, b} {
		eventually(t, "both are known", s.is(func(a Accounts) bool {
			return len(a.Accounts) == 1 && len(a.Apps) == 1 && a.Accounts[0].ID == "c1" && a.Apps[0].Account == "c1" && !a.Apps[0].Changed.IsZero()
		}))
	}
	late := watch(open(t, server, Options{}))
	if !late.is(func(a Accounts) bool { return len(a.Accounts) == 1 && len(a.Apps) == 1 })() {
		t.Error("whoever comes later does not know them at once")
	}
	for _, err := range []error{here.AddAccount(ctx, AccountEntry{ID: "c1"}), here.AddApp(ctx, AppEntry{ID: "a1", Account: "other"})} {
		if !errors.Is(err, ErrExists) {
			t.Errorf("the same id again: %v", err)
		}
	}
	must(there.ChangeAccount(ctx, "c1", func(e *AccountEntry) error { e.Secrets = append(e.Secrets, "y"); return nil }))
	must(there.ChangeApp(ctx, "a1", func(e *AppEntry) error { e.Settings = []byte("t"); return nil }))
	eventually(t, "the changes are known", a.is(func(a Accounts) bool {
		return len(a.Accounts[0].Secrets) == 2 && string(a.Apps[0].Settings) == "t"
	}))
	must(here.RemoveApp(ctx, "a1"))
	must(here.RemoveAccount(ctx, "c1"))
	eventually(t, "both are gone", b.is(func(a Accounts) bool { return len(a.Accounts)+len(a.Apps) == 0 }))
	for _, err := range []error{
		here.RemoveApp(ctx, "a1"), here.RemoveAccount(ctx, "c1"), here.ChangeApp(ctx, "a1", nil), here.ChangeAccount(ctx, "c1", nil),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("what is gone: %v", err)
		}
	}
	must(here.AddAccount(ctx, AccountEntry{ID: "c1", Secrets: []string{"z"}})) // over the marker of the removal
	eventually(t, "it is back", b.is(func(a Accounts) bool { return len(a.Accounts) == 1 }))
}

// Changes of two operators at once are both made.
func TestChangesAtOnce(t *testing.T) {
	l := fresh(t)
	if err := l.AddAccount(t.Context(), AccountEntry{ID: "c"}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := l.ChangeAccount(context.Background(), "c", func(e *AccountEntry) error { e.Rate++; return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := &seen{}
	stop, err := l.WatchAccounts(t.Context(), s.see)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if s.a.Accounts[0].Rate != 8 {
		t.Errorf("%d of 8 changes were kept", s.a.Accounts[0].Rate)
	}
}

// What a newer build wrote does not hide the rest.
func TestUnreadableEntryIsLeftOut(t *testing.T) {
	l := fresh(t)
	if _, err := l.put(t.Context(), AccountEntry{ID: "new"}.key(), []byte(`{"v":2,"id":"new"}`), 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := l.AddAccount(t.Context(), AccountEntry{ID: "c"}); err != nil {
		t.Fatal(err)
	}
	s := &seen{}
	stop, err := l.WatchAccounts(t.Context(), s.see)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if len(s.a.Accounts) != 1 || s.a.Accounts[0].ID != "c" {
		t.Errorf("%+v", s.a.Accounts)
	}
	if err := l.ChangeAccount(t.Context(), "new", func(*AccountEntry) error { return nil }); err == nil {
		t.Error("an entry of a newer version is changed")
	}
}
