package api

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
)

// startPage is a running recording of a page with a live push.
func startPage(t *testing.T, n *node) task {
	t.Helper()
	w := newWorld(t)
	w.serve(n)
	resource := w.acquire("app-1", "lesson-204", "610001", `{"scene":1}`)
	r := w.post(startPath("app-1", resource, "web"), webOptions)
	w.want("start", r, 200, 0)
	return task{w, resource, r.text("sid"), "web"}
}

// last is the newest command that the owner got.
func (k task) last() ledger.Command {
	k.t.Helper()
	all := k.node.commands()
	if len(all) == 0 {
		k.t.Fatal("the owner was asked nothing")
	}
	return all[len(all)-1]
}

func (k task) private(sealed []byte) session.Private {
	k.t.Helper()
	var p session.Private
	if err := unseal(k.api.Ring, k.sid, sealed, &p); err != nil {
		k.t.Fatal(err)
	}
	return p
}

// What is secret of a page stands nowhere but under the seal.
func TestSecretsOfAPage(t *testing.T) {
	k := startPage(t, &node{})
	rec, _, err := k.ledger.Get(context.Background(), k.sid)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := rec.Encode()
	if err != nil || strings.Contains(string(raw), "LOGIN") || strings.Contains(string(raw), "STREAMKEY") {
		t.Errorf("the record tells the secrets of the page: %v", err)
	}
	if p := k.private(rec.Private); p.PageURL != "https://board.example.com/?key=LOGIN" || len(p.Push) != 1 || p.Push[0] != "rtmp://push.example.com/live/STREAMKEY" {
		t.Errorf("%d outputs, page %d bytes", len(p.Push), len(p.PageURL))
	}
	if rec.Plan.Page == nil || rec.Plan.Page.Bitrate != 2000 || rec.Plan.Push != 1 || rec.Plan.Streams != session.Both {
		t.Errorf("plan %+v", rec.Plan)
	}
	if log := k.log.String(); strings.Contains(log, "LOGIN") || strings.Contains(log, "STREAMKEY") {
		t.Error("the log tells the secrets of the page")
	}
}

func TestUpdateOfAPage(t *testing.T) {
	k := startPage(t, &node{})
	k.want("pause", k.call("update", `{"webRecordingConfig":{"onhold":true}}`), 200, 0)
	if c := k.last(); c.Kind != ledger.CommandHold || !c.OnHold {
		t.Errorf("%+v", c)
	}
	k.want("resume", k.call("update", `{"webRecordingConfig":{}}`), 200, 0)
	if c := k.last(); c.Kind != ledger.CommandHold || c.OnHold {
		t.Errorf("%+v", c)
	}
	k.want("push", k.call("update", `{"rtmpPublishConfig":{"outputs":[{"rtmpUrl":"rtmps://other.example.com/live/2"}]}}`), 200, 0)
	c := k.last()
	if p := k.private(c.Private); c.Kind != ledger.CommandPush || p.Push[0] != "rtmps://other.example.com/live/2" || p.PageURL == "" {
		t.Errorf("%s with %d outputs", c.Kind, len(p.Push))
	}
	before := len(k.node.commands())
	for what, options := range map[string]string{
		"two outputs":         `{"rtmpPublishConfig":{"outputs":[{"rtmpUrl":"rtmp://a/1"},{"rtmpUrl":"rtmp://a/2"}]}}`,
		"no output":           `{"rtmpPublishConfig":{"outputs":[]}}`,
		"another scheme":      `{"rtmpPublishConfig":{"outputs":[{"rtmpUrl":"http://a/1"}]}}`,
		"a subscription":      someList,
		"nothing":             `{}`,
		"pause as a number":   `{"webRecordingConfig":{"onhold":1}}`,
		"pause and bad store": `{"webRecordingConfig":{"onhold":true},"storageConfig":{"vendor":1}}`,
	} {
		k.want(what, k.call("update", options), 400, 2)
	}
	if n := len(k.node.commands()); n != before {
		t.Errorf("the owner was asked %d times by updates that are refused", n-before)
	}
	k.want("layout", k.call("updateLayout", someLayout), 400, 2)
}

func TestQueryOfAPage(t *testing.T) {
	k := startPage(t, &node{})
	query := func() string {
		r := k.send(http.MethodGet, k.path("query"), "", nil)
		k.want("query", r, 200, 0)
		_, server, _ := strings.Cut(r.raw, `"serverResponse":`)
		return strings.TrimSuffix(server, "}")
	}
	const push = `{"serviceName":"rtmp_publish_service","payload":{"state":"inProgress","outputs":[{"rtmpUrl":"rtmp://push.example.com/live/STREAMKEY","status":"connecting"}]}}`
	if got, want := query(), `{"status":4,"extensionServiceState":[{"serviceName":"web_recorder_service","payload":{"state":"inProgress","onhold":false,"fileList":[]}},`+push+`]}`; got != want {
		t.Errorf("at first\n%s\nwant\n%s", got, want)
	}
	k.change(func(r *ledger.Record) {
		r.Status, r.Push = session.StatusProgress, []string{"publishing"}
		r.Files = []session.File{{Name: "d1/x_0.mp4", StartMilli: 7}}
		page := *r.Plan.Page
		page.OnHold = true
		r.Plan.Page = &page
	})
	want := `{"status":5,"extensionServiceState":[{"serviceName":"web_recorder_service","payload":{"state":"inProgress","onhold":true,"fileList":[{"filename":"x_0.mp4","sliceStartTime":7}]}},` +
		strings.Replace(push, "connecting", "publishing", 1) + `]}`
	if got := query(); got != want {
		t.Errorf("later\n%s\nwant\n%s", got, want)
	}
	r := k.call("stop", `{}`)
	k.want("stop", r, 200, 0)
	for _, part := range []string{`"state":"exit"`, `{"serviceName":"upload_service","payload":{"uploadingStatus":"uploaded"}}`, `"filename":"x_0.mp4"`} {
		if !strings.Contains(r.raw, part) {
			t.Errorf("stop lacks %s: %s", part, r.raw)
		}
	}
}

