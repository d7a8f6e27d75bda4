package webpage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tapedeck/internal/outbound"
	"tapedeck/internal/webpage/jail"
)

const generous = 2 * time.Minute

func TestMain(m *testing.M) {
	jail.Main()
	if os.Getenv("WEBPAGE_VICTIM") != "" {
		victim()
	}
	os.Exit(m.Run())
}

// site serves testdata on an address that the policy permits, 127.0.0.2, while
// 127.0.0.1 stands for what is forbidden.
func site(t *testing.T, extra http.HandlerFunc) *httptest.Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	files := http.FileServer(http.Dir("testdata"))
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if extra != nil {
			extra(w, r)
		}
		if r.URL.Path != "/redirect" && r.URL.Path != "/done" {
			files.ServeHTTP(w, r)
		}
	})}}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func config(url string, log io.Writer) Config {
	start := time.Now()
	return Config{
		URL: url, W: 1280, H: 720, FPS: 30, UID: 0x40000000 + os.Getpid()%10000,
		Policy: outbound.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}},
		Clock:  func() int64 { return int64(time.Since(start)) * 48 / 1_000_000 },
		Play:   func(int64, []float32) {},
		Log:    slog.New(slog.NewTextHandler(log, nil)), Jail: os.Getenv("WEBPAGE_JAIL"),
	}
}

// show opens a page and ticks it until the test ends.
func show(t *testing.T, cfg Config) *Page {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a browser")
	}
	p, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(time.Second / time.Duration(cfg.FPS))
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.Windows.Tick(mono())
			case <-done:
				return
			}
		}
	}()
	t.Cleanup(func() { close(done); <-stopped; p.Close() })
	return p
}

func mono() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return time.Duration(ts.Nano())
}

// eval runs an expression in the page.
func (p *Page) eval(ctx context.Context, expr string) string {
	var r struct {
		Result struct{ Value json.RawMessage }
	}
	if err := p.dt.call(ctx, p.session, "Runtime.evaluate", params{"expression": expr, "returnByValue": true, "awaitPromise": true}, &r); err != nil {
		return err.Error()
	}
	return string(r.Result.Value)
}

// picture draws what the page shows.
func picture(p *Page, w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	p.Windows.Redraw()
	p.Windows.Draw(func(pix []byte, stride, x, y, w, h int) {
		for j := range h {
			for i := range w {
				s := pix[j*stride+i*4:]
				copy(img.Pix[(y+j)*img.Stride+(x+i)*4:], []byte{s[2], s[1], s[0], 255})
			}
		}
	})
	return img
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(generous)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// A page is painted, moves and sounds; its tab is killed and the page comes
// back; a server that is not there and a missing page are errors.
func TestPageLives(t *testing.T) {
	var frames atomic.Int64
	srv := site(t, nil)
	cfg := config(srv.URL+"/anim.html?ready=50", t.Output())
	cfg.Play = func(_ int64, pcm []float32) { frames.Add(int64(len(pcm) / 2)) }
	p := show(t, cfg)
	if err := p.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Ready():
	case <-time.After(generous):
		t.Error("navigator.notifyReady() was not heard")
	}
	before := p.Windows.Commits()
	until(t, "pictures and sound", func() bool { return p.Windows.Commits() > before+20 && frames.Load() > 24000 })
	img := picture(p, 1280, 720)
	if c := img.RGBAAt(640, 250); c.B < c.G { // the blue ground of the page
		t.Logf("a circle may be there: %v", c)
	}
	white, black := 0, 0
	for x := range 1280 {
		switch c := img.RGBAAt(x, 10); {
		case c.R > 200 && c.G > 200:
			white++
		case c.R < 50 && c.G < 50:
			black++
		}
	}
	if white < 40 || black < 40 || white+black < 1200 {
		t.Errorf("the bar at the top has %d white and %d black pixels", white, black)
	}

	p.dt.tell(p.session, "Page.crash", nil)
	select {
	case tr := <-p.Troubles():
		if tr != Crashed {
			t.Errorf("trouble %s", tr)
		}
	case <-time.After(generous):
		t.Fatal("the crash was not noticed")
	}
	if err := p.Load(t.Context()); err != nil {
		t.Fatalf("after the crash: %v", err)
	}
	p.cfg.URL = srv.URL + "/missing.html"
	if err := p.Load(t.Context()); !errors.Is(err, ErrAccess) || !strings.Contains(err.Error(), "404") {
		t.Errorf("a missing page: %v", err)
	}
	p.cfg.URL = "http://127.0.0.2:1/"
	if err := p.Load(t.Context()); !errors.Is(err, ErrAccess) {
		t.Errorf("no server: %v", err)
	}
	if tr := p.eval(t.Context(), "1"); tr == "" {
		t.Error("the page is gone")
	}
}

