package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"tapedeck/internal/account"
	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
)

// post makes a POST for the recorder 610001 of lesson-204.
func (w *world) post(path, options string) reply {
	w.t.Helper()
	return w.send(http.MethodPost, path, envelope("lesson-204", "610001", options), nil)
}

func TestStartStoresWhatWasAskedFor(t *testing.T) {
	w := newWorld(t)
	w.serve(&node{})
	options := strings.TrimSuffix(goodOptions, "}}") + `,"fileNamePrefix":["school","room7"],"extensionParams":{"sse":"kms"}},"recordingConfig":{"maxIdleTime":60}}`
	resource := w.acquire("app-1", "lesson-204", "610001", `{"resourceExpiredHour":24}`)
	r := w.post(startPath("app-1", resource, "mix"), options)
	w.want("start", r, 200, 0)
	sid := r.text("sid")
	rec, _, err := w.ledger.Get(context.Background(), sid)
	if err != nil {
		t.Fatal(err)
	}
	p := rec.Plan
	if p.SID != sid || p.AppID != "app-1" || p.CName != "lesson-204" || p.UID != 610001 || p.Mode != session.Mix ||
		p.FilePrefix != "school/room7/" || p.MaxIdle != time.Minute || p.Mixing == nil {
		t.Errorf("plan %+v", p)
	}
	if rec.SID != sid || rec.App != "app-1" || rec.Account != testUser || rec.CName != "lesson-204" || rec.UID != 610001 || len(rec.RID) != 32 {
		t.Errorf("record %+v", rec)
	}
	if left := rec.ExpiresAt.Sub(rec.Created); left != 24*time.Hour {
		t.Errorf("the calls end after %v", left)
	}
	if strings.Contains(string(rec.Storage), "EXAMPLE") {
		t.Error("the record tells the credentials")
	}
	if _, err := w.api.Ring.Open([]byte("another sid"), rec.Storage); err == nil {
		t.Error("the credentials are not bound to the recording")
	}
	plain, err := w.api.Ring.Open([]byte(sid), rec.Storage)
	if err != nil {
		t.Fatal(err)
	}
	var target session.Target
	want := session.Target{Vendor: 1, Bucket: "rec-bucket", AccessKey: "AKIDEXAMPLE", SecretKey: "SECRETEXAMPLE", Prefix: "school/room7/", SSE: "kms"}
	if err := json.Unmarshal(plain, &target); err != nil || target != want {
		t.Errorf("target %v, %v", target, err)
	}
}

func TestStartTwice(t *testing.T) {
	w := newWorld(t)
	w.serve(&node{})
	resource, sid := w.record("app-1", "lesson-204", "610001", "mix", goodOptions)
	again := func(when string) {
		t.Helper()
		r := w.post(startPath("app-1", resource, "mix"), goodOptions)
		w.want(when, r, 201, 7)
		if r.text("sid") != sid || r.text("resourceId") != resource || r.text("cname") != "lesson-204" || r.text("uid") != "610001" {
			t.Errorf("%s: %s; want the ids of the recording", when, r.raw)
		}
	}
	again("while it runs")
	w.advance(6 * time.Minute)
	again("after the resource id lapsed")
	w.want("stop", w.post(taskPath("app-1", resource, sid, "mix", "stop"), `{}`), 200, 0)
	again("after the end")
}

func TestManyStartsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.serve(&node{})
	resource := w.acquire("app-1", "lesson-204", "610001", `{}`)
	replies := make([]reply, 12)
	var wg sync.WaitGroup
	for i := range replies {
		wg.Go(func() { replies[i] = w.post(startPath("app-1", resource, "mix"), goodOptions) })
	}
	wg.Wait()
	started, sids := 0, map[string]bool{}
	for _, r := range replies {
		sids[r.text("sid")] = true
		if r.status == http.StatusOK {
			started++
		} else {
			w.want("a slower start", r, 201, 7)
		}
	}
	if started != 1 || len(sids) != 1 {
		t.Errorf("%d recordings started, sids %v", started, sids)
	}
	live, err := w.ledger.Live(context.Background())
	if err != nil || len(live) != 1 {
		t.Errorf("%d recordings in the ledger, %v", len(live), err)
	}
}

func TestConflict(t *testing.T) {
	w := newWorld(t)
	w.serve(&node{})
	first, sid := w.record("app-1", "lesson-204", "610001", "mix", goodOptions)
	second := w.acquire("app-1", "lesson-204", "610001", `{}`)
	start := startPath("app-1", second, "mix")
	w.want("the same triple", w.post(start, goodOptions), 400, 53)
	w.record("app-1", "lesson-204", "610002", "mix", goodOptions)
	w.record("app-2", "lesson-204", "610001", "individual", goodOptions)
	w.want("stop", w.post(taskPath("app-1", first, sid, "mix", "stop"), `{}`), 200, 0)
	w.want("the id of the conflict, once the first has stopped", w.post(start, goodOptions), 200, 0)
}

