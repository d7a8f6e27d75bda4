package recorder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/link"
	"tapedeck/internal/outbound"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/webclock"
	"tapedeck/internal/webpage"
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
	return tunedWebStage(t, plan, path, nil, func(*webpage.Config) {})
}

// tunedWebStage is newWebStage with settings of the browser changed, and pages
// beside those of the test server.
func tunedWebStage(t *testing.T, plan session.Plan, path string, pages map[string]http.HandlerFunc, tune func(*webpage.Config)) *webStage {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a browser")
	}
	s := &webStage{t: t, end: make(chan error, 1)}
	files, clip := http.FileServer(http.Dir("../webpage/testdata")), http.FileServer(http.Dir(os.Getenv("TAPEDECK_TEST_CLIPS")))
	s.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := pages[r.URL.Path]; h != nil {
			h(w, r)
			return
		}
		if strings.HasSuffix(r.URL.Path, ".webm") {
			clip.ServeHTTP(w, r)
			return
		}
		files.ServeHTTP(w, r)
	}))
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
	s.mode.open = func(ctx context.Context, cfg webpage.Config) (tab, error) {
		tune(&cfg)
		return openBrowser(ctx, cfg)
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

// facts reads the journal.
func (s *webStage) facts() []spool.Fact {
	s.t.Helper()
	facts, _, err := s.dir.ReadJournal(0)
	if err != nil {
		s.t.Fatal(err)
	}
	return facts
}

// noted lists the page facts as "note reason".
func (s *webStage) noted() (notes []string) {
	for _, f := range s.facts() {
		if f.Type == spool.FactPage {
			notes = append(notes, strings.TrimSpace(f.Note+" "+f.Reason))
		}
	}
	return notes
}

// One life of a page: recorded, on hold, recorded again, its tab killed and
// loaded again. All of it is one MP4 without the pause, one playlist with it.
func TestWebLife(t *testing.T) {
	s := newWebStage(t, webPlan(), "/anim.html")
	s.rolling()
	span := func(d time.Duration) { <-time.After(d) }
	span(3 * time.Second)
	s.mode.Hold(true)
	span(5 * time.Second)
	s.mode.Hold(false)
	span(3 * time.Second)
	b, ok := s.mode.current().(browser)
	if !ok {
		t.Fatalf("the recording ended: %v", <-s.end)
	}
	b.Kill()
	deadline := time.Now().Add(2 * time.Minute)
	for !slices.ContainsFunc(s.facts(), func(f spool.Fact) bool { return f.Type == spool.FactGap }) && time.Now().Before(deadline) {
		span(100 * time.Millisecond)
	}
	span(time.Second)
	files := s.finish()
	if len(files) != 1 {
		t.Fatalf("files %v", files)
	}
	if want := []string{"started", "onhold", "resumed", "reload page_crash"}; !slices.Equal(s.noted(), want) {
		t.Errorf("noted %q", s.noted())
	}
	list, err := os.ReadFile(filepath.Join(s.dir.Path(), "files", mixSID+"_a-b-c.m3u8"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(list), "#EXT-X-DISCONTINUITY\n"); n != 2 || !strings.Contains(string(list), "#EXT-X-ENDLIST") {
		t.Errorf("%d discontinuities in\n%s", n, list)
	}
	keep(t, files[0])
	r, err := webclock.Read(t.Context(), files[0])
	if err != nil {
		t.Fatal(err)
	}
	rate, torn, gap := r.Unique()
	t.Logf("%d frames, %.2f unique/s, %d torn, longest gap %.0f ms, offset of beeps %.1f ms of %v", len(r.Frames), rate, torn, gap, r.Median(), r.Offsets)
	// The pause of five seconds is in the page's clock, and not in the file.
	jump := 0.0
	for i := 1; i < len(r.Frames); i++ {
		a, b := r.Frames[i-1], r.Frames[i]
		if a.OK && b.OK {
			jump = max(jump, float64(b.Clock-a.Clock)/1000-(b.At-a.At))
		}
	}
	if jump < 4 || jump > 8 {
		t.Errorf("the pause took %.1f s out of the file, want about 5", jump)
	}
	if torn > 0 || len(r.Beeps) < 3 || r.Peak < 0.3 || len(r.Frames) < 25 {
		t.Errorf("%d pictures, %d torn, %d beeps, peak %.2f", len(r.Frames), torn, len(r.Beeps), r.Peak)
	}
	for _, ts := range slicesOf(t, s) {
		if err := probe.Clean(t.Context(), ts); err != nil {
			t.Errorf("%s: %v", filepath.Base(ts), err)
		}
	}
}

func slicesOf(t *testing.T, s *webStage) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(s.dir.Path(), "files", "*.ts"))
	if err != nil || len(list) < 3 {
		t.Fatalf("slices %v, %v", list, err)
	}
	return list
}

// keep copies a file to where somebody wants to look at it.
func keep(t *testing.T, path string) {
	t.Helper()
	dir := os.Getenv("TAPEDECK_TEST_KEEP")
	if dir == "" {
		return
	}
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, filepath.Base(t.Name())+filepath.Ext(path)), b, 0o644)
	}
	if err != nil {
		t.Error(err)
	}
}

// scripted is a page with a script.
func scripted(script string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, "<!doctype html><body><h1>a page</h1><script>%s</script>", script)
	}
}

