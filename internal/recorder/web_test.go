package recorder

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tapedeck/internal/link"
	"tapedeck/internal/outbound"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/webclock"
	"tapedeck/internal/webpage/jail"
)

func TestMain(m *testing.M) {
	jail.Main()
	os.Exit(m.Run())
}

// webStage records a page of the test server.
type webStage struct {
	t    *testing.T
	out  *Output
	dir  *spool.Dir
	mode *webMode
	srv  *httptest.Server
	end  chan error
	stop context.CancelFunc
}

func webPlan() session.Plan {
	return session.Plan{
		SID: mixSID, CName: "a_b.c", Mode: session.Web, Streams: session.Both, MP4: true, SliceLength: 3 * time.Second,
		Page: &session.Page{AudioProfile: 2, Width: 1280, Height: 720, Bitrate: 2000, FPS: 30, MaxLength: time.Hour, MaxVideo: 2 * time.Hour},
	}
}

func newWebStage(t *testing.T, plan session.Plan, path string) *webStage {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a browser")
	}
	s := &webStage{t: t, end: make(chan error, 1)}
	s.srv = httptest.NewServer(http.FileServer(http.Dir("../webpage/testdata")))
	t.Cleanup(s.srv.Close)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	dir, err := spool.Create(t.TempDir(), plan.SID)
	if err != nil {
		t.Fatal(err)
	}
	if s.out, err = OpenOutput(dir, plan, time.Now, log); err != nil {
		t.Fatal(err)
	}
	s.dir = dir
	t.Cleanup(func() { _ = s.out.Close() })
	settings := Settings{Egress: outbound.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}
	job := link.Job{Plan: plan, Private: &session.Private{PageURL: s.srv.URL + path}}
	if s.mode, err = webOf(job, settings, s.out, log); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.stop = cancel
	go func() { s.end <- s.mode.Run(ctx) }()
	t.Cleanup(cancel)
	return s
}

// rolling waits until the page is recorded.
func (s *webStage) rolling() {
	s.t.Helper()
	select {
	case <-s.mode.ready:
	case err := <-s.end:
		s.t.Fatalf("ended before it began: %v", err)
	case <-time.After(2 * time.Minute):
		s.t.Fatal("the page was never there")
	}
}

// finish stops the recording and returns its MP4s.
func (s *webStage) finish() []string {
	s.t.Helper()
	s.stop()
	if err := <-s.end; err != nil {
		s.t.Errorf("Run: %v", err)
	}
	if err := s.out.Ended(spool.EndStop, true); err != nil {
		s.t.Error(err)
	}
	files, _ := filepath.Glob(filepath.Join(s.dir.Path(), "files", "*.mp4"))
	return files
}

func TestWebClock(t *testing.T) {
	s := newWebStage(t, webPlan(), "/anim.html")
	s.rolling()
	<-time.After(8 * time.Second)
	files := s.finish()
	if len(files) != 1 {
		t.Fatalf("files %v", files)
	}
	if dir := os.Getenv("KEEP"); dir != "" {
		_ = os.Rename(files[0], filepath.Join(dir, "web.mp4"))
		files[0] = filepath.Join(dir, "web.mp4")
		ts, _ := filepath.Glob(filepath.Join(s.dir.Path(), "files", "*"))
		t.Log(ts)
	}
	r, err := webclock.Read(t.Context(), files[0])
	if err != nil {
		t.Fatal(err)
	}
	rate, torn, gap := r.Unique()
	t.Logf("%d frames, %.2f unique/s, %d torn, gap %.0f ms, beeps %d, offset %.1f %v", len(r.Frames), rate, torn, gap, len(r.Beeps), r.Median(), r.Offsets)
}
