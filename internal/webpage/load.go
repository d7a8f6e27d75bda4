package webpage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"time"
)

// How long a page may take. A page whose pictures never end to arrive is
// recorded all the same once its document is complete.
const (
	loadTime  = 40 * time.Second
	grace     = 10 * time.Second // from the document to its last picture
	paintTime = 20 * time.Second // from then to the first picture of ours
)

// loading is what is known of the navigation under way.
type loading struct {
	status   atomic.Int64 // HTTP status of the newest document, 0 from a cache
	document chan struct{}
	complete chan struct{}
	crashed  chan struct{}
	circling chan struct{}
	// echo: the load follows a crash, which the browser tells twice. Until the
	// navigation is answered, the second telling of it may still come.
	echo bool
}

var chromeVersion = regexp.MustCompile(`Chrome/[0-9.]+`)

func phoneAgent(desktop string) string {
	v := chromeVersion.FindString(desktop)
	if v == "" {
		v = "Chrome/140.0.0.0"
	}
	return "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) " + v + " Mobile Safari/537.36"
}

// Load opens the page, or opens it again, and returns when it is there and has
// painted. The caller ticks Windows meanwhile, or nothing is painted.
func (p *Page) Load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, loadTime+paintTime)
	defer cancel()
	l := &loading{document: make(chan struct{}, 8), complete: make(chan struct{}, 8), crashed: make(chan struct{}, 8), circling: make(chan struct{}, 1)}
	p.mu.Lock()
	l.echo = p.crashed
	p.loading, p.crashed, p.reached, p.hops = l, false, false, hops{}
	session := p.session
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.loading = nil
		p.mu.Unlock()
	}()
	select {
	case <-p.ready: // of an earlier load
	default:
	}
	p.dt.tell(session, "Network.enable", nil)        // a page that crashed answers after it is loaded again
	defer p.dt.tell(session, "Network.disable", nil) // it costs for every packet
	before := p.Windows.Commits()
	if err := p.navigate(ctx, session, l); err != nil {
		return err
	}
	p.mu.Lock()
	l.echo = false
	p.hops = hops{n: 1, last: time.Now()} // what was shown before went on until now
	select {
	case <-l.circling:
	default:
	}
	p.mu.Unlock()
	if err := l.wait(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	p.reached = true
	p.mu.Unlock()
	if err := p.painted(ctx, before, l); err != nil {
		return err
	}
	return l.refused() // of the document that another led to
}

// navigate asks for the page and looks at what its server says.
func (p *Page) navigate(ctx context.Context, session string, l *loading) error {
	ctx, cancel := context.WithTimeout(ctx, loadTime)
	defer cancel()
	var r struct {
		FrameID   string
		ErrorText string
	}
	err := p.dt.call(ctx, session, "Page.navigate", params{"url": p.cfg.URL}, &r)
	switch {
	case ctx.Err() != nil:
		p.dt.tell(session, "Page.stopLoading", nil)
		return fmt.Errorf("%w within %v: its server does not answer", ErrAccess, loadTime)
	case err != nil:
		return err
	case r.ErrorText != "":
		return fmt.Errorf("%w: %s", ErrAccess, r.ErrorText)
	}
	return l.refused()
}

// refused looks at what the server said of the newest document.
func (l *loading) refused() error {
	if status := l.status.Load(); status >= 400 {
		return fmt.Errorf("%w: its server answers with status %d", ErrAccess, status)
	}
	return nil
}

var errCircling = fmt.Errorf("%w: it leads to another page, and that to another, without end", ErrAccess)

// wait returns when the page is complete, or its document is and the rest
// takes too long.
func (l *loading) wait(ctx context.Context) error {
	var late <-chan time.Time
	patience := time.NewTimer(loadTime)
	defer patience.Stop()
	for {
		select {
		case <-l.complete:
			return nil
		case <-l.document:
			if late == nil {
				t := time.NewTimer(grace)
				defer t.Stop()
				late = t.C
			}
		case <-late:
			return nil
		case <-l.crashed:
			return fmt.Errorf("%w: it crashed", ErrSlow)
		case <-l.circling:
			return errCircling
		case <-patience.C:
			return ErrSlow
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrSlow, ctx.Err())
		}
	}
}

