// Package webpage opens a web page in a browser of its own and taps its picture
// and its sound: Chromium draws into our compositor (package wayland), plays
// into our sound card (package pulse), runs in a jail (package jail) and reaches
// the network through our proxy only, under the egress policy.
package webpage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"tapedeck/internal/outbound"
	"tapedeck/internal/webpage/jail"
	"tapedeck/internal/webpage/pulse"
)

// Errors of Load. The page's owner has to act on the first two.
var (
	ErrAccess = errors.New("the page cannot be opened")
	ErrSlow   = errors.New("the page does not finish loading")
	ErrBlank  = errors.New("the page never painted a picture")
	ErrGone   = errGone
)

// Trouble says what happened to a page that was loaded.
type Trouble string

// Kinds of trouble.
const (
	Crashed    Trouble = "page_crash"       // its process died: Load it again
	Hung       Trouble = "page_hang"        // it does not answer: Load it again
	Gone       Trouble = "browser_gone"     // the browser died: Open another
	Greedy     Trouble = "page_memory"      // it took too much memory and was ended: Load it again
	Silent     Trouble = "audio_silence"    // its sound vanished: Load it again
	Circling   Trouble = "redirect_loop"    // its documents lead to one another without end
	Resolution Trouble = "limit_resolution" // a video beyond 1920x1080
	WebGL      Trouble = "limit_webgl"      // a canvas is empty for want of it
	Bandwidth  Trouble = "limit_bandwidth"
)

// Config says what is opened and how.
type Config struct {
	URL     string // http or https
	W, H    int    // pixels of the recording, even
	FPS     int
	Mobile  bool   // rendered as on a telephone
	Program string // Chromium; "": found
	UID     int    // user of the browser, when we are root
	Policy  outbound.Policy
	Clock   func() int64                  // the recording's timeline in samples at 48 kHz
	Play    func(at int64, pcm []float32) // takes stereo sound
	Log     *slog.Logger
	Output  io.Writer     // what the browser prints; nil: nothing
	Jail    string        // for tests: forces a level of package jail
	Limit   string        // for tests: jail.Nice does without control groups
	Memory  int64         // bytes the browser may use; 0: 3 GiB
	Beat    time.Duration // between looks at the page; 0: 5 s
	Hung    time.Duration // without an answer to a look: it hangs; 0: 30 s
	Silence time.Duration // without the sound that should be there: it is silent; 0: 40 s
	Paint   time.Duration // from the end of a load to its first picture; 0: 20 s
	Display string        // Wayland or Xvfb; "": the first that works with this browser
	Known   string        // file that remembers which works; "": tried each time
}

func (c Config) scale() int {
	if c.Mobile {
		return 2
	}
	return 1
}

// Page is a browser with one page.
type Page struct {
	Windows Windows
	Sound   *pulse.Server

	cfg    Config
	jail   *jail.Jail
	proxy  *proxy
	dt     *devtools
	cancel context.CancelFunc
	work   sync.WaitGroup

	troubles chan Trouble
	died     chan struct{} // one token: the page's process is gone
	ready    chan struct{} // one token: the page has said that it is ready

	mu      sync.Mutex
	target  string
	session string
	loading *loading
	crashed bool
	reached bool // something was loaded: from here on there is trouble
	hops    hops
}

// CheckURL says why an address cannot be recorded.
func CheckURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("%w: its address is not an absolute http or https URL", ErrAccess)
	}
	return nil
}

// Open starts the browser with an empty page. Close ends it.
func Open(ctx context.Context, cfg Config) (*Page, error) {
	if err := CheckURL(cfg.URL); err != nil {
		return nil, err
	}
	path, err := program(cfg.Program)
	if err != nil {
		return nil, err
	}
	if cfg.Display == "" {
		cfg.Display = choose(ctx, cfg, path)
	}
	return open(ctx, cfg, path)
}

