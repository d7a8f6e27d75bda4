package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/testkit/client"
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/rtmp"
	"tapedeck/internal/testkit/webclock"
)

func webOptions(bucket, url, push string) map[string]any {
	services := []map[string]any{{
		"serviceName": "web_recorder_service",
		"serviceParam": map[string]any{
			"url": url, "audioProfile": 1, "videoWidth": 640, "videoHeight": 360, "videoFps": 15, "videoBitrate": 800, "maxRecordingHour": 1,
		},
	}}
	if push != "" {
		services = append(services, map[string]any{
			"serviceName": "rtmp_publish_service", "serviceParam": map[string]any{"outputs": []map[string]any{{"rtmpUrl": push}}},
		})
	}
	return map[string]any{
		"storageConfig":          storage(bucket),
		"recordingFileConfig":    map[string]any{"avFileType": []string{"hls", "mp4"}},
		"extensionServiceConfig": map[string]any{"extensionServices": services},
	}
}

// webState is what query tells of a page.
type webState struct {
	Response struct {
		Status session.Status `json:"status"`
		State  []struct {
			Name    string `json:"serviceName"`
			Payload struct {
				State   string
				Outputs []struct{ Status string }
				Files   []struct{ Filename string } `json:"fileList"`
			}
		} `json:"extensionServiceState"`
	} `json:"serverResponse"`
}

func (s *server) page(task client.Task) (w webState) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_ = wait(ctx, 300*time.Millisecond) // the limit of calls
	state, err := s.Query(ctx, task)
	if err == nil {
		err = json.Unmarshal(state.RawResponse, &w)
	}
	if err != nil {
		s.t.Log("query:", err)
	}
	return w
}

// A page is recorded and pushed live through the API; its worker is killed in
// the middle and another goes on; what is stored has pictures and sound.
func TestWebPage(t *testing.T) {
	binary(t)
	site := httptest.NewServer(http.FileServer(http.Dir("../../internal/webpage/testdata")))
	defer site.Close()
	url := ""
	if rtmp.Available() == nil {
		live, err := rtmp.New(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer live.Kill()
		url = live.URL("page")
	}
	s := serveWith(t, "egress:\n  allow: [127.0.0.0/8]\n")
	task := s.beginPage("page", webOptions("b", site.URL+"/anim.html", url))
	rolling := func() bool {
		w := s.page(task)
		return len(w.Response.State) > 0 && w.Response.State[0].Payload.State == "inProgress"
	}
	s.eventually("the page is recorded", time.Minute, rolling)
	s.eventually("a playlist is there", 2*time.Minute, func() bool {
		w := s.page(task)
		return len(w.Response.State) > 0 && len(w.Response.State[0].Payload.Files) > 0
	})
	if url != "" {
		s.eventually("it is live", time.Minute, func() bool {
			w := s.page(task)
			return len(w.Response.State) > 1 && len(w.Response.State[1].Payload.Outputs) == 1 && w.Response.State[1].Payload.Outputs[0].Status == "publishing"
		})
		if info, _, err := probe.Inspect(t.Context(), url); err != nil || info.Codecs() == "" {
			t.Errorf("the live stream: %v %v", info, err)
		}
	}
	old := workers(s.data)
	if len(old) != 1 {
		t.Fatalf("workers %v", old)
	}
	if err := syscall.Kill(old[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.eventually("another worker goes on", time.Minute, func() bool {
		now := workers(s.data)
		return len(now) == 1 && now[0] != old[0]
	})
	s.eventually("it has pictures", time.Minute, func() bool {
		_, size := largest(t, filepath.Join(s.data, "spool", task.SID, "files"), "*_1.mp4.part")
		return size > 128<<10
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := s.Stop(ctx, task, false); err != nil {
		t.Fatal(err)
	}
	s.noWorkers()
	s.judgePage()
}

// serveWith is serve with settings beside the defaults.
func serveWith(t *testing.T, config string) *server {
	t.Helper()
	s := launch(t, config, nil)
	creds, err := client.ReadCredentials(s.data)
	if err != nil {
		t.Fatal(err)
	}
	s.Creds = creds
	return s
}

// beginPage acquires and starts the recording of a page.
func (s *server) beginPage(name string, options any) client.Task {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	task := client.Task{CName: name, UID: "900001", Mode: session.Web}
	var err error
	if task.ResourceID, err = s.Acquire(ctx, task.CName, task.UID, map[string]any{"scene": 1}); err != nil {
		s.t.Fatal(err)
	}
	if task, err = s.Start(ctx, task, options); err != nil {
		s.t.Fatal(err)
	}
	return task
}

func (s *server) judgePage() {
	s.t.Helper()
	var playlists, films int
	for _, f := range stored(s.t, s.store("b")) {
		switch filepath.Ext(f) {
		case ".m3u8":
			playlists++
			if b, err := os.ReadFile(f); err != nil || !strings.Contains(string(b), "#EXT-X-ENDLIST") {
				s.t.Errorf("%s has no end: %v", filepath.Base(f), err)
			}
		case ".mp4":
			films++
			r, err := webclock.Read(s.t.Context(), f)
			if err != nil {
				s.t.Errorf("%s: %v", filepath.Base(f), err)
				continue
			}
			rate, torn, _ := r.Unique()
			s.t.Logf("%s: %d pictures, %.1f unique/s, %d beeps, %.0f ms late", filepath.Base(f), len(r.Frames), rate, len(r.Beeps), r.Median())
			if torn > 0 || len(r.Frames) < 5 {
				s.t.Errorf("%d pictures, %d torn", len(r.Frames), torn)
			}
		}
	}
	if playlists != 1 || films != 2 {
		s.t.Errorf("%d playlists, %d MP4s stored", playlists, films)
	}
}
