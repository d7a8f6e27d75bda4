package push

import (
	"context"
	"errors"
	"sync"
	"time"

	"tapedeck/internal/media"
)

const (
	// queueBytes and queueSpan bound what waits for one server: about a second
	// of the largest stream, or five of a usual one.
	queueBytes            = 4 << 20
	queueSpan  media.Time = 5_000_000

	farewell = time.Second // for what is queued when an output ends
	seam     = 20          // ms between the frames around a pause
)

// frame is one access unit as the body of an FLV tag.
type frame struct {
	pts   media.Time
	video bool
	key   bool // a stream can begin here
	body  []byte
}

// target is one output: its queue, and the goroutine that empties it.
type target struct {
	cfg Config
	n   int
	url string

	cancel context.CancelFunc
	gone   chan struct{} // closed by leave

	mu      sync.Mutex
	left    bool
	held    bool
	online  bool
	state   string
	queue   []frame
	bytes   int
	waiting bool // for the next key frame
	seam    bool // the next frame follows a pause
	dropped int64
	wake    chan struct{}
}

// newTarget makes an output; cancel ends the context it is run with.
func newTarget(cfg Config, n int, url string, held bool, cancel context.CancelFunc) *target {
	return &target{
		cfg: cfg, n: n, url: url, held: held, cancel: cancel,
		gone: make(chan struct{}), wake: make(chan struct{}, 1), waiting: true,
	}
}

// push queues a frame, or drops what is queued if it is too much.
func (t *target) push(f frame) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.online || t.waiting && !f.key {
		return
	}
	if t.bytes+len(f.body) > queueBytes || len(t.queue) > 0 && f.pts-t.queue[0].pts > queueSpan {
		t.dropped += int64(len(t.queue))
		t.queue, t.bytes, t.waiting = nil, 0, true
		if !f.key {
			return
		}
	}
	t.waiting = false
	t.queue = append(t.queue, f)
	t.bytes += len(f.body)
	t.poke()
}

func (t *target) poke() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// take empties the queue.
func (t *target) take() (frames []frame, afterPause bool, dropped int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	frames, t.queue, t.bytes = t.queue, nil, 0
	if len(frames) > 0 {
		afterPause, t.seam = t.seam, false
	}
	dropped, t.dropped = t.dropped, 0
	return frames, afterPause, dropped
}

func (t *target) hold(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held == on {
		return
	}
	t.held = on
	if on {
		t.waiting = true
		t.seam = true
	}
	switch {
	case on:
		t.tell(OnHold)
	case t.online:
		t.tell(Publishing)
	default:
		t.tell(Connecting)
	}
}

// setOnline takes note of whether the server takes the stream.
func (t *target) setOnline(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.online, t.waiting = on, true
	t.queue, t.bytes = nil, 0
	switch {
	case t.held:
		t.tell(OnHold)
	case on:
		t.tell(Publishing)
	default:
		t.tell(Disconnected)
	}
}

// tell reports a state if it is new. The lock is held, so that reports keep
// their order.
func (t *target) tell(state string) {
	if t.left || state == t.state {
		return
	}
	t.state = state
	t.cfg.OnState(t.n, state)
}

// leave ends the output: what is queued has a moment left.
func (t *target) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.left {
		return
	}
	t.left = true
	close(t.gone)
	if !t.online {
		t.cancel()
		return
	}
	time.AfterFunc(farewell, t.cancel)
}

// run connects, sends and connects again until the output is left.
func (t *target) run(ctx context.Context) {
	defer t.cancel()
	t.mu.Lock()
	if t.held {
		t.tell(OnHold)
	} else {
		t.tell(Connecting)
	}
	t.mu.Unlock()
	addr, err := parseURL(t.url)
	if err != nil {
		t.cfg.Log.Error("a live output cannot be used", "output", t.n, "err", err)
		t.setOnline(false)
		return
	}
	for failures := 0; ; {
		began, err := t.attempt(ctx, addr)
		if t.isLeft() {
			return
		}
		t.setOnline(false)
		if failures++; began {
			failures = 1
		}
		pause := t.cfg.Backoff(failures)
		t.cfg.Log.Warn("a live output is disconnected and will be tried again", "output", t.n, "server", addr.host, "in", pause, "err", err)
		timer := time.NewTimer(pause)
		select {
		case <-t.gone:
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

func (t *target) isLeft() bool {
	select {
	case <-t.gone:
		return true
	default:
		return false
	}
}

// attempt is one connection from its beginning to its end.
func (t *target) attempt(ctx context.Context, a address) (began bool, err error) {
	c, err := open(ctx, t.cfg, a)
	if err != nil {
		return false, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.net.Close() })
	defer stop()
	heard, done := make(chan error, 1), make(chan struct{})
	go func() {
		heard <- c.listen()
		close(done)
	}()
	err = t.stream(c, a, heard)
	_ = c.net.Close()
	<-done
	return true, err
}

// stream sends the heads and then what is queued. It returns nil when the
// output was left.
func (t *target) stream(c *conn, a address, heard <-chan error) error {
	s := sender{c: c}
	if err := s.heads(t.cfg); err != nil {
		return err
	}
	t.setOnline(true)
	t.cfg.Log.Info("a live output is publishing", "output", t.n, "server", a.host)
	for {
		left := false
		select {
		case err := <-heard:
			return errors.Join(errors.New("push: the server closed the connection"), err)
		case <-t.wake:
		case <-t.gone:
			left = true
		}
		frames, afterPause, dropped := t.take()
		if dropped > 0 {
			t.cfg.Log.Warn("a live output is too slow: frames were dropped up to the next key frame", "output", t.n, "server", a.host, "frames", dropped)
		}
		if afterPause {
			s.pause()
		}
		for _, f := range frames {
			if err := s.frame(f); err != nil {
				return err
			}
		}
		if left {
			c.bye(a.key)
			return nil
		}
	}
}

// sender gives frames their times on one connection: milliseconds since its
// first frame, without the pauses.
type sender struct {
	c     *conn
	began bool
	base  media.Time
	last  uint32
}

func (s *sender) heads(cfg Config) error {
	meta := message{kind: msgData, stream: s.c.stream, body: metadata(cfg)}
	if err := s.c.send(chunkMedia, meta, outChunk); err != nil {
		return err
	}
	if cfg.SPS != nil {
		head, err := videoHead(cfg.SPS, cfg.PPS)
		if err != nil {
			return err
		}
		if err := s.c.send(chunkMedia, message{kind: msgVideo, stream: s.c.stream, body: head}, outChunk); err != nil {
			return err
		}
	}
	if cfg.AudioConfig == nil {
		return nil
	}
	return s.c.send(chunkMedia, message{kind: msgAudio, stream: s.c.stream, body: audioHead(cfg.AudioConfig)}, outChunk)
}

// pause lets the next frame follow the last one closely.
func (s *sender) pause() { s.began = false }

func (s *sender) frame(f frame) error {
	if !s.began {
		s.began = true
		s.base = f.pts
		if s.last > 0 {
			s.base -= media.Time(s.last+seam) * 1000
		}
	}
	m := message{kind: msgAudio, stream: s.c.stream, body: f.body}
	if f.video {
		m.kind = msgVideo
	}
	// Sound that lies just before the first picture must not run backwards.
	m.time = uint32(max(0, f.pts-s.base) / 1000)
	s.last = max(s.last, m.time)
	return s.c.send(chunkMedia, m, outChunk)
}