func TestResourceLapses(t *testing.T) {
	w := newWorld(t)
	w.serve(&node{})
	resource := w.acquire("app-1", "lesson-204", "610001", `{}`)
	w.advance(5*time.Minute + time.Second)
	w.want("too late", w.post(startPath("app-1", resource, "mix"), goodOptions), 400, 433)
}

// A resource id opens for the app, channel, recorder and scene of acquire only.
func TestForeignResources(t *testing.T) {
	other := testAccount("app-9")
	other.ID = "customer-2"
	w := newWorld(t, testAccount("app-1", "app-2"), other)
	w.serve(&node{})
	mine := w.acquire("app-1", "lesson-204", "610001", `{}`)
	sibling := w.acquire("app-2", "lesson-204", "610001", `{}`)
	stranger := w.send("POST", acquirePath("app-9"), envelope("lesson-204", "610001", `{}`),
		map[string]string{"Authorization": basicAuth("customer-2", testSecret)}).text("resourceId")
	forged := mine[:50] + swap(mine[50]) + mine[51:]
	body := envelope("lesson-204", "610001", goodOptions)
	for _, c := range []struct {
		what, resource, body string
		code                 int
	}{
		{"forged", forged, body, 1001},
		{"cut", mine[:141], body, 1001},
		{"garbage", "x", body, 1001},
		{"of another account", stranger, body, 1001},
		{"of another app", sibling, body, 432},
		{"another channel", mine, envelope("lesson-205", "610001", goodOptions), 432},
		{"another recorder", mine, envelope("lesson-204", "610002", goodOptions), 432},
		{"bad channel name", mine, envelope("lesson/204", "610001", goodOptions), 1013},
		{"bad recorder", mine, envelope("lesson-204", "0", goodOptions), 2},
	} {
		w.want(c.what, w.send("POST", startPath("app-1", c.resource, "mix"), c.body, nil), 400, c.code)
	}
	sid := strings.Repeat("a", 32)
	for _, c := range []struct {
		what, resource string
		status, code   int
	}{{"forged", forged, 400, 1001}, {"sibling", sibling, 400, 432}, {"never started", mine, 404, 404}} {
		w.want("query "+c.what, w.send("GET", taskPath("app-1", c.resource, sid, "mix", "query"), "", nil), c.status, c.code)
		for _, call := range []string{"stop", "update", "updateLayout"} {
			w.want(call+" "+c.what, w.post(taskPath("app-1", c.resource, sid, "mix", call), `{}`), c.status, c.code)
		}
	}
	if r := w.send("POST", acquirePath("app-9"), body, nil); r.status != 401 || r.text("message") != "Invalid authentication credentials" {
		t.Errorf("an app of another account: %d %s", r.status, r.raw)
	}
}

