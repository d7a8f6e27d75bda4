package app

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/config"
	"tapedeck/internal/keyring"
	"tapedeck/internal/ledger"
	"tapedeck/internal/spool"
)

func TestSpoolCommand(t *testing.T) {
	data := t.TempDir()
	const sid = "0123456789abcdef0123456789abcdef"
	d, err := spool.Create(filepath.Join(data, "spool"), sid)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.WriteSession(ledger.Record{SID: sid, App: "app1", CName: "room\x1b[31m"}); err != nil {
		t.Fatal(err)
	}
	j, _, err := d.OpenJournal(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	if _, err := d.Replace("1.ts", []byte("content")); err != nil {
		t.Fatal(err)
	}
	for _, f := range []spool.Fact{
		{Type: spool.FactOpened, Version: 1, ZeroMicro: 1},
		{Type: spool.FactClosed, Name: "1.ts", Kind: spool.KindSlice, Size: 7},
		{Type: spool.FactEnded, Note: spool.EndStop},
	} {
		if err := j.Append(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.WriteWaiting(&spool.Waiting{Since: time.Now().Unix(), Error: "put: AccessDenied", Fault: "caller", Retries: 4}); err != nil {
		t.Fatal(err)
	}
	load := func(_, folder string) (config.Config, error) {
		c := config.Default()
		c.Data = folder
		return c, nil
	}
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		err := SpoolCommand(append(args[:1:1], append([]string{"--data", data}, args[1:]...)...), load, &out, io.Discard)
		return out.String(), err
	}
	for _, c := range []struct {
		args []string
		says []string
	}{
		{[]string{"list"}, []string{sid, "app1", "room?[31m", "ended: stop", "AccessDenied", "fault of caller"}},
		{[]string{"show", sid}, []string{"1.ts", "waiting", "AccessDenied"}},
		{[]string{"retry", sid}, []string{sid}},
		{[]string{"export", sid, filepath.Join(data, "saved")}, []string{"1.ts"}},
	} {
		got, err := run(c.args...)
		if err != nil {
			t.Errorf("%q: %v", c.args, err)
		}
		for _, want := range c.says {
			if !strings.Contains(got, want) {
				t.Errorf("%q says\n%swithout %q", c.args, got, want)
			}
		}
	}
	if !d.TakeRetry() {
		t.Error("retry did not ask")
	}
	if _, err := run("retry", "--all"); err != nil || !d.TakeRetry() {
		t.Errorf("retry --all: %v", err)
	}
	for _, bad := range [][]string{{"list", "x"}, {"show"}, {"show", "../etc"}, {"retry"}, {"retry", "--all", sid}, {"export", sid}, {"delete", sid}} {
		if _, err := run(bad...); err == nil {
			t.Errorf("%q was done", bad)
		}
	}
}

// TestSpoolExportDecrypts: an operator with keys.json gets what was recorded,
// one without is told what is missing.
func TestSpoolExportDecrypts(t *testing.T) {
	data := t.TempDir()
	const sid = "0123456789abcdef0123456789abcdef"
	cfg := config.Default()
	cfg.Spool.Encrypt = true
	ring, err := keyring.LoadOrCreate(filepath.Join(data, "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	a := &App{cfg: cfg, ring: ring}
	rec := ledger.Record{SID: sid, SpoolKey: a.spoolKeys().Draw(sid)}
	d, err := spool.Create(filepath.Join(data, "spool"), sid)
	if err == nil {
		err = d.WriteSession(rec)
	}
	if err == nil {
		d, err = unlocked(ring, d, rec)
	}
	if err == nil {
		_, err = d.Replace("1.ts", []byte("content"))
	}
	if err != nil {
		t.Fatal(err)
	}
	load := func(_, folder string) (config.Config, error) {
		cfg.Data = folder
		return cfg, nil
	}
	out := filepath.Join(t.TempDir(), "out")
	if err := SpoolCommand([]string{"export", "--data", data, sid, out}, load, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(out, "1.ts")); err != nil || string(b) != "content" {
		t.Errorf("%q, %v", b, err)
	}
	if err := os.Remove(filepath.Join(data, "keys.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.LoadOrCreate(filepath.Join(data, "keys.json")); err != nil {
		t.Fatal(err)
	}
	err = SpoolCommand([]string{"export", "--data", data, sid, out + "2"}, load, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "keys.json") {
		t.Errorf("with another key ring: %v", err)
	}
	if _, err := openSpoolKey(ring, "fedcba9876543210fedcba9876543210", rec.SpoolKey); err == nil {
		t.Error("a key opens for another recording")
	}
}
