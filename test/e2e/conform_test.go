package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/conform"
	"tapedeck/internal/testkit/cast"
	"tapedeck/internal/testkit/clips"
)

// TestConform holds the running service against the pairs of the specification:
// those of stop, whose answers need a worker, or all of them, with people who send
// in the room and a page that opens, when tests may take long.
func TestConform(t *testing.T) {
	s := serve(t)
	o := conform.Options{
		URL: s.Base, App: s.Creds.AppID, Customer: s.Creds.CustomerID, Secret: s.Creds.CustomerSecret, Only: "stop", Patience: 2 * time.Minute,
	}
	if os.Getenv("TAPEDECK_TEST_LONG") != "" {
		c, err := cast.Prepare(t.Context(), clips.Cast())
		if err != nil {
			t.Fatal(err)
		}
		o.Only, o.Room = "", "on-the-air"
		if err := c.Join(t.Context(), s.Creds, o.Room); err != nil {
			t.Fatal(err)
		}
		defer c.Leave()
		page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<!doctype html><title>Board</title><body style='background:#27c'><h1>Board 17</h1>")
		}))
		defer page.Close()
		o.Page = page.URL
	}
	var text strings.Builder
	table := &conform.Table{Out: &text}
	if err := conform.Run(t.Context(), o, table.Add); err != nil {
		t.Error(err)
	}
	table.End()
	if table.Other > 0 || table.Same < 6 {
		t.Errorf("%d differ, %d do not", table.Other, table.Same)
	}
	t.Log(text.String())
}
