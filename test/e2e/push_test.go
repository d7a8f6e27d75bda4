package e2e

import (
	"context"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/testkit/cast"
	"tapedeck/internal/testkit/clips"
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/rtmp"
)

// pushTo is a service that pushes live.
func pushTo(urls ...string) map[string]any {
	var outputs []map[string]any
	for _, u := range urls {
		outputs = append(outputs, map[string]any{"rtmpUrl": u})
	}
	return map[string]any{"outputs": outputs}
}

// statuses are those of events 100 about an output, in order.
func (l *listener) statuses(t *testing.T, sid, url string) (list []string) {
	t.Helper()
	for _, e := range only[struct{ RtmpURL, Status string }](t, l.of(sid), 100) {
		if e.RtmpURL == url {
			list = append(list, e.Status)
		}
	}
	return list
}

// A mix goes live to a server while it is recorded: the server is killed and
// comes back, update sends the stream elsewhere, and the files know nothing of
// it. Every change is told as event 100.
func TestMixPush(t *testing.T) {
	binary(t)
	if err := rtmp.Available(); err != nil {
		t.Skip(err)
	}
	first, err := rtmp.New(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Kill()
	second, err := rtmp.New(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Kill()

	rooms := serve(t)
	hook := listen(t)
	config := withWebhook(rooms.Creds, t.TempDir(), hook.URL) + "        extensions: true\n        max_outputs: 2\n"
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
	options := mixOptions("b", 640, 360, 15)
	options["extensionServiceConfig"] = map[string]any{"extensionServices": []map[string]any{
		{"serviceName": "rtmp_publish_service", "serviceParam": pushTo(first.URL("a"), first.URL("b"))},
	}}
	task := a.begin(session.Mix, "room", "900001", options)
	publishing := func(url string, n int) func() bool {
		return func() bool { return count100(hook.statuses(t, task.SID, url), "publishing") >= n }
	}
	s.eventually("both outputs are live", 30*time.Second, func() bool {
		return publishing(first.URL("a"), 1)() && publishing(first.URL("b"), 1)()
	})
	live(t, first.URL("a"))
	live(t, first.URL("b"))

	first.Kill()
	s.eventually("the outputs are disconnected", 30*time.Second, func() bool {
		return slices.Contains(hook.statuses(t, task.SID, first.URL("a")), "disconnected")
	})
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.eventually("the first output is live again", time.Minute, publishing(first.URL("a"), 2))
	live(t, first.URL("a"))

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := a.Update(ctx, task, map[string]any{"rtmpPublishConfig": pushTo(second.URL("c"))}); err != nil {
		t.Fatal(err)
	}
	s.eventually("it is live elsewhere", 30*time.Second, publishing(second.URL("c"), 1))
	live(t, second.URL("c"))
	end, err := a.Stop(ctx, task, false)
	if err != nil {
		t.Fatal(err)
	}
	s.noWorkers()
	s.eventually("the last event comes", 30*time.Second, func() bool {
		all := hook.of(task.SID)
		return len(all) > 0 && all[len(all)-1].EventType == 11
	})
	if got := hook.statuses(t, task.SID, first.URL("a")); len(got) < 4 ||
		!slices.Equal(got[:3], []string{"connecting", "publishing", "disconnected"}) || got[len(got)-1] != "publishing" {
		t.Errorf("the first output was told %q", got)
	}
	if got := hook.statuses(t, task.SID, second.URL("c")); !slices.Equal(got, []string{"connecting", "publishing"}) {
		t.Errorf("the one of the update was told %q", got)
	}
	if len(end.Files) != 2 {
		t.Errorf("stored: %v", end.Files)
	}
}

func count100(list []string, status string) (n int) {
	for _, s := range list {
		if s == status {
			n++
		}
	}
	return n
}

// live looks at a stream as a viewer: H.264 and AAC that go on.
func live(t *testing.T, url string) {
	t.Helper()
	info, _, err := probe.Inspect(t.Context(), url)
	if err != nil || (info.Codecs() != "h264+aac" && info.Codecs() != "aac+h264") {
		t.Errorf("the live stream: %s, %v", info.Codecs(), err)
	}
}
