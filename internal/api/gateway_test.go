package api

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/account"
	"tapedeck/internal/resource"
)

func TestRoutes(t *testing.T) {
	const task = "/v1/apps/a/cloud_recording/resourceid/r/sid/s/mode/mix/"
	good := map[string]route{
		"POST /v1/apps/a/cloud_recording/acquire":                             {endpoint: epAcquire, app: "a"},
		"POST /v1/apps/a b/cloud_recording/acquire":                           {endpoint: epAcquire, app: "a b"},
		"POST /v1/apps/a/cloud_recording/resourceid/r/mode/individual/start":  {endpoint: epStart, app: "a", resource: "r", mode: "individual"},
		"POST /v1/apps/a/cloud_recording/resourceid/r/mode/raw/start":         {endpoint: epStart, app: "a", resource: "r", mode: "raw"},
		"POST " + task + "update":                                             {epUpdate, "a", "r", "s", "mix"},
		"POST " + task + "updateLayout":                                       {epUpdateLayout, "a", "r", "s", "mix"},
		"POST " + task + "stop":                                               {epStop, "a", "r", "s", "mix"},
		"GET " + task + "query":                                               {epQuery, "a", "r", "s", "mix"},
		"GET /v1/ncs/ip":                                                      {endpoint: epSources},
		"POST /v1/apps/a/cloud_recording/resourceid/sid/mode/web/start":       {endpoint: epStart, app: "a", resource: "sid", mode: "web"},
		"GET /v1/apps/a/cloud_recording/resourceid/r/sid/mode/mode/web/query": {epQuery, "a", "r", "mode", "web"},
	}
	for line, want := range good {
		method, path, _ := strings.Cut(line, " ")
		if got, ok := parseRoute(method, path); !ok || got != want {
			t.Errorf("%s: %+v %v", line, got, ok)
		}
	}
	for _, line := range []string{
		"GET /", "GET ", "POST /v1/apps/a/cloud_recording/acquire/", "GET /v1/apps/a/cloud_recording/acquire",
		"PUT /v1/apps/a/cloud_recording/acquire", "POST //v1/apps/a/cloud_recording/acquire", "POST /v1/apps//cloud_recording/acquire",
		"POST /v1/apps/a/cloud_recording//acquire", "POST /v1/apps/a/cloud_recording/Acquire", "POST /V1/apps/a/cloud_recording/acquire",
		"POST /v1/apps/a/cloud-recording/acquire", "POST /v1/apps/a/cloud_recording", "POST /v1/apps/a/cloud_recording/",
		"POST /v1/apps/a/cloud_recording/resourceid/r/mode/mix/stop", "POST /v1/apps/a/cloud_recording/resourceid/r/mode/MIX/start",
		"POST /v1/apps/a/cloud_recording/resourceid/r/mode/other/start", "POST /v1/apps/a/cloud_recording/resourceid//mode/mix/start",
		"POST /v1/apps/a/cloud_recording/resourceid/r/mode/mix/start/x", "POST " + task + "updatelayout", "POST " + task + "query",
		"GET " + task + "stop", "POST " + task + "start", "POST " + task, "GET /v1/ncs/ip/", "POST /v1/ncs/ip",
		"POST /v1/apps/a/cloud_recording/resourceid/r/sid//mode/mix/stop",
	} {
		method, path, _ := strings.Cut(line, " ")
		if r, ok := parseRoute(method, path); ok {
			t.Errorf("%s is a route: %+v", line, r)
		}
	}
}

// Paths that are not clean are answered, not redirected, and unknown routes come
// before credentials.
func TestNoRoute(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/", "//", "/v1//apps/x/cloud_recording/acquire", "/v1/../v1/apps/app-1/cloud_recording/acquire", "/healthz"} {
		r := w.send(http.MethodPost, path, "", map[string]string{"Authorization": ""})
		if r.status != 404 || r.raw != `{"message":"no Route matched with those values"}` {
			t.Errorf("%s: %d %s", path, r.status, r.raw)
		}
	}
	for _, method := range []string{"GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "post"} {
		if r := w.send(method, acquirePath("app-1"), "", nil); r.status != 404 {
			t.Errorf("%s: %d", method, r.status)
		}
	}
	res, err := http.Head(w.url + acquirePath("app-1"))
	if err != nil || res.StatusCode != 404 {
		t.Errorf("HEAD: %v %v", res, err)
	}
}

func TestCredentials(t *testing.T) {
	w := newWorld(t)
	for header, want := range map[string]string{
		"":                                      "Unauthorized",
		"Basic":                                 "Invalid authentication credentials",
		"Basic !!!":                             "Invalid authentication credentials",
		"Bearer " + testSecret:                  "Invalid authentication credentials",
		basicAuth(testUser, testSecret+"x"):     "Invalid authentication credentials",
		basicAuth("customer-2", testSecret):     "Invalid authentication credentials",
		basicAuth(testUser, "")[len("Basic "):]: "Invalid authentication credentials",
	} {
		r := w.send("POST", acquirePath("app-1"), "not even JSON", map[string]string{"Authorization": header})
		if r.status != 401 || r.text("message") != want || len(r.body) != 1 || r.header.Get("Www-Authenticate") == "" {
			t.Errorf("%q: %d %s, want %s", header, r.status, r.raw, want)
		}
	}
}

