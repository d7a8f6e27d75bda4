package recorder

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/testkit/webclock"
)

// treeCPU returns the processor time of a process and all it started, in seconds.
func treeCPU(pids ...int) (sum float64) {
	for _, pid := range pids {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			continue
		}
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		for _, i := range []int{11, 12} { // utime, stime; the living are counted one by one
			n, _ := strconv.ParseFloat(f[i], 64)
			sum += n / 100
		}
		tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
		for _, t := range tasks {
			kids, _ := os.ReadFile(t)
			for _, k := range strings.Fields(string(kids)) {
				if n, err := strconv.Atoi(k); err == nil {
					sum += treeCPU(n)
				}
			}
		}
	}
	return sum
}

const benchSpan = 10 * time.Second

// TestWebCost compares the processor time of a second of recording with that of
// the usual way: Xvfb, x11grab, PulseAudio and ffmpeg, at equal settings of the
// encoder. Packages xvfb, pulseaudio and pulseaudio-utils are needed.
func TestWebCost(t *testing.T) {
	if os.Getenv("TAPEDECK_TEST_LONG") == "" {
		t.Skip("a benchmark: TAPEDECK_TEST_LONG=1")
	}
	t.Setenv("TAPEDECK_TEST_CLIPS", clockClip(t, 40))
	for _, page := range []string{"anim", "clip", "slides"} {
		t.Run(page, func(t *testing.T) { webCost(t, page) })
	}
}

func webCost(t *testing.T, page string) {
	var ours, theirs, ourRates, theirRates []float64
	for round := range 3 {
		cores, rate := usual(t, page, round)
		theirs, theirRates = append(theirs, cores), append(theirRates, rate)
		cores, rate = own(t, page, round)
		ours, ourRates = append(ours, cores), append(ourRates, rate)
	}
	a, b := middle(theirs), middle(ours)
	t.Logf("%-7s usual %.3f cores %.3f, ours %.3f %.3f, ratio %.2f", page, a, theirs, b, ours, b/a)
	if page == "slides" {
		return // nothing moves
	}
	x, y := middle(theirRates), middle(ourRates)
	t.Logf("%-7s unique pictures a second: usual %.2f %.2f, ours %.2f %.2f; one costs %.1f and %.1f ms, ratio %.2f",
		page, x, theirRates, y, ourRates, 1000*a/x, 1000*b/y, b/y*x/a)
}

// middle is the median: on a busy machine the cheapest run is one that lost
// pictures.
func middle(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

// rate counts the different pictures that a playlist holds for each second of it.
func rate(t *testing.T, page, list string) float64 {
	t.Helper()
	if page == "slides" {
		return 0
	}
	r, err := webclock.Read(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	unique, torn, gap := r.Unique()
	t.Logf("%d pictures, %.2f different ones a second, %d torn, longest gap %.0f ms, sound %.1f ms late", len(r.Frames), unique, torn, gap, r.Median())
	return unique
}

// own returns the processor time of a second of our recording, and how many
// different pictures it holds.
func own(t *testing.T, page string, round int) (cores, unique float64) {
	t.Run("ours-"+strconv.Itoa(round), func(t *testing.T) {
		plan := webPlan()
		plan.MP4, plan.Page.AudioProfile = false, 1
		s := newWebStage(t, plan, "/"+page+".html")
		threads, done := context.WithCancel(t.Context())
		defer done()
		go oneThread(threads) // as a worker does
		s.rolling()
		<-time.After(2 * time.Second)
		before, at := treeCPU(os.Getpid()), time.Now()
		<-time.After(benchSpan)
		cores = (treeCPU(os.Getpid()) - before) / time.Since(at).Seconds()
		s.finish()
		unique = rate(t, page, filepath.Join(s.dir.Path(), "files", mixSID+"_a-b-c.m3u8"))
	})
	return cores, unique
}

// usual is own for the way most recorders of pages go.
func usual(t *testing.T, page string, round int) (cores, unique float64) {
	t.Run("usual-"+strconv.Itoa(round), func(t *testing.T) {
		files, clip := http.FileServer(http.Dir("../webpage/testdata")), http.FileServer(http.Dir(os.Getenv("TAPEDECK_TEST_CLIPS")))
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, ".webm") {
				clip.ServeHTTP(w, r)
				return
			}
			files.ServeHTTP(w, r)
		}))
		defer srv.Close()
		dir := t.TempDir()
		display := fmt.Sprintf(":%d", 300+os.Getpid()%500)
		var pids []int
		run := func(env []string, name string, args ...string) *exec.Cmd {
			cmd := exec.Command(name, args...)
			cmd.Env = append(append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR="+dir, "PULSE_SERVER=unix:"+dir+"/pulse.sock"), env...)
			if err := cmd.Start(); err != nil {
				t.Skipf("%s: %v", name, err)
			}
			pids = append(pids, cmd.Process.Pid)
			t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
			return cmd
		}
		run(nil, "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
			"-L", "module-native-protocol-unix socket="+dir+"/pulse.sock auth-anonymous=1", "-L", "module-null-sink sink_name=rec rate=48000")
		run(nil, "Xvfb", display, "-screen", "0", "1280x720x24", "-nolisten", "tcp", "-ac")
		<-time.After(2 * time.Second)
		run([]string{"DISPLAY=" + display, "PULSE_SINK=rec"}, "/usr/lib/chromium/chromium", "--no-sandbox", "--kiosk", "--disable-gpu",
			"--ozone-platform=x11", "--no-first-run", "--autoplay-policy=no-user-gesture-required", "--disable-background-networking",
			"--window-size=1280,720", "--window-position=0,0", "--user-data-dir="+dir+"/profile", srv.URL+"/"+page+".html")
		<-time.After(4 * time.Second)
		ffmpeg := run(nil, "ffmpeg", "-v", "error", "-y", "-thread_queue_size", "512", "-f", "x11grab", "-draw_mouse", "0", "-framerate", "30", "-video_size", "1280x720", "-i", display,
			"-thread_queue_size", "512", "-f", "pulse", "-i", "rec.monitor", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "superfast", "-threads", "1", "-bf", "0",
			"-b:v", "2000k", "-maxrate", "2000k", "-bufsize", "4000k", "-g", "150", "-x264-params", "rc-lookahead=0:mbtree=0:scenecut=0:weightp=0:force-cfr=1",
			"-c:a", "aac", "-b:a", "128k", "-ac", "1", "-ar", "48000", "-f", "hls", "-hls_time", "3", "-hls_list_size", "0", dir+"/out.m3u8")
		<-time.After(3 * time.Second)
		before, at := treeCPU(pids...), time.Now()
		<-time.After(benchSpan)
		cores = (treeCPU(pids...) - before) / time.Since(at).Seconds()
		_ = ffmpeg.Process.Signal(os.Interrupt) // it ends its playlist
		_ = ffmpeg.Wait()
		unique = rate(t, page, dir+"/out.m3u8")
	})
	return cores, unique
}