func open(ctx context.Context, cfg Config, path string) (*Page, error) {
	j, err := jail.Start(cfg.jail(path))
	if err != nil {
		return nil, err
	}
	windows, err := cfg.windows(j)
	if err != nil {
		j.Close()
		return nil, err
	}
	p := &Page{
		cfg: cfg, jail: j, proxy: newProxy(cfg.Policy, cfg.Log), dt: &devtools{w: j.In},
		Windows:  windows,
		Sound:    pulse.New(pulse.Config{Clock: cfg.Clock, Play: cfg.Play, Log: cfg.Log}),
		troubles: make(chan Trouble, 8), died: make(chan struct{}, 1), ready: make(chan struct{}, 1),
	}
	p.warn()
	run, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.work.Go(func() { p.Windows.Serve(j.Wayland) })
	p.work.Go(func() { p.Sound.Serve(run, j.Pulse) })
	p.work.Go(func() { p.Sound.Run(run) })
	p.work.Go(func() { p.proxy.serve(j.Proxy) })
	p.work.Go(func() {
		p.dt.listen(j.Out, p.event)
		p.trouble(Gone)
	})
	if err := p.begin(ctx, run); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// warn is loud about every wall that is missing.
func (p *Page) warn() {
	switch p.jail.Level {
	case jail.None:
		p.cfg.Log.Error("WEB PAGES ARE NOT ISOLATED: this machine permits no namespaces (clone of PID, mount and network). The page's browser sees the machine's network and files of other users. Permit user namespaces, or run the worker as root with CAP_SYS_ADMIN")
	case jail.User:
		p.cfg.Log.Info("the browser runs in a user namespace")
	}
	if p.jail.Limit == jail.Nice {
		p.cfg.Log.Warn("no control groups can be made here: the browser has a low priority instead of limits of processor and memory. See docs/ops/web.md")
	}
	if !p.jail.Sandbox {
		p.cfg.Log.Error("CHROMIUM'S SANDBOX IS OFF: this machine permits no user namespaces to ordinary users. A page that breaks the renderer has the browser's user. Permit them (kernel.unprivileged_userns_clone, AppArmor) or install chromium-sandbox")
	}
}

// Display returns where the browser draws: Wayland or Xvfb.
func (p *Page) Display() string { return p.cfg.Display }

// Level returns how well the browser is shut in, and whether its own sandbox is on.
func (p *Page) Level() (level string, sandbox bool) { return p.jail.Level, p.jail.Sandbox }

// Pid returns the browser's process number.
func (p *Page) Pid() int { return p.jail.Pid() }

// Troubles tells what happens to the page.
func (p *Page) Troubles() <-chan Trouble { return p.troubles }

// Ready gets a token when the page calls navigator.notifyReady().
func (p *Page) Ready() <-chan struct{} { return p.ready }

// Refused counts connections that the egress policy or the network refused.
func (p *Page) Refused() int64 { return p.proxy.refused.Load() }

// Kill ends the page's process, as a crash does.
func (p *Page) Kill() { p.dt.tell(p.session, "Page.crash", nil) }

// Close ends the browser and everything that belongs to it.
func (p *Page) Close() {
	p.cancel()
	p.jail.Close()
	p.Windows.Close()
	p.proxy.close()
	p.work.Wait()
}

func (p *Page) trouble(t Trouble) {
	select {
	case p.troubles <- t:
	default: // enough is known
	}
}

// begin waits for the first page and prepares it.
func (p *Page) begin(ctx, run context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := p.dt.call(ctx, "", "Target.setDiscoverTargets", params{"discover": true}, nil); err != nil {
		return err
	}
	_ = p.dt.call(ctx, "", "Browser.setDownloadBehavior", params{"behavior": "deny"}, nil)
	id, err := p.firstPage(ctx)
	if err != nil {
		return err
	}
	var a struct{ SessionID string }
	if err := p.dt.call(ctx, "", "Target.attachToTarget", params{"targetId": id, "flatten": true}, &a); err != nil {
		return err
	}
	p.mu.Lock()
	p.target, p.session = id, a.SessionID
	p.mu.Unlock()
	if err := p.prepare(ctx); err != nil {
		return err
	}
	p.work.Go(func() { p.watch(run) })
	return nil
}

// firstPage waits for the browser's window.
func (p *Page) firstPage(ctx context.Context) (string, error) {
	t := time.NewTicker(30 * time.Millisecond)
	defer t.Stop()
	for {
		var r struct {
			TargetInfos []struct{ TargetID, Type, URL string }
		}
		if err := p.dt.call(ctx, "", "Target.getTargets", nil, &r); err != nil {
			return "", err
		}
		for _, i := range r.TargetInfos {
			if i.Type == "page" && i.URL == startURL {
				return i.TargetID, nil
			}
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("webpage: the browser opens no window: %w", ctx.Err())
		case <-t.C:
		}
	}
}

// prepare sets up the page's session.
func (p *Page) prepare(ctx context.Context) error {
	for _, c := range []struct {
		method string
		p      params
	}{
		{"Page.enable", nil}, {"Runtime.enable", nil}, {"Inspector.enable", nil},
		{"Emulation.setFocusEmulationEnabled", params{"enabled": true}},
		{"Runtime.addBinding", params{"name": "__tapedeckReady"}},
		{"Page.addScriptToEvaluateOnNewDocument", params{"source": guestScript}},
	} {
		if err := p.dt.call(ctx, p.session, c.method, c.p, nil); err != nil {
			return err
		}
	}
	if p.cfg.Mobile {
		return p.mobile(ctx)
	}
	return nil
}

// mobile renders as a telephone with two pixels a point does.
func (p *Page) mobile(ctx context.Context) error {
	w, h := p.cfg.W/2, p.cfg.H/2
	err := p.dt.call(ctx, p.session, "Emulation.setDeviceMetricsOverride", params{
		"width": w, "height": h, "deviceScaleFactor": 2, "mobile": true, "screenWidth": w, "screenHeight": h,
	}, nil)
	var v struct{ UserAgent string }
	err = errors.Join(err, p.dt.call(ctx, "", "Browser.getVersion", nil, &v))
	return errors.Join(err,
		p.dt.call(ctx, p.session, "Emulation.setUserAgentOverride", params{"userAgent": phoneAgent(v.UserAgent), "platform": "Linux armv81"}, nil),
		p.dt.call(ctx, p.session, "Emulation.setTouchEmulationEnabled", params{"enabled": true}, nil))
}

// decode reads the parameters of an event.
func decode[T any](m reply) (v T) {
	_ = json.Unmarshal(m.Params, &v)
	return v
}
