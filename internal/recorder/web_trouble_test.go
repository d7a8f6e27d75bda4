package recorder

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/webclock"
	"tapedeck/internal/webpage"
)

// hangs is a page that moves; the first time it is loaded its script stops
// answering after three seconds.
func hangs() http.HandlerFunc {
	var loads atomic.Int64
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<!doctype html><h1 id=h></h1><script>(function draw() { h.textContent = Date.now(); requestAnimationFrame(draw) })();
			if (%t) setTimeout(() => { for (;;); }, 3000)</script>`, loads.Add(1) == 1)
	}
}

// A page that hangs is loaded again, event 73 is told of, and the recording goes
// on: its file is as long as it took, and the gap is in the journal.
func TestWebHang(t *testing.T) {
	plan := webPlan()
	s := tunedWebStage(t, plan, "/hangs", map[string]http.HandlerFunc{"/hangs": hangs()}, func(c *webpage.Config) {
		c.Beat, c.Hung = 500*time.Millisecond, 3*time.Second
	})
	s.rolling()
	from := time.Now()
	gap := func() *spool.Fact {
		for _, f := range s.facts() {
			if f.Type == spool.FactGap {
				return &f
			}
		}
		return nil
	}
	for deadline := time.Now().Add(2 * time.Minute); gap() == nil && time.Now().Before(deadline); {
		<-time.After(100 * time.Millisecond)
	}
	<-time.After(2 * time.Second)
	files := s.finish()
	took := time.Since(from)
	if want := []string{"started", "reload page_hang"}; !slices.Equal(s.noted(), want) {
		t.Errorf("noted %q, want %q", s.noted(), want)
	}
	if g := gap(); g == nil || g.DurMicro <= 0 {
		t.Errorf("the gap: %+v", g)
	}
	if len(files) != 1 {
		t.Fatalf("files %v", files)
	}
	info, _, _, err := probe.Scan(t.Context(), files[0])
	if err != nil {
		t.Fatal(err)
	}
	if d := took - info.Duration; d < -2*time.Second || d > 2*time.Second {
		t.Errorf("recorded for %v, the file has %v", took, info.Duration)
	}
}

// A recording that begins on hold opens its page and writes nothing until it is
// let go. A browser that is killed later is started anew, and event 73 told of.
// All the while another MP4 begins after maxVideoDuration, where the last ends.
func TestWebGone(t *testing.T) {
	plan := webPlan()
	plan.Page.OnHold, plan.Page.MaxVideo = true, 4*time.Second
	s := newWebStage(t, plan, "/anim.html")
	s.rolling()
	<-time.After(2 * time.Second)
	if s.mode.Recorded() {
		t.Error("it is on hold and was recorded")
	}
	s.mode.Hold(false)
	<-time.After(2 * time.Second)
	b, ok := s.mode.current().(browser)
	if !ok {
		t.Fatalf("the recording ended: %v", <-s.end)
	}
	if err := syscall.Kill(b.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	gap := func(f spool.Fact) bool { return f.Type == spool.FactGap }
	for deadline := time.Now().Add(2 * time.Minute); !slices.ContainsFunc(s.facts(), gap) && time.Now().Before(deadline); {
		<-time.After(100 * time.Millisecond)
	}
	<-time.After(4 * time.Second) // long enough for another MP4
	if films := s.finish(); len(films) < 2 {
		t.Errorf("MP4s %v", films)
	}
	judgeSplit(t, s)
	if want := []string{"started", "resumed", "reload browser_gone"}; !slices.Equal(s.noted(), want) {
		t.Errorf("noted %q, want %q", s.noted(), want)
	}
	if !slices.ContainsFunc(s.facts(), gap) || !s.mode.Recorded() {
		t.Error("no gap, or nothing recorded")
	}
	r, err := webclock.Read(t.Context(), filepath.Join(s.dir.Path(), "files", mixSID+"_a-b-c.m3u8"))
	if err != nil {
		t.Fatal(err)
	}
	last := r.Frames[len(r.Frames)-1]
	if _, torn, _ := r.Unique(); torn > 0 || !last.OK || last.At < 3 || len(r.Beeps) < 2 {
		t.Errorf("%d pictures, %d torn, the last at %.1f s: %+v, %d beeps", len(r.Frames), torn, last.At, last, len(r.Beeps))
	}
}

// judgeSplit looks at MP4s of four seconds: each begins where the one before ends.
func judgeSplit(t *testing.T, s *webStage) {
	t.Helper()
	films := slices.DeleteFunc(s.facts(), func(f spool.Fact) bool { return f.Type != spool.FactClosed || f.Kind != spool.KindMP4 })
	var end time.Duration
	for i, f := range films {
		info, _, _, err := probe.Scan(t.Context(), filepath.Join(s.dir.Path(), "files", f.Name))
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Duration(f.StartMicro) * time.Microsecond
		if want := fmt.Sprintf("%s_a-b-c_%d.mp4", mixSID, i); f.Name != want || i > 0 && (begin-end).Abs() > 200*time.Millisecond {
			t.Errorf("%s begins at %v, the one before ends at %v; want %s", f.Name, begin, end, want)
		}
		if d := info.Duration; i < len(films)-1 && (d < 4*time.Second || d > 8*time.Second) {
			t.Errorf("%s is %v long", f.Name, d)
		}
		end = begin + info.Duration
	}
}

// A page that never paints is never recorded: the browser is started a second
// time, then the recording ends with its reason.
func TestWebBlank(t *testing.T) {
	blank := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, `<!doctype html><script>addEventListener('load', () => setTimeout(() => { for (;;); }))</script>`)
	}
	s := tunedWebStage(t, webPlan(), "/blank", map[string]http.HandlerFunc{"/blank": blank}, func(c *webpage.Config) { c.Paint = 2 * time.Second })
	select {
	case err := <-s.end:
		if faultReason(err) != spool.EndEngine {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("it goes on and on")
	}
	if s.mode.Recorded() || len(s.noted()) > 0 {
		t.Errorf("recorded %v, noted %q", s.mode.Recorded(), s.noted())
	}
}

// A browser that draws into Xvfb is recorded as well: the clock of the page
// moves, sound is with it, and the journal tells the operator.
func TestWebXvfb(t *testing.T) {
	if _, err := exec.LookPath("Xvfb"); err != nil {
		t.Skip(err)
	}
	plan := webPlan()
	plan.MP4 = false
	s := tunedWebStage(t, plan, "/anim.html", nil, func(c *webpage.Config) { c.Display = webpage.Xvfb })
	s.rolling()
	<-time.After(6 * time.Second)
	files := s.finish()
	if want := []string{"display xvfb", "started"}; !slices.Equal(s.noted(), want) {
		t.Errorf("noted %q, want %q", s.noted(), want)
	}
	if len(files) != 0 {
		t.Errorf("MP4s that nobody asked for: %v", files)
	}
	r, err := webclock.Read(t.Context(), filepath.Join(s.dir.Path(), "files", mixSID+"_a-b-c.m3u8"))
	if err != nil {
		t.Fatal(err)
	}
	rate, torn, gap := r.Unique()
	t.Logf("%d frames, %.2f unique/s, %d torn, longest gap %.0f ms, offset of beeps %.1f ms of %v", len(r.Frames), rate, torn, gap, r.Median(), r.Offsets)
	if rate < 5 || torn > len(r.Frames)/4 || len(r.Beeps) < 2 {
		t.Errorf("%d pictures, %.2f unique a second, %d torn, %d beeps", len(r.Frames), rate, torn, len(r.Beeps))
	}
}
