package conform

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCompare(t *testing.T) {
	good := Example{
		Status: 200, Dynamic: []string{"/sid", "/list/1/n"},
		Want: map[string]any{"cname": "a", "sid": "x", "list": []any{"u", map[string]any{"n": 1.0}}},
	}
	refusal := Example{Status: 400, Dynamic: []string{"/reason"}, Want: map[string]any{"code": 2.0, "reason": "r"}}
	gateway := Example{Status: 401, Want: map[string]any{"message": "Unauthorized"}}
	cases := []struct {
		e      Example
		status int
		body   string
		want   []string // parts of the differences, in order
	}{
		{good, 200, `{"cname":"a","sid":"other","list":["u",{"n":7}]}`, nil},
		{good, 201, `{"cname":"a","sid":"x","list":["u",{"n":1}]}`, []string{"HTTP status is 201, want 200"}},
		{good, 200, `{"cname":"b","sid":5,"list":["u",{"n":1}]}`, []string{"/cname is b, want a", "/sid is float64, want string"}},
		{good, 200, `{"cname":"a","sid":"x","list":["u"]}`, []string{"/list is"}},
		{good, 200, `{"cname":"a","sid":"x","list":["u",{"n":1,"m":2}]}`, []string{"/list/1/m is too much"}},
		{good, 200, `{"cname":"a","list":["u",{"n":1}],"more":null}`, []string{"/more is too much", "/sid is missing"}},
		{good, 200, `[]`, []string{"the body is not a JSON object"}},
		{refusal, 400, `{"code":2,"reason":"any text","cname":"a"}`, nil},
		{refusal, 400, `{"code":"2","reason":"any text"}`, []string{"/code is 2, want 2"}},
		{refusal, 400, `{"code":2,"reason":"r","message":"m"}`, []string{"mixes the shapes"}},
		{gateway, 401, `{"message":"Unauthorized"}`, nil},
		{gateway, 401, `{"message":"Unauthorized","code":1,"reason":"r"}`, []string{"/code is too much", "/reason is too much", "mixes the shapes"}},
	}
	for _, c := range cases {
		a := Answer{Status: c.status, Request: "r", Type: "application/json", Raw: c.body}
		_ = json.Unmarshal([]byte(c.body), &a.Body)
		got := c.e.Compare(a)
		ok := len(got) == len(c.want)
		for i := range min(len(got), len(c.want)) {
			ok = ok && strings.Contains(got[i], c.want[i])
		}
		if !ok {
			t.Errorf("%s: %q, want %q", c.body, got, c.want)
		}
	}
	if got := gateway.Compare(Answer{Status: 401, Type: "text/html", Body: gateway.Want}); len(got) != 2 {
		t.Errorf("without headers: %q", got)
	}
}

// Every pair can be brought about, or says why not.
func TestStages(t *testing.T) {
	all, err := Examples()
	if err != nil || len(all) < 168 {
		t.Fatalf("%d examples, %v", len(all), err)
	}
	for _, e := range all {
		s := StageOf(e)
		if strings.Contains(e.Path, "{sid}") && s.Start == "" && !strings.HasSuffix(e.ID, "-err-not-found") {
			t.Errorf("%s has no recording", e.ID)
		}
		for _, options := range []string{s.Acquire, s.Start} {
			if options != "" && !json.Valid([]byte(options)) {
				t.Errorf("%s: options %s", e.ID, options)
			}
		}
		if e.Precondition != "" && s == (Stage{CName: channel}) && e.ID != "gw-unknown-appid" {
			t.Errorf("%s presupposes that %s", e.ID, e.Precondition)
		}
	}
}

// A server that is down, or something else altogether, is told from one that
// differs.
func TestNoServer(t *testing.T) {
	none := func(Result) { t.Error("something was compared") }
	o := Options{URL: "http://127.0.0.1:1", App: "a", Customer: "c", Secret: "s"}
	if err := Run(t.Context(), o, none); err == nil || !strings.Contains(err.Error(), "is the server up?") {
		t.Errorf("%v", err)
	}
	if err := Run(t.Context(), Options{URL: "http://127.0.0.1:1"}, none); err == nil {
		t.Error("no credentials are no mistake")
	}
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	o.URL, o.Only, o.Pause = web.URL, "start-mix-minimal", time.Millisecond
	var got []Result
	if err := Run(t.Context(), o, func(r Result) { got = append(got, r) }); err != nil || len(got) != 1 || len(got[0].Differs) != 1 {
		t.Fatalf("%v, %v", got, err)
	}
	if !slices.ContainsFunc(got[0].Differs, func(d string) bool { return strings.Contains(d, "acquire, which the example presupposes") }) {
		t.Errorf("%q", got[0].Differs)
	}
}
