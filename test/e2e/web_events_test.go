package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/testkit/client"
	"tapedeck/internal/testkit/rtmp"
	"tapedeck/webhook"
)

// pageSite serves the test pages, and one with a film that is too large.
func pageSite(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	film := filepath.Join(dir, "big.webm")
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=red:s=2560x1440:r=5:d=2", "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", film).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir("../../internal/webpage/testdata")))
	mux.HandleFunc("/big.webm", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, film) })
	mux.HandleFunc("/big", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, `<!doctype html><video src=/big.webm autoplay muted loop width=640></video>`)
	})
	mux.HandleFunc("/around", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, `<!doctype html><script>location.reload()</script>`)
	})
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	return site.URL
}

// pageStopped is what event 71 tells.
type pageStopped struct {
	Code             int
	Message, Details string
	FileList         []struct {
		FileName       string `json:"fileName"`
		Filename       string `json:"filename"`
		SliceStartTime int64
	}
}

// webEvents is a service whose app has an endpoint, and what is sent there.
type webEvents struct {
	*server
	hook *listener
}

// ended waits for the last event of a recording and returns all, each of which
// has to be of a page.
func (s webEvents) ended(t *testing.T, task client.Task) []webhook.Notice {
	t.Helper()
	s.eventually("the last event of "+task.CName, 2*time.Minute, func() bool {
		all := s.hook.of(task.SID)
		return len(all) > 0 && all[len(all)-1].EventType == 11
	})
	all := s.hook.of(task.SID)
	for i, n := range all {
		module := map[int]int{11: 0, 31: 2}
		want, other := module[n.EventType]
		if !other {
			want = 6
		}
		if p := n.Payload; p.ServiceScene != "web_record" || p.ServiceType != want || p.CName != task.CName || p.UID != task.UID || p.Sequence != int64(i) {
			t.Errorf("event %d of %s: %+v", n.EventType, task.CName, n)
		}
		t.Logf("%s: %d %s", task.CName, n.EventType, n.Payload.Details)
	}
	return all
}

// A page that ends by itself is told of with the codes of the documentation, and
// is gone for query.
func TestWebEvents(t *testing.T) {
	binary(t)
	hook := listen(t)
	unused := client.Credentials{LiveKitURL: "ws://127.0.0.1:9", LiveKitKey: "key", LiveKitSecret: strings.Repeat("s", 40)}
	store := t.TempDir()
	s := launch(t, withWebhook(unused, store, hook.URL)+"        max_outputs: 2\n", nil)
	a := webEvents{&server{Client: s.as(appA), t: t, data: s.data, log: s.log, gone: s.gone, cmd: s.cmd}, hook}
	site := pageSite(t)

	ends := []struct {
		name, path string
		ready      int
		events     []int
		code       int
		message    string
	}{
		{"gone", "/no/such/page", 0, []int{71, 11}, 5, "access_url_failed"},
		{"around", "/around", 0, []int{71, 11}, 5, "access_url_failed"},
		{"never-ready", "/still.html", 1, []int{73, 71, 11}, 4, "page_load_timeout"},
		{"big", "/big", 0, []int{70, 72, 71, 31, 11}, 2, "capability_limit"},
	}
	var tasks []client.Task
	for _, c := range ends {
		options := webOptions("b", site+c.path, "")
		param := options["extensionServiceConfig"].(map[string]any)["extensionServices"].([]map[string]any)[0]["serviceParam"].(map[string]any)
		param["readyTimeout"] = c.ready
		tasks = append(tasks, a.beginPage(c.name, options))
	}
	a.push(t, site)
	for i, c := range ends {
		all := a.ended(t, tasks[i])
		if got := types(all); !slices.Equal(got, c.events) {
			t.Errorf("%s: events %v, want %v", c.name, got, c.events)
		}
		stop := only[pageStopped](t, all, 71)
		if len(stop) != 1 || stop[0].Code != c.code || stop[0].Message != c.message || stop[0].Details == "" || (len(stop[0].FileList) > 0) != (c.events[0] == 70) {
			t.Errorf("%s: 71 is %+v", c.name, stop)
		}
		for _, e := range only[struct{ Reason, LimitType string }](t, all, c.events[1]) {
			if c.events[1] == 72 && e.LimitType != "resolution" {
				t.Errorf("%s: 72 is %+v", c.name, e)
			}
		}
		if c.ready > 0 && only[struct{ Reason string }](t, all, 73)[0].Reason != "page_load_timeout" {
			t.Errorf("%s: 73 has another reason", c.name)
		}
		if exit := only[struct{ ExitStatus int }](t, all, 11); (exit[0].ExitStatus == 0) != (c.events[0] == 70) {
			t.Errorf("%s: 11 is %+v", c.name, exit)
		}
		_, err := a.Query(t.Context(), tasks[i])
		refused(t, err, 404, 404)
	}
	s.noWorkers()
}

