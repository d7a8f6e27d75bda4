package livekit

import (
	"io"
	"net"
	"sync"
	"testing"

	"tapedeck/internal/channel"
	"tapedeck/internal/channel/embedded"
	"tapedeck/internal/media"
	"tapedeck/internal/testkit/publish"
)

// proxy stands between a recorder and the server's signalling.
type proxy struct {
	l      net.Listener
	target string
	mu     sync.Mutex
	conns  []net.Conn
	shut   bool
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, target: target}
	t.Cleanup(func() { _ = l.Close(); p.cut(true) })
	go p.serve()
	return p
}

func (p *proxy) serve() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp4", p.target)
		p.mu.Lock()
		if err != nil || p.shut {
			_ = c.Close()
			p.mu.Unlock()
			continue
		}
		p.conns = append(p.conns, c, up)
		p.mu.Unlock()
		go func() { _, _ = io.Copy(up, c); _ = up.Close() }()
		go func() { _, _ = io.Copy(c, up); _ = c.Close() }()
	}
}

// cut ends all connections and decides on new ones.
func (p *proxy) cut(shut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = shut
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

func TestSignallingThatBreaksIsResumedWithoutLoss(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{})
	clip := opus(31)
	enter(t, s.URL(), "1", publish.Spec{Audio: clip})
	p := newProxy(t, s.URL()[len("ws://"):])
	r := record(t, configOf(t, "ws://"+p.l.Addr().String()))
	heard := func(n int) func([]channel.Event) bool {
		return func(events []channel.Event) bool { return len(unitsOf(events, of("1", media.Opus))) > n }
	}
	r.until("sound", heard(10))
	p.cut(false)
	r.until("more sound", heard(60))
	enter(t, s.URL(), "2", publish.Spec{})
	r.until("news over the new connection", func(events []channel.Event) bool { return has(events, "joined 2") == 1 })
	r.stop()
	events := r.all()
	checkLife(t, events)
	if missing := checkContent(t, clip, unitsOf(events, of("1", media.Opus))); missing > 0 || has(events, "started 1 opus") != 1 {
		t.Errorf("%d frames are missing; %s", missing, summary(events))
	}
}

func TestSignallingThatStaysAwayIsJoinedAnew(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{})
	enter(t, s.URL(), "1", publish.Spec{Audio: opus(32)})
	p := newProxy(t, s.URL()[len("ws://"):])
	r := record(t, configOf(t, "ws://"+p.l.Addr().String()))
	r.until("sound", func(events []channel.Event) bool { return len(unitsOf(events, of("1", media.Opus))) > 10 })
	p.cut(true)
	r.until("the loss", func(events []channel.Event) bool { return has(events, "disconnected") == 1 })
	p.cut(false)
	r.until("the way back", func(events []channel.Event) bool { return has(events, "connected") == 2 })
	n := len(unitsOf(r.all(), of("1", media.Opus)))
	r.until("sound again", func(events []channel.Event) bool { return len(unitsOf(events, of("1", media.Opus))) > n+10 })
	r.stop()
	if r.err != nil {
		t.Errorf("Run returned %v", r.err)
	}
	checkLife(t, r.all())
}