// Renewing credentials seals them anew, for the same place only.
func TestFreshCredentials(t *testing.T) {
	k := startTask(t, &node{}, "individual", goodOptions)
	storage := func(bucket, key string) string {
		return `{"storageConfig":{"vendor":1,"region":0,"bucket":"` + bucket + `","accessKey":"` + key + `","secretKey":"NEWSECRET","stsToken":"T","stsExpiration":1750018000}}`
	}
	k.want("fresh", k.call("update", storage("rec-bucket", "NEWKEY")), 200, 0)
	var target session.Target
	c := k.last()
	if err := unseal(k.api.Ring, k.sid, c.Storage, &target); err != nil || c.Kind != ledger.CommandStore ||
		target.AccessKey != "NEWKEY" || target.STSToken != "T" || target.STSExpiration != 1750018000 {
		t.Errorf("%s: %v, %v", c.Kind, target, err)
	}
	k.want("another bucket", k.call("update", storage("elsewhere", "NEWKEY")), 400, 2)
	k.want("with a list", k.call("update", `{"streamSubscribe":{"audioUidList":{"subscribeAudioUids":["21"]}},`+storage("rec-bucket", "K3")[1:]), 200, 0)
	all := k.node.commands()
	if n := len(all); all[n-2].Kind != ledger.CommandStore || all[n-1].Kind != ledger.CommandUpdate {
		t.Errorf("the owner was asked %v", all)
	}
	if strings.Contains(k.log.String(), "NEWSECRET") {
		t.Error("the log tells the credentials")
	}
}

// Raw mode answers as individual mode does.
func TestRawMode(t *testing.T) {
	k := startTask(t, &node{}, "raw", goodOptions)
	r := k.query()
	k.want("query", r, 200, 0)
	if !strings.Contains(r.raw, `"serverResponse":{"status":4,"fileListMode":"json","fileList":[],"sliceStartTime":0}`) {
		t.Error(r.raw)
	}
	k.want("another mode", k.send(http.MethodGet, strings.Replace(k.path("query"), "/raw/", "/individual/", 1), "", nil), 400, 2)
	k.want("stop", k.call("stop", `{}`), 200, 0)
}

// What goes beyond the original API is for apps that ask for it.
func TestExtensions(t *testing.T) {
	acc := testAccount("plain", "more")
	acc.Apps[1].Extensions, acc.Apps[1].MaxOutputs = true, 2
	w := newWorld(t, acc)
	w.serve(&node{})
	const options = `{"storageConfig":{"vendor":1,"region":0,"bucket":"b","accessKey":"a","secretKey":"s"},
		"recordingConfig":{"transcodingConfig":{"mixedVideoLayout":100,"tapedeck":{"userLabels":true,"watermark":{"image_url":"https://a/w.png","x_axis":0.9,"y_axis":0,"width":0.1,"height":0.1}}}},
		"extensionServiceConfig":{"extensionServices":[{"serviceName":"rtmp_publish_service","serviceParam":{"outputs":[{"rtmpUrl":"rtmp://a/1"},{"rtmpUrl":"rtmp://a/2"}]}}]}}`
	start := func(app string) (reply, string) {
		resource := w.acquire(app, "lesson-204", "610001", `{}`)
		return w.post(startPath(app, resource, "mix"), options), resource
	}
	r, _ := start("plain")
	w.want("an app without extensions", r, 400, 2)
	r, resource := start("more")
	w.want("an app with extensions", r, 200, 0)
	k := task{w, resource, r.text("sid"), "mix"}
	k.want("pause", w.post(taskPath("more", resource, k.sid, "mix", "update"), `{"webRecordingConfig":{"onhold":true}}`), 200, 0)
	k.want("layout", w.post(taskPath("more", resource, k.sid, "mix", "updateLayout"), `{"mixedVideoLayout":100}`), 200, 0)
	rec, _, err := w.ledger.Get(context.Background(), k.sid)
	if err != nil {
		t.Fatal(err)
	}
	if m := rec.Plan.Mixing; rec.Plan.Push != 2 || m.Layout.Kind != 100 || !m.Labels || m.Watermark == nil || m.Watermark.Alpha != 1 || m.Watermark.X != 0.9 {
		t.Errorf("plan %+v %+v", rec.Plan, rec.Plan.Mixing)
	}
	// The answers keep the shape that clients know.
	if q := w.send("GET", taskPath("more", resource, k.sid, "mix", "query"), "", nil); !strings.Contains(q.raw, `"fileListMode":"string"`) || strings.Contains(q.raw, "extensionService") {
		t.Error(q.raw)
	}
}

// Every line about a call has its request id.
func TestLinesHaveTheRequest(t *testing.T) {
	k := startPage(t, &node{})
	k.want("bad update", k.call("update", `{}`), 400, 2)
	k.want("stop", k.call("stop", `{}`), 200, 0)
	k.want("no task", k.call("stop", `{}`), 404, 404)
	k.send("GET", "/nowhere", "", nil)
	for line := range strings.Lines(k.log.String()) {
		if !strings.Contains(line, "request=") {
			t.Errorf("%s has no request id", line)
		}
	}
}