func TestRateLimitIsPerAccount(t *testing.T) {
	slow, other := testAccount("app-1", "app-2"), testAccount("app-9")
	slow.Rate, other.ID = 0, "customer-2" // the default of 10
	w := newWorld(t, slow, other)
	still := time.Unix(1750000000, 0)
	w.api.Limiter = account.NewLimiter(w.api.Accounts, w.ledger.Counter(), func() time.Time { return still }, slog.New(slog.DiscardHandler))
	var mu sync.Mutex
	counts := map[int]int{}
	var wg sync.WaitGroup
	for i := range 40 { // both apps, all kinds of calls
		path := []string{acquirePath("app-1"), acquirePath("app-2"), startPath("app-1", "x", "mix"), acquirePath("unknown")}[i%4]
		wg.Go(func() {
			r := w.post(path, `{}`)
			mu.Lock()
			defer mu.Unlock()
			counts[r.status]++
			if r.status == 429 && (r.raw != `{"message":"API rate limit exceeded"}` || r.header.Get("Retry-After") == "") {
				t.Errorf("%s", r.raw)
			}
		})
	}
	wg.Wait()
	if counts[429] != 30 {
		t.Errorf("%v; want 10 answers and 30 refusals", counts)
	}
	if r := w.send("POST", acquirePath("app-9"), envelope("a", "1", `{}`), map[string]string{"Authorization": basicAuth("customer-2", testSecret)}); r.status != 200 {
		t.Errorf("another account: %d %s", r.status, r.raw)
	}
}

func TestFraming(t *testing.T) {
	w := newWorld(t)
	body := envelope("lesson-204", "610001", `{}`)
	for media, ok := range map[string]bool{
		"": true, "application/json": true, "application/json;charset=utf-8": true, "application/json; charset=UTF-8": true,
		"Application/JSON ;charset": true, "application/json;;": true, " application/json": true,
		"text/plain": false, "application/jsonx": false, "application/x-www-form-urlencoded": false, ";": false, "json": false,
	} {
		r := w.send("POST", acquirePath("app-1"), body, map[string]string{"Content-Type": media})
		if ok && r.status != 200 || !ok && (r.status != 400 || r.code() != 8) {
			t.Errorf("%q: %d %s", media, r.status, r.raw)
		}
	}
	for _, bad := range []string{"", "null", "[]", `"x"`, "{", body + "x", body + body, `{"cname":"a","cname":"a","uid":"1","clientRequest":{}}`, strings.Repeat("[", 20000)} {
		w.want("body "+bad[:min(len(bad), 20)], w.send("POST", acquirePath("app-1"), bad, nil), 400, 8)
	}
	padded := func(n int) string { return strings.Repeat(" ", n-len(body)) + body }
	w.want("the largest body", w.send("POST", acquirePath("app-1"), padded(maxBody), nil), 200, 200)
	w.want("one byte more", w.send("POST", acquirePath("app-1"), padded(maxBody+1), nil), 400, 8)
}