// A page that never says it is ready is loaded twice and given up; one that is
// not there, that leads around in a circle, or that needs what is not recorded,
// ends the recording with its reason. What was never there is not written.
func TestWebRefusals(t *testing.T) {
	ready := webPlan()
	ready.Page.ReadyTimeout = time.Second
	for _, c := range []struct {
		name, path, reason string
		plan               session.Plan
		notes              []string
	}{
		{"not ready", "/anim.html", spool.EndPageReady, ready, []string{"reload page_load_timeout"}},
		{"missing", "/missing.html", spool.EndPageAccess, webPlan(), nil},
		{"circling", "/later", spool.EndPageAccess, webPlan(), []string{"started"}},
		{"WebGL", "/gl", spool.EndCapability, webPlan(), []string{"started", "limit WebGL"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := tunedWebStage(t, c.plan, c.path, map[string]http.HandlerFunc{
				"/later": scripted(`setTimeout(() => location.reload(), 600)`),
				"/gl":    scripted(`const c = document.createElement('canvas'); document.body.append(c); c.getContext('webgl2')`),
			}, func(c *webpage.Config) { c.Beat = 500 * time.Millisecond })
			select {
			case err := <-s.end:
				var end *webEnd
				if !errors.As(err, &end) || end.reason != c.reason || faultReason(err) != c.reason {
					t.Errorf("ended with %v", err)
				}
			case <-time.After(3 * time.Minute):
				t.Fatal("it goes on and on")
			}
			if !slices.Equal(s.noted(), c.notes) || s.mode.Recorded() != slices.Contains(c.notes, "started") {
				t.Errorf("noted %q, recorded %v", s.noted(), s.mode.Recorded())
			}
		})
	}
}

// A page that stands still costs a picture a second; the time is up when
// maxRecordingHour says so.
func TestWebStill(t *testing.T) {
	plan := webPlan()
	plan.Page.MaxLength = 10 * time.Second
	plan.Page.AudioProfile = 0
	s := newWebStage(t, plan, "/still.html")
	s.rolling()
	select {
	case err := <-s.end:
		if faultReason(err) != spool.EndMaxLength {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("the time is never up")
	}
	files, _ := filepath.Glob(filepath.Join(s.dir.Path(), "files", "*.mp4"))
	if len(files) != 1 {
		t.Fatalf("files %v", files)
	}
	keep(t, files[0])
	info, packets, _, err := probe.Scan(t.Context(), files[0])
	if err != nil {
		t.Fatal(err)
	}
	pictures := 0
	for _, p := range packets {
		if p.Type == "video" {
			pictures++
		}
	}
	if seconds := info.Duration.Seconds(); seconds < 1 || float64(pictures) > 2*seconds+12 {
		t.Errorf("%d pictures in %.1f s", pictures, seconds)
	}
}

// What issue 8 asks for on an idle machine: at least 29.5 unique frames a
// second, beeps within 40 ms, no drift.
func TestWebClockLong(t *testing.T) {
	if os.Getenv("TAPEDECK_TEST_LONG") == "" {
		t.Skip("needs an idle machine: TAPEDECK_TEST_LONG=1")
	}
	length := 20 * time.Second
	if d, err := time.ParseDuration(os.Getenv("TAPEDECK_TEST_SPAN")); err == nil {
		length = d
	}
	t.Setenv("TAPEDECK_TEST_CLIPS", clockClip(t, int(length.Seconds())+30))
	for _, page := range []string{"anim", "clip"} {
		t.Run(page, func(t *testing.T) {
			plan := webPlan()
			plan.SliceLength = 15 * time.Second
			s := newWebStage(t, plan, "/"+page+".html")
			s.rolling()
			<-time.After(length)
			files := s.finish()
			keep(t, files[0])
			r, err := webclock.Read(t.Context(), files[0])
			if err != nil {
				t.Fatal(err)
			}
			rate, torn, gap := r.Unique()
			t.Logf("%d frames, %.2f unique/s, %d torn, longest gap %.0f ms, beeps %d, offset %.1f ms: %.1f", len(r.Frames), rate, torn, gap, len(r.Beeps), r.Median(), r.Offsets)
			if rate < 29.5 || torn > 0 {
				t.Errorf("%.2f unique frames a second, %d torn", rate, torn)
			}
			if m := r.Median(); math.Abs(m) > 40 {
				t.Errorf("beeps are %.1f ms late", m)
			}
			if n := len(r.Offsets); n > 4 && math.Abs(r.Offsets[1]-r.Offsets[n-2]) > 20 {
				t.Errorf("beeps drift from %.1f to %.1f ms", r.Offsets[1], r.Offsets[n-2])
			}
		})
	}
}

// clockClip makes a film of the clock: 30 pictures a second with the bars, and a
// beep at every second.
func clockClip(t *testing.T, seconds int) string {
	t.Helper()
	const w, h, fps = 640, 360, 30
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-y",
		"-f", "rawvideo", "-pix_fmt", "gray", "-s", "640x360", "-r", "30", "-i", "-",
		"-f", "lavfi", "-i", `aevalsrc=0.5*sin(2*PI*1000*t)*lt(mod(t\,1)\,0.06):s=48000:d=`+strconv.Itoa(seconds),
		"-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "1500k", "-pix_fmt", "yuv420p", "-g", "60",
		"-c:a", "libopus", "-b:a", "64k", filepath.Join(dir, "clock.webm"))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pic := make([]byte, w*h)
	for n := range seconds * fps {
		ms := n * 1000 / fps
		v := uint32(ms)<<8 | uint32(0x5a^byte(ms)^byte(ms>>8)^byte(ms>>16))
		for y := range h {
			for x := range w {
				g := byte((x + y + n*7) & 127)
				if y < 24 || y >= h-24 {
					if g = 0; v>>(31-x*32/w)&1 == 1 {
						g = 255
					}
				}
				pic[y*w+x] = g
			}
		}
		if _, err := in.Write(pic); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
		t.Fatal(err)
	}
	return dir
}
