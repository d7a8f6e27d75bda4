package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/testkit/cast"
	"tapedeck/internal/testkit/client"
	"tapedeck/internal/testkit/clips"
	"tapedeck/webhook"
)

const hookSecret = "secret of the endpoint"

// listener is an integrator's server.
type listener struct {
	*httptest.Server
	t testing.TB

	mu      sync.Mutex
	notices []webhook.Notice
	down    bool
}

func listen(t testing.TB) *listener {
	l := &listener{t: t}
	l.Server = httptest.NewServer(l)
	t.Cleanup(l.Close)
	return l
}

func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, err := webhook.Read(r, hookSecret)
	if err != nil {
		l.t.Errorf("a webhook that cannot be trusted: %v", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	l.notices = append(l.notices, n)
}

func (l *listener) setDown(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
}

// of returns what was told of a recording.
func (l *listener) of(sid string) []webhook.Notice {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []webhook.Notice
	for _, n := range l.notices {
		if n.Payload.SID == sid {
			out = append(out, n)
		}
	}
	return out
}

// withWebhook is a configuration whose app has an endpoint.
func withWebhook(livekit client.Credentials, store, url string) string {
	return fmt.Sprintf(`
egress: {allow: ["127.0.0.0/8"]}
accounts:
  - customer_id: customer
    secrets: ["sha256:%s"]
    rate: 1000
    apps:
      - id: %s
        livekit: {url: %q, key: %q, secret: %q}
        storage: {endpoints: {"*": %q}}
        webhooks: [{url: %q, secrets: [%q], allow_http: true}]
`, hash("secret"), appA, livekit.LiveKitURL, livekit.LiveKitKey, livekit.LiveKitSecret, "file://"+store, url, hookSecret)
}

// TestWebhooks records a room in both modes at once. The endpoint is down for
// the second half, and the service is killed and started again before it is back.
func TestWebhooks(t *testing.T) {
	rooms := serve(t)
	hook := listen(t)
	store := t.TempDir()
	config := withWebhook(rooms.Creds, store, hook.URL)
	s := launch(t, config, nil)
	people, err := cast.Prepare(t.Context(), clips.Cast()[:2])
	if err != nil {
		t.Fatal(err)
	}
	if err := people.Join(t.Context(), rooms.Creds, "room"); err != nil {
		t.Fatal(err)
	}
	defer people.Leave()
	a := &server{Client: s.as(appA), t: t, data: s.data, log: s.log, gone: s.gone, cmd: s.cmd}
	mix := a.begin(session.Mix, "room", "900001", mixOptions("b", 640, 360, 15))
	individual := a.begin(session.Individual, "room", "900002", individualOptions("b", session.StreamStandard))
	if err := wait(t.Context(), 5*time.Second); err != nil {
		t.Fatal(err)
	}
	hook.setDown(true)
	mixEnd, err := a.Stop(t.Context(), mix, false)
	if err != nil {
		t.Fatal(err)
	}
	individualEnd, err := a.Stop(t.Context(), individual, false)
	if err != nil {
		t.Fatal(err)
	}
	s.noWorkers()
	s.restartKilled(config)
	hook.setDown(false)
	for _, sid := range []string{mix.SID, individual.SID} {
		s.eventually("the last event comes", 30*time.Second, func() bool {
			all := hook.of(sid)
			return len(all) > 0 && all[len(all)-1].EventType == 11
		})
	}
	t.Run("mix", func(t *testing.T) { judgeMixEvents(t, hook.of(mix.SID), mixEnd) })
	t.Run("individual", func(t *testing.T) { judgeIndividualEvents(t, hook.of(individual.SID), individualEnd) })
	s.events("events", "list") // no dead letters
	if out := s.events("events", "hooks"); !strings.Contains(out, appA) {
		t.Errorf("events hooks: %s", out)
	}
	before := len(hook.of(mix.SID))
	s.events("events", "replay", "--sid", mix.SID)
	s.eventually("the mix is told once more", 20*time.Second, func() bool { return len(hook.of(mix.SID)) == 2*before })
}

// restartKilled kills the service and starts another one on the same data.
func (s *server) restartKilled(config string) {
	s.t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGKILL)
	<-s.gone
	next := exec.Command(s.cmd.Path, s.cmd.Args[1:]...)
	log, err := os.OpenFile(s.log, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // the process has its own copy
	next.Stdout, next.Stderr = log, log
	if err := next.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.cmd, s.gone = next, make(chan struct{})
	gone := s.gone
	go func() {
		_ = next.Wait()
		close(gone)
	}()
	s.eventually("the operator's socket is there", 20*time.Second, func() bool {
		out, err := exec.Command(s.cmd.Path, "events", "hooks", "--config", filepath.Join(s.data, "config.yaml"), "--data", s.data).CombinedOutput()
		return err == nil && len(out) > 0
	})
}

// events runs a subcommand of the program on the running service.
func (s *server) events(args ...string) string {
	s.t.Helper()
	args = append(args, "--config", filepath.Join(s.data, "config.yaml"), "--data", s.data)
	out, err := exec.Command(s.cmd.Path, args...).CombinedOutput()
	if err != nil {
		s.t.Errorf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// told is the events of a recording without repetitions, checked for what all
// of them have in common.
func told(t *testing.T, all []webhook.Notice, uid string) []webhook.Notice {
	t.Helper()
	var out []webhook.Notice
	seen := map[string]bool{}
	for _, n := range all {
		if seen[n.NoticeID] {
			continue
		}
		seen[n.NoticeID] = true
		p := n.Payload
		if n.ProductID != 3 || p.Sequence != int64(len(out)) || p.UID != uid || p.CName != "room" || p.ServiceScene != "rtc_record" || n.NotifyMs < p.SendTS {
			t.Errorf("event %d: %+v", len(out), n)
		}
		out = append(out, n)
		t.Logf("%d %d %s", p.Sequence, n.EventType, p.Details)
	}
	return out
}

func types(all []webhook.Notice) []int {
	var out []int
	for _, n := range all {
		out = append(out, n.EventType)
	}
	return out
}

// only returns the events of a type, decoded.
func only[T any](t *testing.T, all []webhook.Notice, eventType int) []T {
	t.Helper()
	var out []T
	for _, n := range all {
		if n.EventType == eventType {
			var d T
			if err := json.Unmarshal(n.Payload.Details, &d); err != nil {
				t.Error(err)
			}
			out = append(out, d)
		}
	}
	return out
}

type (
	sliceStart struct {
		StartUtcMs, DiscontinueUtcMs int64
		MixedAllUser                 bool
		StreamUid, TrackType         string
	}
	streamState struct {
		StreamUid string
		State     int
		UtcMs     int64
	}
	uploaded struct {
		Status   int
		FileList []session.File
	}
)

func judgeMixEvents(t *testing.T, all []webhook.Notice, end client.State) {
	all = told(t, all, "900001")
	got := types(all)
	for want, n := range map[int]int{30: 1, 40: 1, 42: 1, 43: 2, 44: 2, 4: 1, 41: 1, 31: 1, 11: 1} {
		if c := count(got, want); c != n {
			t.Errorf("event %d comes %d times, want %d", want, c, n)
		}
	}
	if !inOrder(got, 30, 40, 42, 41, 31, 11) || !inOrder(got, 4, 31) || len(got) != 11 {
		t.Errorf("the order is %v", got)
	}
	slice := only[sliceStart](t, all, 42)[0]
	if slice.StreamUid != "0" || !slice.MixedAllUser || slice.TrackType != "audio_and_video" || slice.DiscontinueUtcMs != slice.StartUtcMs || slice.StartUtcMs != end.Files[0].StartMilli {
		t.Errorf("42: %+v, stop said %+v", slice, end.Files)
	}
	for _, kind := range []int{43, 44} {
		states := only[streamState](t, all, kind)
		if len(states) != 2 || states[0].State != 0 || states[1].State != 1 || states[0].StreamUid != "0" || states[1].UtcMs-states[0].UtcMs < 4000 {
			t.Errorf("%d: %+v", kind, states)
		}
	}
	up := only[uploaded](t, all, 31)[0]
	if len(up.FileList) != 2 || !strings.HasSuffix(up.FileList[0].Name, "_0.mp4") || !strings.HasSuffix(up.FileList[1].Name, ".m3u8") {
		t.Errorf("31: %+v", up)
	}
	sameFiles(t, up.FileList, end.Files)
	if exit := only[struct{ ExitStatus *int }](t, all, 11)[0]; exit.ExitStatus == nil || *exit.ExitStatus != 0 {
		t.Error("11 says that it failed")
	}
	if leave := only[struct{ LeaveCode int }](t, all, 41)[0]; leave.LeaveCode != 16 {
		t.Errorf("41: %+v", leave)
	}
}

func judgeIndividualEvents(t *testing.T, all []webhook.Notice, end client.State) {
	all = told(t, all, "900002")
	got := types(all)
	if !inOrder(got, 30, 40, 42, 41, 31, 11) || count(got, 4) != 1 || count(got, 11) != 1 {
		t.Errorf("the order is %v", got)
	}
	streams := map[string]bool{}
	for _, s := range only[sliceStart](t, all, 42) {
		if s.MixedAllUser || s.DiscontinueUtcMs != s.StartUtcMs {
			t.Errorf("42: %+v", s)
		}
		streams[s.StreamUid+" "+s.TrackType] = true
	}
	for _, want := range []string{"101 audio", "101 video", "102 audio", "102 video"} {
		if !streams[want] {
			t.Errorf("no 42 for %s: %v", want, streams)
		}
	}
	for _, kind := range []int{43, 44} {
		on := map[string]int{}
		for _, s := range only[streamState](t, all, kind) {
			on[s.StreamUid] += 1 - 2*s.State // 0 is receiving
		}
		if len(on) != 2 || on["101"] != 0 || on["102"] != 0 {
			t.Errorf("%d: %v", kind, on)
		}
	}
	sameFiles(t, only[uploaded](t, all, 31)[0].FileList, end.Files)
	first := only[struct{ FileList string }](t, all, 4)[0].FileList
	if !slices.ContainsFunc(end.Files, func(f session.File) bool { return f.Name == first }) {
		t.Errorf("4 names %s, which is in no list", first)
	}
}

func sameFiles(t *testing.T, got, want []session.File) {
	t.Helper()
	names := func(l []session.File) []session.File {
		l = slices.Clone(l)
		slices.SortFunc(l, func(a, b session.File) int { return strings.Compare(a.Name, b.Name) })
		return l
	}
	if !slices.Equal(names(got), names(want)) {
		t.Errorf("event 31 lists\n%+v, stop\n%+v", got, want)
	}
}

func count(all []int, t int) (n int) {
	for _, x := range all {
		if x == t {
			n++
		}
	}
	return n
}

// inOrder reports whether the first ones of these types come in this order.
func inOrder(all []int, types ...int) bool {
	last := -1
	for _, t := range types {
		i := slices.Index(all, t)
		if i <= last {
			return false
		}
		last = i
	}
	return true
}
