package recorder

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"tapedeck/internal/spool"
	"tapedeck/internal/webpage"
)

const (
	webRetry   = 2 * time.Second // before a page is opened once more
	webReloads = 12              // within webSpan: more is no recording any more
	webSpan    = 10 * time.Minute
)

// direct opens the page, looks after it, and returns why the recording ends: nil
// when ctx does.
func (m *webMode) direct(ctx context.Context) error {
	length, cancel := context.WithTimeoutCause(ctx, m.left(), &webEnd{spool.EndMaxLength, fmt.Errorf("the page was recorded for %v", m.page.MaxLength)})
	defer cancel()
	defer m.leave()
	err := m.play(length)
	switch {
	case ctx.Err() != nil:
		return nil
	case length.Err() != nil:
		return context.Cause(length)
	}
	return err
}

// left is how long the recording may still take: earlier workers of it count.
func (m *webMode) left() time.Duration {
	if m.page.MaxLength <= 0 {
		return 720 * time.Hour
	}
	return m.page.MaxLength - time.Duration(m.out.Clock().Now())*time.Microsecond
}

// play is the life of the page: opened, ready, recorded, mended.
func (m *webMode) play(ctx context.Context) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	if err := m.await(ctx); err != nil {
		return err
	}
	m.out.note(spool.Fact{Type: spool.FactPage, Note: "started"})
	m.mu.Lock()
	m.stage.roll = true
	page := m.stage.page
	m.mu.Unlock()
	close(m.ready)
	var mended []time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case t := <-page.Troubles():
			if end := m.hopeless(t); end != nil {
				return end
			}
			now := time.Now()
			if mended = append(mended, now); len(mended) > webReloads && now.Sub(mended[len(mended)-1-webReloads]) < webSpan {
				return &webEnd{spool.EndFault, fmt.Errorf("the page had to be loaded %d times within %v, last because of %s", webReloads, webSpan, t)}
			}
			if err := m.mend(ctx, t); err != nil {
				return err
			}
			m.mu.Lock()
			page = m.stage.page
			m.mu.Unlock()
		}
	}
}

// hopeless is the end of a page that no loading mends: it goes beyond a limit,
// which is told as event 72, or leads around in a circle. It is nil for other
// troubles.
func (m *webMode) hopeless(t webpage.Trouble) error {
	limit := ""
	switch t {
	case webpage.Resolution:
		limit = "resolution"
	case webpage.Bandwidth:
		limit = "bandwidth"
	case webpage.WebGL:
		limit = "WebGL"
	case webpage.Circling:
		return &webEnd{spool.EndPageAccess, errors.New("the page leads to another page, and that to another, without end")}
	default:
		return nil
	}
	m.out.note(spool.Fact{Type: spool.FactPage, Note: "limit", Reason: limit})
	return &webEnd{spool.EndCapability, fmt.Errorf("the page goes beyond the limit of %s", limit)}
}

// enter opens the browser and the page. Each gets a second try.
func (m *webMode) enter(ctx context.Context) error {
	if err := m.launch(ctx); err != nil {
		m.log.Warn("the browser did not start and is tried once more", "err", err)
		if !pause(ctx, webRetry) {
			return ctx.Err()
		}
		if err := m.launch(ctx); err != nil {
			return &webEnd{spool.EndEngine, err}
		}
	}
	err := m.load(ctx)
	if err == nil {
		return nil
	}
	m.log.Warn("the page could not be opened and is tried once more", "err", err)
	if !pause(ctx, webRetry) {
		return ctx.Err()
	}
	if errors.Is(err, webpage.ErrGone) || errors.Is(err, webpage.ErrBlank) {
		if err := m.launch(ctx); err != nil {
			return &webEnd{spool.EndEngine, err}
		}
	}
	switch err := m.load(ctx); {
	case err == nil:
		return nil
	case errors.Is(err, webpage.ErrAccess), errors.Is(err, webpage.ErrSlow):
		return &webEnd{spool.EndPageAccess, err}
	default:
		return &webEnd{spool.EndEngine, err}
	}
}

