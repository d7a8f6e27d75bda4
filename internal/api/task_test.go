package api

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
)

// task is a running recording of lesson-204 by 610001.
type task struct {
	*world
	resource, sid, mode string
}

func startTask(t *testing.T, n *node, mode, options string) task {
	t.Helper()
	w := newWorld(t)
	w.serve(n)
	resource, sid := w.record("app-1", "lesson-204", "610001", mode, options)
	return task{w, resource, sid, mode}
}

func (k task) path(call string) string { return taskPath("app-1", k.resource, k.sid, k.mode, call) }

func (k task) query() reply {
	k.t.Helper()
	return k.send(http.MethodGet, k.path("query"), "", nil)
}

func (k task) call(name, options string) reply {
	k.t.Helper()
	return k.post(k.path(name), options)
}

// change rewrites the record as its owner would.
func (k task) change(f func(*ledger.Record)) {
	k.t.Helper()
	if _, err := k.ledger.Update(context.Background(), k.sid, func(r *ledger.Record) error { f(r); return nil }); err != nil {
		k.t.Fatal(err)
	}
}

const (
	someList   = `{"streamSubscribe":{"audioUidList":{"subscribeAudioUids":["21"]}}}`
	someLayout = `{"mixedVideoLayout":1}`
)

// The table of errors.md 6.4.
func TestStates(t *testing.T) {
	cases := []struct {
		state               session.State
		query, update, stop [2]int // status, code
	}{
		{session.Starting, [2]int{200, 0}, [2]int{200, 0}, [2]int{200, 0}},
		{session.Recording, [2]int{200, 0}, [2]int{200, 0}, [2]int{200, 0}},
		{session.Stopping, [2]int{200, 0}, [2]int{404, 404}, [2]int{400, 49}},
		{session.Uploading, [2]int{200, 0}, [2]int{404, 404}, [2]int{400, 49}},
		{session.Done, [2]int{404, 404}, [2]int{404, 404}, [2]int{404, 404}},
		{session.Failed, [2]int{404, 404}, [2]int{404, 404}, [2]int{404, 404}},
	}
	for _, c := range cases {
		t.Run(string(c.state), func(t *testing.T) {
			begin := func(r *ledger.Record) {
				if r.State = session.Starting; c.state == session.Starting {
					r.Status = session.StatusStarting
				}
			}
			k := startTask(t, &node{begin: begin}, "mix", goodOptions)
			k.change(func(r *ledger.Record) { r.State = c.state })
			k.want("query", k.query(), c.query[0], c.query[1])
			k.want("update", k.call("update", someList), c.update[0], c.update[1])
			k.want("updateLayout", k.call("updateLayout", someLayout), c.update[0], c.update[1])
			k.want("stop", k.call("stop", `{}`), c.stop[0], c.stop[1])
			k.want("start", k.post(startPath("app-1", k.resource, "mix"), goodOptions), 201, 7)
		})
	}
}

func TestQueryShowsTheRecord(t *testing.T) {
	k := startTask(t, &node{}, "mix", goodOptions)
	if r := k.query(); r.raw != `{"cname":"lesson-204","uid":"610001","resourceId":"`+k.resource+`","sid":"`+k.sid+
		`","serverResponse":{"status":4,"fileListMode":"string","fileList":"","sliceStartTime":0}}` {
		t.Error(r.raw)
	}
	k.change(func(r *ledger.Record) {
		r.Status, r.SliceStart = session.StatusProgress, 1750000000000
		r.Files = []session.File{{Name: "d/x.m3u8"}}
	})
	// The Java client sends a body, and anything may stand in the media type.
	r := k.send(http.MethodGet, k.path("query"), "null", map[string]string{"Content-Type": "text/plain"})
	want := map[string]any{"status": 5.0, "fileListMode": "string", "fileList": "d/x.m3u8", "sliceStartTime": 1750000000000.0}
	if !reflect.DeepEqual(r.body["serverResponse"], want) {
		t.Error(r.raw)
	}
}

