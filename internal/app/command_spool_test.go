package app

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/config"
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