// push records a page that goes live: an update adds an output to a server that
// does not answer, a pause and its end are told, and the stop has the files.
func (s webEvents) push(t *testing.T, site string) {
	if err := rtmp.Available(); err != nil {
		t.Skip(err)
	}
	server, err := rtmp.New(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer server.Kill()
	good, dead := server.URL("page"), "rtmp://127.0.0.1:1/live/dead"
	task := s.beginPage("live", webOptions("b", site+"/anim.html", good))
	told := func(url, status string) func() bool {
		return func() bool { return slices.Contains(s.hook.statuses(t, task.SID, url), status) }
	}
	s.eventually("the page is live", time.Minute, told(good, "publishing"))
	update := func(request map[string]any) {
		t.Helper()
		if err := s.Update(t.Context(), task, request); err != nil {
			t.Fatal(err)
		}
	}
	update(map[string]any{"rtmpPublishConfig": pushTo(good, dead)})
	s.eventually("the other server does not answer", 30*time.Second, told(dead, "disconnected"))
	s.eventually("the page is recorded", time.Minute, func() bool { return slices.Contains(types(s.hook.of(task.SID)), 70) })
	<-time.After(2 * time.Second)
	update(map[string]any{"webRecordingConfig": map[string]any{"onhold": true}})
	s.eventually("both outputs are on hold", 30*time.Second, func() bool { return told(good, "onhold")() && told(dead, "onhold")() })
	s.eventually("what was recorded before is stored", 30*time.Second, func() bool {
		w := s.page(task)
		return w.Response.Status == session.StatusProgress && len(w.Response.State[0].Payload.Files) > 0
	})
	state, err := s.Query(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"status":5,"extensionServiceState":[{"serviceName":"web_recorder_service","payload":{"state":"inProgress","onhold":true,"fileList":[{"filename":"` + task.SID + `_live.m3u8","sliceStartTime":`,
		`{"serviceName":"rtmp_publish_service","payload":{"state":"inProgress","outputs":[{"rtmpUrl":"` + good + `","status":"onhold"},{"rtmpUrl":"` + dead + `","status":"onhold"}]}}]`,
	} {
		if !strings.Contains(string(state.RawResponse), want) {
			t.Errorf("query says %s, without %s", state.RawResponse, want)
		}
	}
	update(map[string]any{"webRecordingConfig": map[string]any{"onhold": false}})
	s.eventually("it is live again", 30*time.Second, func() bool { return count100(s.hook.statuses(t, task.SID, good), "publishing") == 2 })
	live(t, good)
	state, err = s.Stop(t.Context(), task, false)
	if err != nil {
		t.Fatal(err)
	}
	var end webState
	if err := json.Unmarshal(state.RawResponse, &end); err != nil || len(end.Response.State) != 3 || end.Response.State[0].Payload.State != "exit" || len(end.Response.State[0].Payload.Files) != 2 {
		t.Errorf("stop says %s", state.RawResponse)
	}
	all := s.ended(t, task)
	if got := slices.DeleteFunc(types(all), func(n int) bool { return n == 100 }); !slices.Equal(got, []int{70, 71, 31, 11}) {
		t.Errorf("events %v", got)
	}
	if got := s.hook.statuses(t, task.SID, good); !slices.Equal(got, []string{"connecting", "publishing", "onhold", "publishing"}) {
		t.Errorf("the output is told %q", got)
	}
	if got := s.hook.statuses(t, task.SID, dead); !slices.Equal(got[:min(3, len(got))], []string{"connecting", "disconnected", "onhold"}) {
		t.Errorf("the dead output is told %q", got)
	}
	stop := only[pageStopped](t, all, 71)[0]
	if stop.Code != 0 || stop.Message != "ok" || len(stop.FileList) != 2 || !strings.HasSuffix(stop.FileList[0].FileName, "_live.m3u8") || stop.FileList[1].Filename != stop.FileList[1].FileName {
		t.Errorf("71 is %+v", stop)
	}
}