// After resourceExpiredHour the calls end and the recording goes on.
func TestCallsExpire(t *testing.T) {
	k := startTask(t, &node{}, "mix", goodOptions)
	k.advance(72*time.Hour - time.Minute)
	k.want("before", k.query(), 200, 0)
	k.advance(time.Minute)
	k.want("query", k.query(), 400, 433)
	k.want("update", k.call("update", someList), 400, 433)
	k.want("updateLayout", k.call("updateLayout", someLayout), 400, 433)
	k.want("stop", k.call("stop", `{}`), 400, 433)
	k.want("start", k.post(startPath("app-1", k.resource, "mix"), goodOptions), 201, 7)
	rec, _, err := k.ledger.Get(context.Background(), k.sid)
	if err != nil || rec.State != session.Recording {
		t.Errorf("the recording was touched: %v %v", rec.State, err)
	}
	// The second start is told to the webhooks, and nothing is done.
	if all := k.node.commands(); len(all) != 1 || all[0].Kind != ledger.CommandMisfit {
		t.Errorf("the owner was asked %v", all)
	}
}

func TestIdsHaveToMatch(t *testing.T) {
	k := startTask(t, &node{}, "mix", goodOptions)
	otherResource, otherSID := k.record("app-1", "lesson-205", "610001", "mix", goodOptions)
	zero := strings.Repeat("0", 32)
	for _, sid := range []string{zero, otherSID, "x", "*", "%3E", "..", "a.b", zero + "0", strings.ToUpper(k.sid)} {
		k.want("sid "+sid, k.send("GET", taskPath("app-1", k.resource, sid, "mix", "query"), "", nil), 400, 1003)
	}
	k.want("the other way round", k.send("GET", taskPath("app-1", otherResource, k.sid, "mix", "query"), "", nil), 400, 1003)
	fresh := k.acquire("app-1", "lesson-204", "610001", `{}`)
	k.want("a resource that never started", k.send("GET", taskPath("app-1", fresh, k.sid, "mix", "query"), "", nil), 404, 404)
	for _, mode := range []string{"individual", "raw"} {
		k.want("mode "+mode, k.send("GET", taskPath("app-1", k.resource, k.sid, mode, "query"), "", nil), 400, 2)
		k.want("mode "+mode, k.post(taskPath("app-1", k.resource, k.sid, mode, "stop"), `{}`), 400, 2)
	}
	k.want("mode web", k.send("GET", taskPath("app-1", k.resource, k.sid, "web", "query"), "", nil), 400, 432)
	k.want("cname", k.send("POST", k.path("stop"), envelope("lesson-205", "610001", `{}`), nil), 400, 432)
	k.want("uid", k.send("POST", k.path("stop"), envelope("lesson-204", "610002", `{}`), nil), 400, 432)
	k.want("app", k.send("GET", taskPath("app-2", k.resource, k.sid, "mix", "query"), "", nil), 400, 432)
	if n := len(k.node.commands()); n != 0 {
		t.Errorf("%d commands reached a recording", n)
	}
}

