// Package push sends a recording live to RTMP and RTMPS servers, on the same
// encode as the files. A server that is slow, hangs or is gone never holds up
// the caller and never touches a file: every output has a bounded queue, drops
// to the next key frame when it is full, and connects again by itself.
package push

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"sync"
	"time"

	"tapedeck/internal/media"
)

// States of an output (behaviour.md 4.4).
const (
	Connecting   = "connecting"
	Publishing   = "publishing"
	OnHold       = "onhold"
	Disconnected = "disconnected"
)

// Config describes what is sent and where to.
type Config struct {
	URLs []string // rtmp://host[:port]/app/key or rtmps://...

	W, H, FPS  int
	SPS, PPS   []byte // without start codes; none: no pictures
	SampleRate int    // Hz
	Channels   int
	// AudioConfig is the AudioSpecificConfig of the AAC; none: no sound.
	AudioConfig []byte

	// Dial connects under the egress policy (outbound.Policy.Dialer).
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// RootCAs is who vouches for RTMPS servers; nil: the system's.
	RootCAs *x509.CertPool
	// OnState is told every change of output i's state, from goroutines of this
	// package. It must not call back.
	OnState func(i int, state string)
	// Backoff is how long to wait after the n-th failure in a row, n from 1;
	// nil: 1 s, doubled up to 30 s.
	Backoff func(n int) time.Duration
	Log     *slog.Logger
}

// Output sends one recording to all its live outputs. Its methods return at
// once and may be called by many goroutines.
type Output struct {
	cfg Config

	mu      sync.Mutex
	closed  bool
	held    bool
	targets []*target
	leaving sync.WaitGroup
}

// New begins to connect to every URL.
func New(cfg Config) *Output {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.OnState == nil {
		cfg.OnState = func(int, string) {}
	}
	if cfg.Backoff == nil {
		cfg.Backoff = backoff
	}
	o := &Output{cfg: cfg}
	o.SetURLs(cfg.URLs)
	return o
}

func backoff(n int) time.Duration { return min(time.Second<<min(n-1, 5), 30*time.Second) }

// SetURLs replaces the outputs. One whose URL stays at its place goes on
// without a break.
func (o *Output) SetURLs(urls []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	old := o.targets
	o.targets = nil
	for i, u := range urls {
		if i < len(old) && old[i].url == u {
			o.targets = append(o.targets, old[i])
			old[i] = nil
			continue
		}
		ctx, cancel := context.WithCancel(context.Background())
		t := newTarget(o.cfg, i, u, o.held, cancel)
		o.targets = append(o.targets, t)
		o.leaving.Go(func() { t.run(ctx) })
	}
	for _, t := range old {
		if t != nil {
			t.leave()
		}
	}
}

// Video sends a picture: Annex B, as the encoder made it. It is not kept.
func (o *Output) Video(pts media.Time, key bool, annexB []byte) {
	o.each(func() frame { return frame{pts: pts, video: true, key: key, body: videoBody(key, annexB)} })
}

// Audio sends one raw AAC frame. It is not kept.
func (o *Output) Audio(pts media.Time, aac []byte) {
	o.each(func() frame { return frame{pts: pts, key: o.cfg.SPS == nil, body: audioBody(aac)} })
}

func (o *Output) each(make func() frame) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.held || o.closed || len(o.targets) == 0 {
		return
	}
	f := make() // shared: nobody writes to it
	for _, t := range o.targets {
		t.push(f)
	}
}

// Hold pauses all outputs: the connections stay, nothing is sent. Afterwards
// the stream goes on without a gap in its timestamps.
func (o *Output) Hold(on bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.held = on
	for _, t := range o.targets {
		t.hold(on)
	}
}

// Close ends all outputs, politely for as long as two seconds.
func (o *Output) Close() {
	o.mu.Lock()
	o.closed = true
	for _, t := range o.targets {
		t.leave()
	}
	o.targets = nil
	o.mu.Unlock()
	o.leaving.Wait()
}
