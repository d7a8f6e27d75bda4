package api

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// ruleCase is a call that a rule of wire/rules.json allows or refuses. A start is
// made first, or is the call itself.
type ruleCase struct {
	What     string          `json:"what"`
	Acquire  map[string]any  `json:"acquire"`
	Mode     string          `json:"mode"`     // "" = mix
	Start    map[string]any  `json:"start"`    // storage is added
	After    int             `json:"after"`    // seconds from acquire to start
	Call     string          `json:"call"`     // "" = start
	PathMode string          `json:"pathMode"` // of the call, "" = Mode
	CName    string          `json:"cname"`    // of the call
	UID      string          `json:"uid"`
	Options  json.RawMessage `json:"options"`
	Status   int             `json:"status"`
	Code     int             `json:"code"`
	Reason   string          `json:"reason"`
	Plan     map[string]any  `json:"plan"` // members of the plan; null: absent
}

// Every rule of the specification allows something and refuses something.
func TestRules(t *testing.T) {
	raw, err := os.ReadFile("wire/rules.json")
	if err != nil {
		t.Fatal(err)
	}
	var rules []struct {
		ID    string     `json:"id"`
		Text  string     `json:"text"`
		Cases []ruleCase `json:"cases"`
	}
	if err := json.Unmarshal(raw, &rules); err != nil {
		t.Fatal(err)
	}
	account := testAccount("app-1")
	account.Apps[0].Quota = 0
	w := newWorld(t, account)
	w.serve(&node{})
	for i, r := range rules {
		if want := fmt.Sprintf("R%d", i+1); r.ID != want {
			t.Errorf("rule %s is called %s", want, r.ID)
		}
		good, bad := 0, 0
		for j, c := range r.Cases {
			if c.Status == 200 {
				good++
			} else {
				bad++
			}
			t.Run(r.ID+" "+c.What, func(t *testing.T) { c.run(t, w, fmt.Sprintf("room-%d-%d", i, j)) })
		}
		if good == 0 || bad == 0 && r.ID != "R6" {
			t.Errorf("%s has %d passing and %d failing cases", r.ID, good, bad)
		}
	}
	if len(rules) != 23 {
		t.Errorf("%d rules, there are 23", len(rules))
	}
}

func (c ruleCase) run(t *testing.T, w *world, cname string) {
	outer := w.t
	w.t = t
	defer func() { w.t = outer }()
	if c.Mode == "" {
		c.Mode = "mix"
	}
	if c.Mode == "web" && c.Acquire == nil {
		c.Acquire = map[string]any{"scene": 1}
	}
	resource := w.acquire("app-1", cname, "610001", text(t, c.Acquire))
	start := startPath("app-1", resource, c.Mode)
	options := c.startOptions(t)
	if c.After > 0 {
		w.advance(time.Duration(c.After) * time.Second)
		defer w.advance(-time.Duration(c.After) * time.Second)
	}
	if c.CName == "" {
		c.CName = cname
	}
	if c.UID == "" {
		c.UID = "610001"
	}
	var r reply
	if c.Call == "" {
		r = w.send("POST", start, envelope(c.CName, c.UID, options), nil)
	} else {
		r = w.send("POST", start, envelope(cname, "610001", options), nil)
		w.want("start", r, 200, 0)
		r = c.call(w, resource, r.text("sid"))
	}
	w.want(c.What, r, c.Status, c.Code)
	if c.Reason != "" && r.text("reason") != c.Reason {
		t.Errorf("reason %q, want %q", r.text("reason"), c.Reason)
	}
	if c.Plan != nil {
		c.checkPlan(t, w, r.text("sid"))
	}
}

func (c ruleCase) call(w *world, resource, sid string) reply {
	if c.PathMode == "" {
		c.PathMode = c.Mode
	}
	path := taskPath("app-1", resource, sid, c.PathMode, c.Call)
	if c.Call == "query" {
		return w.send("GET", path, "", nil)
	}
	return w.send("POST", path, envelope(c.CName, c.UID, string(c.Options)), nil)
}

func (c ruleCase) startOptions(t *testing.T) string {
	options := maps.Clone(c.Start)
	if options == nil {
		options = map[string]any{}
	}
	if _, given := options["storageConfig"]; !given {
		var storage map[string]any
		if err := json.Unmarshal([]byte(goodOptions), &storage); err != nil {
			t.Fatal(err)
		}
		maps.Copy(options, storage)
	}
	return text(t, options)
}

// checkPlan holds members of the recording's plan against the case.
func (c ruleCase) checkPlan(t *testing.T, w *world, sid string) {
	rec, _, err := w.ledger.Get(context.Background(), sid)
	if err != nil {
		t.Fatal(err)
	}
	var plan map[string]any
	if err := json.Unmarshal([]byte(text(t, rec.Plan)), &plan); err != nil {
		t.Fatal(err)
	}
	within(t, "plan", plan, c.Plan)
}

func within(t *testing.T, at string, got, want map[string]any) {
	t.Helper()
	for name, v := range want {
		inner, nested := v.(map[string]any)
		if have, ok := got[name].(map[string]any); nested && ok {
			within(t, at+"."+name, have, inner)
		} else if !reflect.DeepEqual(got[name], v) {
			t.Errorf("%s.%s is %v, want %v", at, name, got[name], v)
		}
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	if m, ok := v.(map[string]any); ok && m == nil {
		return "{}"
	}
	var b strings.Builder
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