// A body of unknown length is read as well, and not for ever.
func TestChunkedBody(t *testing.T) {
	w := newWorld(t)
	for size, status := range map[int]int{200: 200, 2 * usualBody: 200, maxBody + 1: 400} {
		body := envelope("lesson-204", "610001", `{}`)
		body += strings.Repeat(" ", size-len(body))
		r, err := http.NewRequest("POST", w.url+acquirePath("app-1"), io.MultiReader(strings.NewReader(body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", basicAuth(testUser, testSecret))
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != status {
			t.Errorf("%d bytes: %d, want %d", size, res.StatusCode, status)
		}
		_ = res.Body.Close()
	}
}

func TestAcquirePromise(t *testing.T) {
	w := newWorld(t)
	id := w.acquire("app-1", "lesson-204", "610001", `{"region":"EU","resourceExpiredHour":24,"scene":2,"startParameter":{"a":1}}`)
	res, err := resource.Open(w.api.Ring, "app-1", id)
	if err != nil {
		t.Fatal(err)
	}
	if !res.Is("lesson-204", 610001) || res.Region != resource.Europe || res.ExpiredHour != 24 || res.Scene != 2 || !res.HasStart ||
		res.Lifetime != 5*time.Minute || time.Since(res.Issued) > time.Minute {
		t.Errorf("%+v", res)
	}
	if another := w.acquire("app-1", "lesson-204", "610001", `{}`); another == id {
		t.Error("the same id twice")
	}
	r := w.send("POST", acquirePath("app-1"), `{"cname":"a<&>b","uid":"4294967295","clientRequest":{}}`, nil)
	if r.status != 200 || r.text("cname") != "a<&>b" || r.text("uid") != "4294967295" || r.body["code"] != 200.0 || len(r.body) != 4 {
		t.Errorf("%d %s", r.status, r.raw)
	}
}

func TestWebNames(t *testing.T) {
	w := newWorld(t)
	for n, status := range map[int]int{128: 200, 129: 400} {
		name := strings.Repeat("ä", n/2) + strings.Repeat("/", n%2)
		r := w.send("POST", acquirePath("app-1"), envelope(name, "1", `{"scene":1}`), nil)
		if r.status != status || status == 400 && r.text("reason") != "Acquire: invalid cname value!" {
			t.Errorf("%d bytes: %d %s", n, r.status, r.raw)
		}
		if r := w.send("POST", acquirePath("app-1"), envelope(name, "1", `{}`), nil); r.code() != 401 {
			t.Errorf("as a channel: %d %s", r.status, r.raw)
		}
	}
}

func TestNodesAreAskedForTheRegion(t *testing.T) {
	w := newWorld(t)
	w.api.HasNode = func(places []string) bool { return slices.Contains(places, "EU") }
	body := func(region string) string { return envelope("a", "1", `{"region":"`+region+`"}`) }
	w.want("EU", w.send("POST", acquirePath("app-1"), body("EU"), nil), 200, 200)
	w.want("NA", w.send("POST", acquirePath("app-1"), body("NA"), nil), 500, 501)
}

func TestSources(t *testing.T) {
	w := newWorld(t)
	if r := w.send("GET", "/v1/ncs/ip", "", nil); r.raw != `{"data":{"service":{"hosts":[{"primaryIP":"192.0.2.10"},{"primaryIP":"192.0.2.11"}]}}}` {
		t.Error(r.raw)
	}
}

// One broken request is answered, reported, and the server goes on.
func TestPanic(t *testing.T) {
	w := newWorld(t)
	w.api.HasNode = func([]string) bool { panic("out of tape") }
	w.want("acquire", w.send("POST", acquirePath("app-1"), envelope("a", "1", `{}`), nil), 500, 500)
	if log := w.log.String(); !strings.Contains(log, "out of tape") || !strings.Contains(log, "gateway_test.go") {
		t.Errorf("the log does not help: %s", log)
	}
	w.api.HasNode = nil
	w.acquire("app-1", "a", "1", `{}`)
}

// Every refusal leaves one line with its request id, and no line has a secret or
// a piece of a body in it.
func TestLog(t *testing.T) {
	w := newWorld(t)
	w.serve(&node{})
	resource, sid := w.record("app-1", "lesson-204", "610001", "mix", goodOptions)
	replies := []reply{
		w.post(startPath("app-1", resource, "mix"), goodOptions),
		w.post(startPath("app-1", resource, "mix"), `{"token":"TOKEN-IN-BODY"}`),
		w.post(acquirePath("app-1"), `{"region":"PLACE-IN-BODY"}`),
		w.send("POST", acquirePath("app-1"), `{"PIECE-OF-BODY`, nil),
		w.send("POST", acquirePath("app-1"), "", map[string]string{"Authorization": basicAuth(testUser, "WRONG-SECRET")}),
		w.send("GET", taskPath("app-1", resource, strings.Repeat("0", 32), "mix", "query"), "", nil),
		w.send("GET", "/nowhere", "", nil),
	}
	w.want("stop", w.post(taskPath("app-1", resource, sid, "mix", "stop"), `{}`), 200, 0)
	log := w.log.String()
	for _, r := range replies {
		if n := strings.Count(log, "request="+r.header.Get("X-Request-Id")+" "); r.status == 200 || n != 1 {
			t.Errorf("%d %s has %d lines", r.status, r.raw, n)
		}
	}
	for _, secret := range []string{"EXAMPLE", "IN-BODY", "PIECE", "WRONG", testSecret, resource, resource[20:60], basicAuth(testUser, testSecret)[6:]} {
		if strings.Contains(log, secret) {
			t.Errorf("the log tells %q:\n%s", secret, log)
		}
	}
}

func TestObserve(t *testing.T) {
	w := newWorld(t)
	var calls []Call
	w.api.Observe = func(c Call) { calls = append(calls, c) }
	for _, r := range []*http.Request{
		httptest.NewRequest("POST", acquirePath("app-1"), strings.NewReader(envelope("a", "1", `{}`))),
		httptest.NewRequest("POST", acquirePath("app-1"), strings.NewReader(envelope("a", "0", `{}`))),
		httptest.NewRequest("GET", "/x", nil),
	} {
		r.Header.Set("Authorization", basicAuth(testUser, testSecret))
		w.api.ServeHTTP(httptest.NewRecorder(), r)
	}
	want := []Call{{"Acquire", 200, 0, 0}, {"Acquire", 400, 2, 0}, {"Request", 404, 0, 0}}
	for i := range calls {
		if calls[i].Took < 0 {
			t.Error("time went backwards")
		}
		calls[i].Took = 0
		if calls[i] != want[i] {
			t.Errorf("%+v, want %+v", calls[i], want[i])
		}
	}
	if len(calls) != len(want) {
		t.Errorf("%d calls", len(calls))
	}
}
