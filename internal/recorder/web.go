package recorder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/link"
	"tapedeck/internal/media"
	"tapedeck/internal/media/codec"
	"tapedeck/internal/push"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/webpage"
)

// webMode records a web page: what its browser draws and plays becomes TS
// slices and, if asked for, MP4, and goes to live outputs.
//
// Two goroutines share the work. The director (web_page.go) opens the page,
// waits for it, and opens it again when something happens to it. The camera
// (web_camera.go) ticks at the recording's rate, takes pictures and sound, and
// alone touches encoders and files.
type webMode struct {
	plan     session.Plan
	page     session.Page
	url      string
	settings Settings
	out      *Output
	log      *slog.Logger
	open     opener
	ready    chan struct{} // closed when the page is there

	sound *webSound
	video *codec.H264Encoder
	frame *codec.Canvas
	audio *codec.AACEncoder
	files *mixFiles

	mu    sync.Mutex
	stage struct { // what the director and the orders tell the camera
		page   tab  // nil: there is none
		frozen bool // what it shows is not to be seen
		roll   bool // the page is ready to be recorded
		held   bool
	}
	live   *push.Output
	pushes []string
}

// tab is what the camera and the director need of a page.
type tab interface {
	Load(ctx context.Context) error
	Ready() <-chan struct{}
	Troubles() <-chan webpage.Trouble
	Tick(at time.Duration)
	Draw(paint func(pix []byte, stride, x, y, w, h int)) bool
	Redraw()
	Close()
}

// opener starts a browser.
type opener func(ctx context.Context, cfg webpage.Config) (tab, error)

// browser is a tab in a real browser.
type browser struct{ *webpage.Page }

func (b browser) Tick(at time.Duration) { b.Windows.Tick(at) }
func (b browser) Redraw()               { b.Windows.Redraw() }
func (b browser) Draw(paint func(pix []byte, stride, x, y, w, h int)) bool {
	return b.Windows.Draw(paint)
}

func openBrowser(ctx context.Context, cfg webpage.Config) (tab, error) {
	p, err := webpage.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return browser{p}, nil
}

// webOf makes the recording of a page, and the room it does not have.
func webOf(job link.Job, settings Settings, out *Output, log *slog.Logger) (*webMode, error) {
	if job.Plan.Page == nil || job.Private == nil || job.Private.PageURL == "" {
		return nil, fmt.Errorf("recorder: the job of %s has no page", job.Plan.SID)
	}
	m := &webMode{
		plan: job.Plan, page: *job.Plan.Page, url: job.Private.PageURL, settings: settings, out: out, log: log,
		open: openBrowser, ready: make(chan struct{}), sound: newWebSound(), pushes: job.Private.Push,
	}
	m.stage.held = m.page.OnHold
	if err := m.equip(); err != nil {
		m.close()
		return nil, err
	}
	m.PushTo(m.pushes)
	return m, nil
}

// equip opens encoders and files.
func (m *webMode) equip() (err error) {
	// H.264 with 4:2:0 has no odd sizes.
	m.page.Width, m.page.Height = m.page.Width+m.page.Width%2, m.page.Height+m.page.Height%2
	w, h := m.page.Width, m.page.Height
	if m.frame, err = codec.NewCanvas(w, h); err != nil {
		return err
	}
	m.video, err = codec.NewH264Encoder(codec.EncoderConfig{W: w, H: h, FPS: m.page.FPS, Kbps: m.page.Bitrate, Quality: m.settings.Quality, Prompt: true})
	if err != nil {
		return err
	}
	channels, bitrate := audioProfile(m.page.AudioProfile)
	if m.audio, err = codec.NewAACEncoder(soundRate, channels, bitrate); err != nil {
		return err
	}
	m.files = newWebFiles(m, channels)
	m.files.sent = m.send
	return nil
}

// Handle implements Mode: there is no room to hear of.
func (m *webMode) Handle(channel.Event) {}

// Subscribe implements Mode.
func (m *webMode) Subscribe(session.Subscription) {}

// Layout implements Mode.
func (m *webMode) Layout(session.Layout) {}

// Recorded implements Mode.
func (m *webMode) Recorded() bool { return m.out.Recorded() }

// Hold implements Holder.
func (m *webMode) Hold(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stage.held == on {
		return
	}
	m.stage.held = on
	note := "resumed"
	if on {
		note = "onhold"
	}
	m.out.note(spool.Fact{Type: spool.FactPage, Note: note})
	if m.live != nil {
		m.live.Hold(on)
	}
}

// PushTo implements Pusher.
func (m *webMode) PushTo(urls []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pushes = urls
	if m.live != nil {
		m.live.SetURLs(urls)
		return
	}
	if len(urls) == 0 {
		return
	}
	v, a := m.files.vtrack, m.files.atrack
	m.live = push.New(push.Config{
		URLs: urls, W: v.W, H: v.H, FPS: m.page.FPS, SPS: v.SPS, PPS: v.PPS,
		SampleRate: a.SampleRate, Channels: a.Channels, AudioConfig: a.Config,
		Dial: m.settings.Egress.Dialer().DialContext, Log: m.log,
		OnState: func(i int, state string) { m.out.note(spool.Fact{Type: spool.FactPush, Output: i, Note: state}) },
	})
	m.live.Hold(m.stage.held)
}

// send hands a packet that is being written to the live outputs.
func (m *webMode) send(p packet, at media.Time, video bool) {
	m.mu.Lock()
	live := m.live
	m.mu.Unlock()
	switch {
	case live == nil:
	case video:
		live.Video(at, p.key, p.data)
	default:
		live.Audio(at, p.data)
	}
}

// webEnd is how a recording of a page ends by itself.
type webEnd struct {
	reason string // of the ended fact
	err    error
}

func (e *webEnd) Error() string { return "recorder: " + e.reason + ": " + errText(e.err) }

func (e *webEnd) Unwrap() error { return e.err }

// faultReason is the journal's reason for the error with which a mode ended.
func faultReason(err error) string {
	var end *webEnd
	if errors.As(err, &end) {
		return end.reason
	}
	return spool.EndFault
}

// Run implements Mode.
func (m *webMode) Run(ctx context.Context) error {
	defer m.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	directed := make(chan error, 1)
	go func() {
		err := m.direct(ctx)
		cancel()
		directed <- err
	}()
	err := m.shoot(ctx)
	cancel()
	return errors.Join(err, <-directed)
}

func (m *webMode) close() {
	if m.live != nil {
		m.live.Close()
	}
	if m.video != nil {
		m.video.Close()
	}
	if m.audio != nil {
		m.audio.Close()
	}
	if m.frame != nil {
		m.frame.Close()
	}
}

// webSource stands where other modes have a room: it tells when the page is
// there.
type webSource struct{ m *webMode }

// Run implements channel.Source.
func (s webSource) Run(ctx context.Context, handle func(channel.Event)) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.m.ready:
	}
	handle(channel.Connected{At: s.m.out.Clock().Now()})
	<-ctx.Done()
	return nil
}

// RequestKey implements channel.Source.
func (webSource) RequestKey(*channel.Track) {}

// SetSize implements channel.Source.
func (webSource) SetSize(*channel.Track, int, int) {}

// SetSubscription implements channel.Source.
func (webSource) SetSubscription(session.Subscription) {}

// SetToken implements channel.Source.
func (webSource) SetToken(string) {}

// Stats implements channel.Source.
func (webSource) Stats() []channel.TrackStats { return nil }