// await waits for the page to say that it is ready, if it has to. The second
// time it does not, or something happens to it before it does, is the end.
func (m *webMode) await(ctx context.Context) error {
	if m.page.ReadyTimeout <= 0 {
		return nil
	}
	for try := 1; ; try++ {
		why, err := m.missed(ctx)
		if why == "" || err != nil {
			return err
		}
		if try == 2 {
			return &webEnd{spool.EndPageReady, fmt.Errorf("the page did not call navigator.notifyReady() within %v, twice", m.page.ReadyTimeout)}
		}
		m.out.note(spool.Fact{Type: spool.FactPage, Note: "reload", Reason: why})
		if why == string(webpage.Gone) {
			if err := m.launch(ctx); err != nil {
				return &webEnd{spool.EndEngine, err}
			}
		}
		if err := m.load(ctx); err != nil {
			return &webEnd{spool.EndPageAccess, err}
		}
		m.settle()
	}
}

// missed waits for the page once. It returns the reason for which the page has to
// be loaded again, or "" when it is ready.
func (m *webMode) missed(ctx context.Context) (why string, err error) {
	page, late := m.current(), time.NewTimer(m.page.ReadyTimeout)
	defer late.Stop()
	select {
	case <-page.Ready():
		return "", nil
	case <-ctx.Done():
		return "", ctx.Err()
	case t := <-page.Troubles():
		return string(t), m.hopeless(t)
	case <-late.C:
		return "page_load_timeout", nil
	}
}

// mend loads the page again after a trouble. What the recording shows stands
// still meanwhile; its time goes on.
func (m *webMode) mend(ctx context.Context, t webpage.Trouble) error {
	from := m.out.Clock().Now()
	m.freeze(true)
	m.log.Warn("the page is loaded again", "reason", string(t))
	m.out.note(spool.Fact{Type: spool.FactPage, Note: "reload", Reason: string(t)})
	var err error
	for try := range 4 {
		if try > 0 && !pause(ctx, webRetry<<try) {
			return ctx.Err()
		}
		if t == webpage.Gone || errors.Is(err, webpage.ErrGone) || try == 2 {
			if err = m.launch(ctx); err != nil {
				continue
			}
		}
		if err = m.load(ctx); err == nil {
			m.settle()
			m.out.note(spool.Fact{
				Type: spool.FactGap, StartMicro: int64(from), DurMicro: int64(m.out.Clock().Now() - from),
				Note: "the page was loaded again: " + string(t),
			})
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	reason := spool.EndFault
	if errors.Is(err, webpage.ErrAccess) {
		reason = spool.EndPageAccess
	}
	return &webEnd{reason, fmt.Errorf("the page did not come back after %s: %w", t, err)}
}

// settle forgets the troubles of before a load, and shows the page.
func (m *webMode) settle() {
	page := m.current()
	for {
		select {
		case t := <-page.Troubles():
			m.log.Info("a trouble that is over", "reason", string(t))
			continue
		default:
		}
		break
	}
	m.freeze(false)
}

// launch starts a browser in place of the one there was.
func (m *webMode) launch(ctx context.Context) error {
	m.leave()
	g := m.page
	page, err := m.open(ctx, webpage.Config{
		URL: m.url, W: g.Width, H: g.Height, FPS: g.FPS, Mobile: g.Mobile,
		Policy: m.settings.Egress, UID: browserUID(m.plan.SID), Log: m.log,
		Clock: func() int64 { return m.out.Clock().Now().Samples48k() }, Play: m.sound.play,
		Known: m.settings.KnownBrowser,
	})
	if err != nil {
		return err
	}
	if b, ok := page.(browser); ok && b.Display() != webpage.Wayland {
		m.out.note(spool.Fact{Type: spool.FactPage, Note: "display", Reason: b.Display()})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stage.page = page
	return nil
}

// browserUID is a user that owns nothing, far above those of people.
func browserUID(sid string) int { return 0x50000000 + int(crc32.ChecksumIEEE([]byte(sid))&0xffffff) }

func (m *webMode) load(ctx context.Context) error {
	err := m.current().Load(ctx)
	if err == nil {
		m.current().Redraw()
	}
	return err
}

func (m *webMode) current() tab {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stage.page
}

func (m *webMode) freeze(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stage.frozen = on
}

// leave ends the browser.
func (m *webMode) leave() {
	m.mu.Lock()
	page := m.stage.page
	m.stage.page = nil
	m.mu.Unlock()
	if page != nil {
		page.Close()
	}
}

// pause waits, and reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
