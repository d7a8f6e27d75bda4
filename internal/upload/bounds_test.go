package upload

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/upload/vendor"
)

// TestGateLanes: one destination cannot take all places, nor can large files,
// and what leaves makes room.
func TestGateLanes(t *testing.T) {
	g := NewGate(4) // 3 for one destination, 2 for large files
	full, cancel := context.WithCancel(t.Context())
	cancel() // asks without waiting
	enter := func(lane string, large bool) func() {
		t.Helper()
		leave, err := g.Enter(t.Context(), lane, large)
		if err != nil {
			t.Fatal(err)
		}
		return leave
	}
	refused := func(lane string, large bool) {
		t.Helper()
		// A free place may be taken although the context has ended: ask until it is not.
		for range 20 {
			leave, err := g.Enter(full, lane, large)
			if err != nil {
				return
			}
			leave()
		}
		t.Errorf("%q, large %t: let in", lane, large)
	}
	leave := []func(){enter("a", false), enter("a", false), enter("a", false)}
	refused("a", false)
	leave = append(leave, enter("b", false))
	refused("c", false)
	for _, l := range leave {
		l()
	}
	leave = []func(){enter("a", true), enter("b", true)}
	refused("c", true)
	leave = append(leave, enter("c", false), enter("", false))
	for _, l := range leave {
		l()
	}
	if len(g.lanes) != 0 || len(g.slots) != 0 || len(g.large) != 0 {
		t.Errorf("left: %d lanes, %d places, %d large", len(g.lanes), len(g.slots), len(g.large))
	}
}

type echo struct{ got string }

func (e *echo) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		e.got = string(b)
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}

// TestMeter: what is sent is counted and not changed; nothing without a bound.
func TestMeter(t *testing.T) {
	next := &echo{}
	m := NewMeter(1 << 20)
	before := m.limit.Tokens()
	body := strings.Repeat("tapedeck", 10_000)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://store.example/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.throttle(next).RoundTrip(req); err != nil || next.got != body {
		t.Fatalf("%d bytes of %d arrived, %v", len(next.got), len(body), err)
	}
	if m.limit.Tokens() >= before {
		t.Error("nothing was counted")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	req = req.Clone(ended)
	req.Body = io.NopCloser(strings.NewReader(body))
	if _, err := m.throttle(next).RoundTrip(req); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
	if none := NewMeter(0); none.throttle(next) != http.RoundTripper(next) {
		t.Error("no bound still wraps")
	}
}

// refusing is a store that says no.
type refusing struct {
	vendor.Store
	fault vendor.Fault
}

func (r refusing) Put(context.Context, vendor.Object, io.ReaderAt) (string, error) {
	return "", vendor.NewError("put", "k", r.fault, "AccessDenied", errors.New("no"))
}

// TestExpiring: a refusal after the end of temporary credentials says so; the
// end alone stops nothing, our clock may be wrong.
func TestExpiring(t *testing.T) {
	now := time.Now().Unix()
	for name, c := range map[string]struct {
		target session.Target
		fault  vendor.Fault
		code   string
	}{
		"over":               {session.Target{STSToken: "t", STSExpiration: now - 60}, vendor.Caller, CodeExpired},
		"over, other cause":  {session.Target{STSToken: "t", STSExpiration: now - 60}, vendor.Destination, "AccessDenied"},
		"not yet":            {session.Target{STSToken: "t", STSExpiration: now + 3600}, vendor.Caller, "AccessDenied"},
		"not said":           {session.Target{STSToken: "t"}, vendor.Caller, "AccessDenied"},
		"no temporary ones":  {session.Target{STSExpiration: now - 60}, vendor.Caller, "AccessDenied"},
		"far beyond 32 bits": {session.Target{STSToken: "t", STSExpiration: 1 << 40}, vendor.Caller, "AccessDenied"},
	} {
		_, err := expiring(refusing{fault: c.fault}, c.target).Put(t.Context(), vendor.Object{Key: "k"}, strings.NewReader(""))
		if vendor.Code(err) != c.code || vendor.FaultOf(err) != c.fault {
			t.Errorf("%s: %v", name, err)
		}
	}
}