// swap changes a character of base64url into another one.
func swap(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

func TestScenesAndModes(t *testing.T) {
	w := newWorld(t)
	w.serve(&node{})
	for _, c := range []struct {
		scene, mode  string
		status, code int
	}{
		{"0", "mix", 200, 0}, {"0", "individual", 200, 0}, {"0", "web", 400, 432}, {"0", "raw", 200, 0},
		{"1", "mix", 400, 432}, {"1", "individual", 400, 432}, {"1", "web", 400, 2}, {"1", "raw", 200, 0},
		{"2", "mix", 400, 432}, {"2", "individual", 400, 2}, {"2", "web", 400, 432}, {"2", "raw", 200, 0},
	} {
		cname := "room-" + c.scene + c.mode
		resource := w.acquire("app-1", cname, "610001", `{"scene":`+c.scene+`}`)
		r := w.send("POST", startPath("app-1", resource, c.mode), envelope(cname, "610001", goodOptions), nil)
		w.want("scene "+c.scene+" mode "+c.mode, r, c.status, c.code)
	}
}

func TestStartParameter(t *testing.T) {
	w := newWorld(t)
	w.serve(&node{})
	const given = `{"storageConfig":{"vendor":1,"region":0,"bucket":"b","accessKey":"a","secretKey":"s"},"recordingConfig":{"channelType":1,"subscribeAudioUids":["1","2"]}}`
	const reordered = "{ \"recordingConfig\": {\"subscribeAudioUids\":[\"1\",\"2\"], \"channelType\":1},\n \"storageConfig\":{\"secretKey\":\"s\",\"accessKey\":\"a\",\"bucket\":\"\\u0062\",\"region\":0,\"vendor\":1}}"
	resource := w.acquire("app-1", "lesson-204", "610001", `{"startParameter":`+given+`}`)
	start := startPath("app-1", resource, "mix")
	r := w.post(start, strings.Replace(given, `"1","2"`, `"2","1"`, 1))
	w.want("another order of a list", r, 400, 2)
	if r.text("reason") != "request_hash mismatch!" {
		t.Errorf("reason %q", r.text("reason"))
	}
	w.want("another order of members", w.post(start, reordered), 200, 0)
	w.want("an empty start parameter", w.post(startPath("app-1", w.acquire("app-2", "lesson-204", "610001", `{"startParameter":{}}`), "mix"), given), 400, 432)
	empty := w.acquire("app-2", "lesson-204", "610001", `{"startParameter":{}}`)
	w.want("an empty start parameter", w.post(startPath("app-2", empty, "mix"), given), 200, 0)
}

// A start that fails leaves nothing behind: the same resource id works afterwards.
func TestFailedStartsAreUndone(t *testing.T) {
	refused := &ledger.ErrRefused{Node: "node-1", Reason: "the spool folder is read-only"}
	for _, c := range []struct {
		what         string
		fail         func(*forced)
		status, code int
	}{
		{"refused", func(f *forced) { f.place = refused }, 500, 502},
		{"no node", func(f *forced) { f.place = ledger.ErrNoNode }, 500, 502},
		{"nobody answers", func(f *forced) { f.place = errUnreachable }, 500, 62},
		{"too late", func(f *forced) { f.place = errLate }, 206, 65},
		{"claim too late", func(f *forced) { f.claim = errLate }, 206, 65},
		{"claim fails", func(f *forced) { f.claim = errUnreachable }, 500, 62},
		{"look-up fails", func(f *forced) { f.sidOf = errUnreachable }, 500, 62},
		{"look-up too late", func(f *forced) { f.sidOf = errLate }, 206, 65},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t)
			w.serve(&node{})
			resource := w.acquire("app-1", "lesson-204", "610001", `{}`)
			c.fail(w.forced)
			r := w.post(startPath("app-1", resource, "mix"), goodOptions)
			w.want(c.what, r, c.status, c.code)
			if c.status == 206 && (r.text("resourceId") != resource || r.text("cname") != "lesson-204") {
				t.Errorf("%s; want the ids that are known", r.raw)
			}
			if live, err := w.ledger.Live(context.Background()); err != nil || len(live) != 0 {
				t.Errorf("%d recordings left behind, %v", len(live), err)
			}
			*w.forced = forced{Ledger: w.ledger}
			w.want("once more", w.post(startPath("app-1", resource, "mix"), goodOptions), 200, 0)
		})
	}
}

// With a real refusal the log says why and what to do, and nobody else learns it.
func TestRefusalIsExplained(t *testing.T) {
	w := newWorld(t)
	w.serve(&node{refuse: errors.New("spool /data/spool has 12 MB left")})
	resource := w.acquire("app-1", "lesson-204", "610001", `{}`)
	r := w.post(startPath("app-1", resource, "mix"), goodOptions)
	w.want("full", r, 500, 502)
	if strings.Contains(r.raw, "spool") {
		t.Errorf("the answer tells %s", r.raw)
	}
	if log := w.log.String(); !strings.Contains(log, "spool /data/spool has 12 MB left") || !strings.Contains(log, "free space in its spool") {
		t.Errorf("the log does not say what to do: %s", log)
	}
}

// The answer of a node may get lost after it took the recording.
func TestLateButTaken(t *testing.T) {
	w := newWorld(t)
	w.serve(&node{})
	w.forced.late = errLate
	w.record("app-1", "lesson-204", "610001", "mix", goodOptions)
	if live, err := w.ledger.Live(context.Background()); err != nil || len(live) != 1 {
		t.Errorf("%d recordings, %v", len(live), err)
	}
}

func TestReleaseFails(t *testing.T) {
	w := newWorld(t)
	w.serve(&node{})
	w.forced.place, w.forced.release = ledger.ErrNoNode, errUnreachable
	resource := w.acquire("app-1", "lesson-204", "610001", `{}`)
	w.want("not placed", w.post(startPath("app-1", resource, "mix"), goodOptions), 500, 502)
	if !strings.Contains(w.log.String(), "could not be undone") {
		t.Error("nobody is told")
	}
}

func TestTargetCheck(t *testing.T) {
	w := newWorld(t)
	w.serve(&node{})
	w.api.CheckTarget = func(app *account.App, target session.Target) error {
		if app.ID == "app-1" && target.Vendor == 5 {
			return errors.New("no Azure yet")
		}
		return nil
	}
	resource := w.acquire("app-1", "lesson-204", "610001", `{}`)
	start := startPath("app-1", resource, "mix")
	r := w.post(start, strings.Replace(goodOptions, `"vendor":1`, `"vendor":5`, 1))
	w.want("Azure", r, 400, 2)
	if r.text("reason") != "storageConfig: this server cannot write to vendor 5 or its endpoint!" {
		t.Errorf("reason %q", r.text("reason"))
	}
	w.want("Amazon", w.post(start, goodOptions), 200, 0)
}