// Nothing of this machine is reached, by whatever way a page may try.
func TestNothingIsReached(t *testing.T) {
	var hits sync.Map
	var count atomic.Int64
	vic := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		count.Add(1)
		hits.Store(r.Method+" "+r.Host+r.URL.Path, true)
		w.Header().Set("Access-Control-Allow-Origin", "*")
	}))
	_ = vic.Listener.Close()
	l, err := net.Listen("tcp", ":0") // every address of the machine, both families
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	// The site's own address is permitted: what comes there is no victim.
	vic.Listener = notOn{l, "127.0.0.2"}
	vic.Config.ConnState = func(c net.Conn, s http.ConnState) {
		if s == http.StateNew {
			count.Add(1)
			hits.Store("connection to "+c.LocalAddr().String(), true)
		}
	}
	vic.Start()
	t.Cleanup(vic.Close)
	udp, err := net.ListenPacket("udp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = udp.Close() })
	go func() {
		b := make([]byte, 2048)
		for {
			if _, from, err := udp.ReadFrom(b); err != nil {
				return
			} else if !strings.Contains(from.String(), "self") {
				count.Add(1)
				hits.Store("UDP", true)
			}
		}
	}()
	done := make(chan []byte, 1)
	srv := site(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
		case "/done":
			b, _ := io.ReadAll(r.Body)
			select {
			case done <- b:
			default:
			}
		}
	})
	page := fmt.Sprintf("%s/attack.html?vic=%d&udp=%d", srv.URL, port, udp.LocalAddr().(*net.UDPAddr).Port)
	p := show(t, config(page, io.Discard))
	if err := p.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case b := <-done:
		var r struct {
			Tried int
			Fate  []string
		}
		if err := json.Unmarshal(b, &r); err != nil || r.Tried < 50 || len(r.Fate) != r.Tried {
			t.Errorf("%d ways tried, %d told: %v", r.Tried, len(r.Fate), err)
		}
	case <-time.After(generous):
		t.Fatal("the page did not get through its list")
	}
	if n := count.Load(); n != 0 {
		hits.Range(func(k, _ any) bool { t.Errorf("reached: %v", k); return true })
	}
	if p.Refused() < 20 {
		t.Errorf("only %d connections were refused: the page hardly tried", p.Refused())
	}
	for _, url := range []string{"file:///etc/passwd", "chrome://version", "about:blank", "javascript:1", "//x", ""} {
		if _, err := Open(t.Context(), config(url, io.Discard)); !errors.Is(err, ErrAccess) {
			t.Errorf("%q is opened: %v", url, err)
		}
	}
}

// notOn turns away connections to one address.
type notOn struct {
	net.Listener
	ip string
}

func (l notOn) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || !strings.HasPrefix(c.LocalAddr().String(), l.ip) {
			return c, err
		}
		_ = c.Close()
	}
}

// victim opens a page and waits to be killed.
func victim() {
	cfg := config(os.Getenv("WEBPAGE_VICTIM"), io.Discard)
	cfg.Display = os.Getenv("WEBPAGE_DISPLAY")
	p, err := Open(context.Background(), cfg)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println(p.Pid())
	select {}
}

// leftovers lists what a browser may leave behind on the machine.
func leftovers() string {
	a, _ := filepath.Glob(filepath.Join(os.TempDir(), "tapedeck-web-*"))
	b, _ := filepath.Glob("/dev/shm/*hromium*")
	c, _ := filepath.Glob("/dev/shm/pulse*")
	d, _ := filepath.Glob("/tmp/.X11-unix/X*")
	return strings.Join(slices.Concat(a, b, c, d), " ")
}

func alive(pids []int) (left []int) {
	for _, pid := range pids {
		if b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err == nil && !bytes.Contains(b, []byte(") Z ")) {
			left = append(left, pid)
		}
	}
	return left
}

// Nothing is left of a browser, whether it is closed or everything above it is
// killed.
func TestNothingIsLeft(t *testing.T) {
	srv := site(t, nil)
	before := leftovers()
	p := show(t, config(srv.URL+"/still.html", io.Discard))
	if err := p.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	pids := descendants(p.Pid())
	if len(pids) < 4 {
		t.Errorf("a browser of %d processes", len(pids))
	}
	p.jail.Close()
	until(t, "closed", func() bool { return len(alive(pids)) == 0 })

	for _, display := range []string{Wayland, Xvfb} {
		if display == Xvfb {
			needsXvfb(t)
		}
		killed(t, srv.URL, display)
	}
	if after := leftovers(); after != before {
		t.Errorf("left behind: %s", after)
	}
}

// killed opens a page in another process, kills that, and looks for what is left.
func killed(t *testing.T, url, display string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "WEBPAGE_VICTIM="+url+"/still.html", "WEBPAGE_DISPLAY="+display)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	pids := descendants(pid)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	until(t, "killed with its parent", func() bool { return len(alive(pids)) == 0 })
	// The kernel does not take away an empty control group: the next browser does.
	next := show(t, config(url+"/still.html", io.Discard))
	next.jail.Close()
	if g := groups(cmd.Process.Pid); g != "" {
		t.Errorf("control groups left behind: %s", g)
	}
}