// painted waits until the page goes through two animation frames and there is a
// picture after the first before ones. A page may lead to another meanwhile: then
// the other is what has to paint.
func (p *Page) painted(ctx context.Context, before int64, l *loading) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(p.cfg.Paint, paintTime))
	defer cancel()
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	seen, animated := 0, false
	for {
		n, since := p.stayed()
		if n != seen {
			seen, animated = n, false
		}
		if !animated {
			err := p.dt.call(ctx, p.session, "Runtime.evaluate", params{"expression": twoFrames, "awaitPromise": true}, nil)
			if errors.Is(err, errGone) {
				return fmt.Errorf("%w: %w", ErrBlank, err)
			}
			animated = err == nil
		} else if since >= settled && p.Windows.Commits() != before {
			return nil
		}
		select {
		case <-t.C:
		case <-l.circling:
			return errCircling
		case <-l.crashed:
			return fmt.Errorf("%w: it crashed", ErrBlank)
		case <-ctx.Done():
			if seen > 2 && since < stay {
				return errCircling
			}
			return fmt.Errorf("%w: %w", ErrBlank, ctx.Err())
		}
	}
}

const twoFrames = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"

// A document that is left at once leads somewhere else. After so many in a row it
// is a circle.
const (
	settled = 200 * time.Millisecond // a load ends with a document that stays so long
	stay    = time.Second
	mostHop = 12
)

// hops counts documents that came one after another without staying.
type hops struct {
	n    int
	last time.Time
}

// add reports that there have been too many.
func (h *hops) add(now time.Time) bool {
	if now.Sub(h.last) >= stay {
		h.n = 0
	}
	h.n, h.last = h.n+1, now
	return h.n > mostHop
}

// stayed returns how many documents there were in a row, and for how long the
// newest is there.
func (p *Page) stayed() (n int, since time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hops.n, time.Since(p.hops.last)
}

// hop notes that the window has another document.
func (p *Page) hop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.hops.add(time.Now()) {
		return
	}
	if p.loading != nil {
		put(p.loading.circling)
	} else if p.reached {
		p.trouble(Circling)
	}
}

// event takes what the browser tells. It must not wait for answers: they come
// through the same pipe.
func (p *Page) event(m reply) {
	switch m.Method {
	case "Page.javascriptDialogOpening":
		text := decode[struct{ DefaultPrompt string }](m).DefaultPrompt
		p.dt.tell(m.SessionID, "Page.handleJavaScriptDialog", params{"accept": true, "promptText": text})
	case "Target.targetCreated":
		p.stray(m)
	case "Target.targetDestroyed":
		if decode[struct{ TargetID string }](m).TargetID == p.mine() {
			p.trouble(Gone)
		}
	case "Target.targetCrashed":
		if decode[struct{ TargetID string }](m).TargetID == p.mine() {
			p.crash()
		}
	case "Inspector.targetCrashed":
		p.crash()
	case "Page.frameNavigated":
		if decode[struct{ Frame struct{ ParentID string } }](m).Frame.ParentID == "" {
			p.hop()
		}
	case "Runtime.bindingCalled":
		if decode[struct{ Name string }](m).Name == "__tapedeckReady" {
			select {
			case p.ready <- struct{}{}:
			default:
			}
		}
	default:
		p.progress(m)
	}
}

func (p *Page) mine() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.target
}

// stray closes windows that the page opens.
func (p *Page) stray(m reply) {
	t := decode[struct {
		TargetInfo struct{ TargetID, Type, OpenerID string }
	}](m).TargetInfo
	if mine := p.mine(); t.Type == "page" && t.OpenerID == mine && mine != "" {
		p.dt.tell("", "Target.closeTarget", params{"targetId": t.TargetID})
	}
}

// crash notes that the page's process died, once.
func (p *Page) crash() {
	put(p.died)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.crashed || p.loading != nil && p.loading.echo {
		return
	}
	p.crashed = true
	if p.loading != nil {
		put(p.loading.crashed)
	}
	if p.reached {
		p.trouble(Crashed)
	}
}

// progress takes note of how a load gets on.
func (p *Page) progress(m reply) {
	p.mu.Lock()
	l := p.loading
	p.mu.Unlock()
	if l == nil {
		return
	}
	switch m.Method {
	case "Network.responseReceived":
		r := decode[struct {
			Type     string
			FrameID  string
			Response struct{ Status int }
		}](m)
		if r.Type == "Document" && strings.EqualFold(r.FrameID, p.mine()) {
			l.status.Store(int64(r.Response.Status))
		}
	case "Page.domContentEventFired":
		put(l.document)
	case "Page.loadEventFired":
		put(l.complete)
	}
}

func put(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