func TestUpdateReachesTheOwner(t *testing.T) {
	k := startTask(t, &node{}, "mix", goodOptions)
	for _, r := range []reply{k.call("update", someList), k.call("updateLayout", `{"mixedVideoLayout":2,"maxResolutionUid":"22"}`)} {
		if r.status != 200 || r.raw != `{"cname":"lesson-204","uid":"610001","resourceId":"`+k.resource+`","sid":"`+k.sid+`"}` {
			t.Errorf("%d %s", r.status, r.raw)
		}
	}
	want := []ledger.Command{
		{Kind: ledger.CommandUpdate, Subscription: &session.Subscription{Audio: session.UIDList{Allow: []uint32{21}}}},
		{Kind: ledger.CommandLayout, Layout: &session.Layout{Kind: 2, MaxUID: 22, Background: "#000000"}},
	}
	if got := k.node.commands(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	k.want("a bad list", k.call("update", `{"streamSubscribe":{"audioUidList":{"subscribeAudioUids":[]}}}`), 400, 2)
	k.want("a bad layout", k.call("updateLayout", `{"mixedVideoLayout":3}`), 400, 2)
	if n := len(k.node.commands()); n != 2 {
		t.Errorf("%d commands", n)
	}
}

func TestLayoutIsForMixOnly(t *testing.T) {
	k := startTask(t, &node{}, "individual", goodOptions)
	k.want("updateLayout", k.call("updateLayout", someLayout), 400, 2)
}

func TestStopSynchronously(t *testing.T) {
	k := startTask(t, &node{stop: func(r *ledger.Record) { r.Files = []session.File{{Name: "x.m3u8"}} }}, "mix", goodOptions)
	r := k.call("stop", `{}`)
	want := map[string]any{"fileListMode": "string", "fileList": "x.m3u8", "uploadingStatus": "uploaded"}
	if r.status != 200 || !reflect.DeepEqual(r.body["serverResponse"], want) {
		t.Errorf("%d %s", r.status, r.raw)
	}
	if got := k.node.commands(); len(got) != 1 || got[0].Kind != ledger.CommandStop || got[0].Async {
		t.Errorf("commands %+v", got)
	}
	k.want("query afterwards", k.query(), 404, 404)
	k.want("stop afterwards", k.call("stop", `{}`), 404, 404)
}

func TestStopAsynchronously(t *testing.T) {
	k := startTask(t, &node{}, "individual", goodOptions)
	r := k.call("stop", `{"async_stop":true}`)
	want := map[string]any{"fileListMode": "json", "fileList": []any{}, "uploadingStatus": "unknown"}
	if r.status != 200 || !reflect.DeepEqual(r.body["serverResponse"], want) {
		t.Errorf("%d %s", r.status, r.raw)
	}
	k.want("query meanwhile", k.query(), 200, 0)
	k.want("stop meanwhile", k.call("stop", `{"async_stop":true}`), 400, 49)
}

func TestStopAnswersOfTheOwner(t *testing.T) {
	for code, want := range map[int][2]int{435: {206, 435}, 50: {206, 50}, 49: {400, 49}, 404: {404, 404}, 65: {206, 65}, 62: {504, 62}, 999: {504, 62}} {
		k := startTask(t, &node{code: code, stop: func(r *ledger.Record) { r.State = session.Uploading }}, "mix", goodOptions)
		r := k.call("stop", `{}`)
		k.want("stop", r, want[0], want[1])
		if want[0] == 206 && r.text("sid") != k.sid {
			t.Errorf("%s; want the ids", r.raw)
		}
	}
}

func TestOwnerDoesNotAnswer(t *testing.T) {
	k := startTask(t, &node{}, "mix", goodOptions)
	for _, c := range []struct {
		what         string
		ask          error
		status, code int
	}{
		{"nobody serves it", ledger.ErrNoOwner, 404, 404},
		{"not reachable", errUnreachable, 504, 62},
		{"too late", errLate, 206, 65},
	} {
		k.forced.ask = c.ask
		for call, options := range map[string]string{"update": someList, "updateLayout": someLayout, "stop": `{}`} {
			k.want(call+" "+c.what, k.call(call, options), c.status, c.code)
		}
	}
	k.forced.ask = errLate
	k.change(func(r *ledger.Record) { r.State = session.Stopping })
	k.forced.Ledger = staleState{k.ledger, session.Recording}
	k.want("an upload that takes its time", k.call("stop", `{}`), 206, 50)
}

// staleState shows a record in an older state the first time.
type staleState struct {
	*ledger.Ledger
	state session.State
}

func (s staleState) Get(ctx context.Context, sid string) (ledger.Record, uint64, error) {
	rec, rev, err := s.Ledger.Get(ctx, sid)
	if _, waited := ctx.Deadline(); waited && !isCleanup(ctx) {
		rec.State = s.state
	}
	return rec, rev, err
}

// isCleanup tells the short look after a timeout from the ordinary one.
func isCleanup(ctx context.Context) bool {
	d, _ := ctx.Deadline()
	return time.Until(d) <= cleanup
}
