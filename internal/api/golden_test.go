package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/account"
	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
)

var (
	errLeaving     = errors.New("leaving")
	errUnreachable = errors.New("no servers available")
	errLate        = fmt.Errorf("ask: %w", context.DeadlineExceeded)
)

// example is one pair of request and answer of spec/examples.json, whose format is
// rest-api.md 15.
type example struct {
	ID       string             `json:"id"`
	Endpoint string             `json:"endpoint"`
	Mode     string             `json:"mode"`
	Method   string             `json:"method"`
	Path     string             `json:"path"`
	Headers  map[string]*string `json:"requestHeaders"`
	Body     json.RawMessage    `json:"requestBody"`
	Raw      string             `json:"requestRaw"`
	Status   int                `json:"status"`
	Want     map[string]any     `json:"responseBody"`
	Dynamic  []string           `json:"dynamic"`
}

func (e example) text() string {
	if e.Raw != "" {
		return e.Raw
	}
	if string(e.Body) == "null" {
		return ""
	}
	return string(e.Body)
}

func TestExamples(t *testing.T) {
	raw, err := os.ReadFile("testdata/examples.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []example
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	l, stop, err := openLedger(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	tried := 0
	for i, e := range all {
		t.Run(e.ID, func(t *testing.T) {
			g := prepare(t, l, fmt.Sprintf("app-%03d", i), e)
			r := g.send(e.Method, g.path(e.Path), e.text(), g.headers())
			g.compare(r)
		})
		tried++
	}
	if tried < 168 {
		t.Errorf("%d examples, there were 168", tried)
	}
}

// golden is the world of one example.
type golden struct {
	*world
	example
	app, resource, sid string
}

// prepare brings about what the example presupposes, by the API itself as far as
// the API can.
func prepare(t *testing.T, l *ledger.Ledger, app string, e example) *golden {
	t.Helper()
	acc := testAccount(app)
	switch e.ID {
	case "acquire-err-app-not-entitled":
		acc.Apps[0].Enabled = false
	case "acquire-err-account-inactive":
		acc.Active = false
	case "gw-rate-limit":
		acc.Rate = 10
	}
	g := &golden{world: worldOn(t, l, acc), example: e, app: app, sid: strings.Repeat("0", 32)}
	n := &node{begin: g.begin, stop: g.stopped}
	g.serve(n)
	switch {
	case e.Endpoint == "start":
		g.resource = g.acquire(app, g.member("cname"), g.uid(), g.acquireOptions())
	case strings.HasPrefix(e.Path, v1) && e.Endpoint != "acquire" && !strings.HasSuffix(e.ID, "-err-not-found"):
		g.startTask()
	case e.Endpoint != "acquire" && e.Endpoint != "ncs-ip":
		g.resource = g.acquire(app, "lesson-204", "610001", `{}`)
	}
	g.precondition()
	return g
}

// member is a text of the request's body.
func (g *golden) member(name string) string {
	var body map[string]any
	if err := json.Unmarshal(g.Body, &body); err != nil {
		g.t.Fatal(err)
	}
	s, _ := body[name].(string)
	if g.ID == "start-err-cname-differs" && name == "cname" {
		return "lesson-204"
	}
	return s
}

func (g *golden) uid() string { return "610001" }

// acquireOptions of the resource that a start uses.
func (g *golden) acquireOptions() string {
	switch {
	case g.ID == "start-err-startParameter-differs":
		return `{"startParameter":{"recordingConfig":{"channelType":0}}}`
	case g.Mode == "web", g.ID == "start-err-scene-mode":
		return `{"scene":1}`
	case g.ID == "start-individual-postponed-transcoding":
		return `{"scene":2}`
	}
	return `{}`
}

// Members of start options for what an example presupposes.
const (
	exampleStorage = `"storageConfig":{"vendor":1,"region":0,"bucket":"rec-bucket","accessKey":"AKIDEXAMPLE","secretKey":"SECRETEXAMPLE","fileNamePrefix":["school","room7"]}`
	examplePage    = `{"serviceName":"web_recorder_service","serviceParam":{"url":"https://board.example.com/room/17","audioProfile":0,"videoWidth":1280,"videoHeight":720,"maxRecordingHour":3%s}}`
	examplePush    = `,{"serviceName":"rtmp_publish_service","serviceParam":{"outputs":[{"rtmpUrl":"rtmp://push.example.com/live/17"}]}}`
)

// startTask starts the recording that the call is about.
func (g *golden) startTask() {
	g.t.Helper()
	mode := g.Mode
	if g.Endpoint == "updateLayout" && mode != "mix" {
		mode = "individual"
	}
	options := []string{exampleStorage}
	server, _ := g.Want["serverResponse"].(map[string]any)
	switch {
	case mode == "web":
		page, push := "", ""
		if g.ID == "query-web-onhold" {
			page = `,"onhold":true`
		}
		if strings.HasSuffix(g.ID, "-rtmp") {
			push = examplePush
		}
		options = append(options, `"extensionServiceConfig":{"extensionServices":[`+fmt.Sprintf(examplePage, page)+push+`]}`)
	case mode == "mix" && server["fileListMode"] == "json":
		options = append(options, `"recordingFileConfig":{"avFileType":["hls","mp4"]}`)
	case strings.HasSuffix(g.ID, "-snapshot"):
		options = append(options, `"snapshotConfig":{"fileType":["jpg"]}`)
	case g.ID == "update-err-kind-excluded":
		options = append(options, `"recordingConfig":{"streamTypes":1}`)
	}
	cname, scene := "lesson-204", `{}`
	if mode == "web" {
		cname, scene = "board-17", `{"scene":1}`
	}
	g.resource = g.acquire(g.app, cname, "610001", scene)
	r := g.send("POST", startPath(g.app, g.resource, mode), envelope(cname, "610001", "{"+strings.Join(options, ",")+"}"), nil)
	g.want("start", r, 200, 0)
	g.sid = r.text("sid")
}

// begin puts the files of the wanted answer into the record.
func (g *golden) begin(r *ledger.Record) {
	server, ok := g.Want["serverResponse"].(map[string]any)
	if !ok {
		return
	}
	switch list := server["fileList"].(type) {
	case string:
		if list != "" {
			r.Files = []session.File{{Name: list}}
		}
	case []any:
		raw, _ := json.Marshal(list)
		if err := json.Unmarshal(raw, &r.Files); err != nil {
			g.t.Error(err)
		}
	}
	if status, ok := server["status"].(float64); ok {
		r.Status = session.Status(status)
	}
	if r.Mode == session.Web && g.ID == "query-web" {
		for _, name := range []string{".m3u8", "_0.mp4"} {
			r.Files = append(r.Files, session.File{Name: "school/room7/" + r.SID + "_board-17" + name, StartMilli: 1750000000000})
		}
	}
	if start, ok := server["sliceStartTime"].(float64); ok {
		r.SliceStart = int64(start)
	}
}

func (g *golden) stopped(r *ledger.Record) {
	if g.ID == "stop-individual-backup" {
		r.Uploading = session.UploadBackuped
	}
	if g.ID == "stop-err-upload-slow" {
		r.State = session.Uploading
	}
}

// precondition is what the words of the example say.
func (g *golden) precondition() {
	switch kind := g.ID[strings.Index(g.ID, "-")+1:]; kind {
	case "err-internal":
		g.forced.count = errUnreachable
	case "err-allocate-timeout":
		g.forced.count = errLate
	case "err-quota":
		g.fillQuota()
	case "err-no-worker":
		g.api.HasNode = func([]string) bool { return false }
		g.forced.place = ledger.ErrNoNode
	case "err-not-completed":
		g.forced.get, g.forced.place = errLate, errLate
	case "err-timeout":
		g.forced.get, g.forced.place = errUnreachable, errUnreachable
	case "rate-limit":
		stopped := time.Unix(1750000000, 0) // one window for all
		g.offset.Store(0)
		g.api.Limiter = account.NewLimiter(g.api.Accounts, g.ledger.Counter(), func() time.Time { return stopped }, slog.New(slog.DiscardHandler))
		for range 10 {
			g.acquire(g.app, "lesson-204", "610001", `{}`)
		}
	case "err-already-started":
		g.send("POST", startPath(g.app, g.resource, "mix"), g.text(), nil)
	case "err-conflict":
		g.record(g.app, "lesson-204", "610001", "mix", goodOptions)
	case "err-resource-expired":
		g.advance(5*time.Minute + time.Second)
	case "err-expired":
		g.advance(72*time.Hour + time.Second)
	case "err-sid-mismatch":
		g.sid = strings.Repeat("0", 32)
	case "err-no-data":
		g.node.code = 435
	case "err-upload-slow":
		g.node.code = 50
	case "err-repeated":
		g.send("POST", g.path(g.Path), envelope("lesson-204", "610001", `{"async_stop":true}`), nil)
	}
}

// fillQuota records as many channels as the app may.
func (g *golden) fillQuota() {
	app, _ := g.api.Accounts.App(g.app)
	for i := range app.Quota {
		g.record(g.app, fmt.Sprintf("room-%d", i), "610001", "mix", goodOptions)
	}
	// The count follows the claims after some milliseconds.
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		if n, err := g.ledger.CountLive(context.Background(), g.app); err != nil || n >= app.Quota {
			return
		}
	}
}

func (g *golden) path(template string) string {
	app := g.app
	if g.ID == "gw-unknown-appid" {
		app = "nobody's"
	}
	return strings.NewReplacer("{appid}", app, "{resourceid}", g.resource, "{sid}", g.sid).Replace(template)
}

func (g *golden) headers() map[string]string {
	h := map[string]string{}
	for name, value := range g.Headers {
		if value != nil {
			h[name] = *value
		} else {
			h[name] = ""
		}
	}
	return h
}

// compare holds the answer against the example's.
func (g *golden) compare(r reply) {
	g.t.Helper()
	if r.status != g.Status {
		g.t.Errorf("status %d, want %d", r.status, g.Status)
	}
	exact := g.Status == 200
	if g.ID == "gw-unknown-appid" || g.Status == 401 || g.Status == 429 {
		exact = true // answers of the gateway have nothing else
	}
	g.compareObject("", r.body, g.Want, exact)
	if g.t.Failed() {
		g.t.Logf("%d %s", r.status, r.raw)
	}
}

func (g *golden) compareObject(at string, got, want map[string]any, exact bool) {
	g.t.Helper()
	for name, w := range want {
		if v, there := got[name]; there {
			g.compareValue(at+"/"+name, v, w, exact)
		} else {
			g.t.Errorf("%s/%s is missing", at, name)
		}
	}
	for name := range got {
		if _, there := want[name]; !there && exact {
			g.t.Errorf("%s/%s is too much", at, name)
		}
	}
}

func (g *golden) compareValue(at string, got, want any, exact bool) {
	g.t.Helper()
	if slices.Contains(g.Dynamic, at) {
		if reflect.TypeOf(got) != reflect.TypeOf(want) {
			g.t.Errorf("%s is %T, want %T", at, got, want)
		}
		return
	}
	if w, ok := want.(map[string]any); ok {
		if v, both := got.(map[string]any); both {
			g.compareObject(at, v, w, exact)
			return
		}
	}
	if w, ok := want.([]any); ok {
		if v, both := got.([]any); both && len(v) == len(w) {
			for i := range w {
				g.compareValue(fmt.Sprintf("%s/%d", at, i), v[i], w[i], exact)
			}
			return
		}
	}
	if !reflect.DeepEqual(got, want) {
		g.t.Errorf("%s is %v, want %v", at, got, want)
	}
}
