package recorder

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"tapedeck/internal/media"
	"tapedeck/internal/media/codec"
	"tapedeck/internal/webpage/wayland"
)

const (
	// webDelay is how far sound is written behind the clock: a browser that
	// stalls for a moment hands it over late.
	webDelay media.Time = 500_000

	// webLag is when a picture is seen after the browser began it. A page that
	// draws by its own clock shows it as it was up to one interval before that, a
	// film is shown as it has to be about one interval after: sound lies between
	// the two (docs/benchmarks.md).
	webLag media.Time = 5_000

	// webBeat is the distance of pictures while nothing changes.
	webBeat = time.Second

	silentFrames = 4 // after as many, the encoder has nothing but silence inside
)

// webCamera is the state of taking pictures; one goroutine owns it.
type webCamera struct {
	m      *webMode
	fps    int64
	zero   media.Time // of tick 0
	tick   int64
	rolled bool // something was recorded
	held   bool
	first  int64 // tick of picture 0, moved on by every pause
	next   int64 // number of the next picture
	shown  int64 // tick at which the last picture was taken

	pcm      []float32
	channels int
	skip     int   // of its frames that only prime a decoder
	kept     int64 // AAC frames that went to the files
	soundPos int64
	silent   int
	silence  []byte
}

// shoot takes pictures and sound until ctx ends, then closes the files.
func (m *webMode) shoot(ctx context.Context) error {
	c := &webCamera{m: m, fps: int64(m.page.FPS), zero: m.out.Clock().Now(), channels: m.files.atrack.Channels}
	c.pcm = make([]float32, codec.AACFrame*c.channels)
	c.skip = m.audio.Priming() / codec.AACFrame
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		select {
		case <-ctx.Done():
			return c.wrap()
		case <-wake.C:
		}
		now := m.out.Clock().Now()
		// A tick that was missed is missed: the picture after it has its time.
		c.tick = max(c.tick+1, int64(now-c.zero)*c.fps/1_000_000)
		if err := c.round(); err != nil {
			return errors.Join(err, m.files.close(c.position()))
		}
		due := c.zero + media.Time((c.tick+1)*1_000_000/c.fps)
		wake.Reset(max(0, time.Duration(due-m.out.Clock().Now())*time.Microsecond))
	}
}

// round is one tick.
func (c *webCamera) round() error {
	m := c.m
	m.mu.Lock()
	s := m.stage
	m.mu.Unlock()
	if s.held != c.held {
		c.held = s.held
		if err := c.hold(); err != nil {
			return err
		}
	}
	if s.page != nil && (!c.held || !s.roll || c.tick%c.fps == 0) {
		// The browser may draw the next picture. It keeps to the time it is told: that
		// of the tick, however late we woke.
		late := m.out.Clock().Now() - c.zero - media.Time(c.tick*1_000_000/c.fps)
		s.page.Tick(monotonic() - time.Duration(late)*time.Microsecond)
	}
	if !s.roll || c.held {
		return nil
	}
	if !c.rolled {
		c.begin()
	}
	changed := false
	if s.page != nil && !s.frozen {
		changed = c.take(s.page)
	}
	if err := c.picture(changed); err != nil {
		return err
	}
	if err := c.hear(m.out.Clock().Now() - webDelay); err != nil {
		return err
	}
	return m.files.write()
}

// take draws what the page shows now.
func (c *webCamera) take(page tab) bool {
	return page.Draw(func(pix []byte, stride, x, y, w, h int) {
		if err := c.m.frame.DrawBGRX(pix, stride, x, y, w, h); err != nil {
			c.m.log.Error("a picture of the page cannot be drawn", "err", err)
		}
	})
}

// begin fixes the time of the first picture: the page has been painted.
func (c *webCamera) begin() {
	c.rolled, c.first = true, c.tick
	if p := c.m.current(); p != nil {
		p.Redraw()
	}
	start := c.time(c.tick)
	start -= ((start % 1000) + 1000) % 1000
	c.m.files.begin(start)
	c.soundPos = start.Samples48k()
	c.m.sound.seek(c.soundPos)
}

// time is when a picture taken at a tick is seen: the browser began it soon
// after the tick before.
func (c *webCamera) time(tick int64) media.Time {
	begun := (tick-1)*1_000_000 + 1_000_000/wayland.Phase
	return c.zero + media.Time(begun/c.fps) + webLag
}

// ticks90k is the time of picture n after the first, in 90 kHz ticks.
func (c *webCamera) ticks90k(n int64) int64 { return (n*90000 + c.fps/2) / c.fps }

// position is where the pictures end.
func (c *webCamera) position() media.Time { return c.m.files.time(c.ticks90k(c.next)) }

// picture encodes what was taken, if it is new or the last is old.
func (c *webCamera) picture(changed bool) error {
	n := c.tick - c.first
	if n < c.next {
		return nil
	}
	t := c.m.files.time(c.ticks90k(n))
	key := c.m.files.cutBefore(n, t) || c.m.resumes(n)
	beat := (c.tick-c.shown)*int64(time.Second) >= int64(webBeat)*c.fps
	if !changed && !key && !beat {
		return nil
	}
	var out []codec.Encoded
	var err error
	if changed || key {
		out, err = c.m.video.Encode(c.m.frame, n, key)
	} else {
		out, err = c.m.video.Repeat(c.m.frame, n)
	}
	if err != nil {
		return err
	}
	c.shown, c.next = c.tick, n+1
	for _, e := range out {
		c.m.files.video(e.Frame, c.ticks90k(e.Frame), e.Key, e.Data)
	}
	return nil
}

// resumes reports whether picture n is planned to begin a slice already.
func (m *webMode) resumes(n int64) bool {
	return len(m.files.planned) > 0 && m.files.planned[0] == n
}

// last encodes what is seen at the end, so that it is as long as it was seen:
// twice, since an MP4 gives its last picture the length of the one before.
func (c *webCamera) last() error {
	end := c.tick
	for c.tick = end - 1; c.tick <= end; c.tick++ {
		c.shown = 0
		if err := c.picture(false); err != nil {
			return err
		}
	}
	c.tick = end
	return nil
}

// hear encodes the sound up to time t.
func (c *webCamera) hear(t media.Time) error {
	for ; media.FromSamples48k(c.soundPos+codec.AACFrame) <= t; c.soundPos += codec.AACFrame {
		if c.m.sound.read(c.pcm, c.channels) {
			c.silent = 0
		} else {
			c.silent++
		}
		var out [][]byte
		if c.silent > silentFrames && c.silence != nil {
			out = [][]byte{c.silence} // as the encoder would say
		} else {
			var err error
			if out, err = c.m.audio.Encode(c.pcm); err != nil {
				return err
			}
			if c.silent > silentFrames && len(out) == 1 {
				c.silence = out[0]
			}
		}
		for _, aac := range out {
			if c.skip > 0 {
				c.skip--
				continue
			}
			c.m.files.audio(c.kept, aac)
			c.kept++
		}
	}
	return nil
}

// hold ends what is written, or lets it go on.
func (c *webCamera) hold() error {
	f := c.m.files
	if !c.rolled {
		return nil
	}
	if c.held {
		c.next = c.tick - c.first // up to this instant
		end := c.position()
		if err := c.cover(end); err != nil {
			return err
		}
		return f.suspend(end)
	}
	// The next picture follows the last one in the files, and the clock here.
	c.first = c.tick - c.next
	at := c.ticks90k(c.next)
	f.resume(c.next, at, c.time(c.tick))
	c.soundPos = f.time(c.kept*audioTicks).Samples48k() + int64(c.m.audio.Priming())
	c.m.sound.seek(c.soundPos)
	if p := c.m.current(); p != nil {
		p.Redraw()
	}
	return nil
}

// cover encodes sound until what comes out of the encoder reaches time t, which
// may not have come yet.
func (c *webCamera) cover(t media.Time) error {
	for c.m.files.time(c.kept*audioTicks) < t {
		if err := c.hear(media.FromSamples48k(c.soundPos + codec.AACFrame)); err != nil {
			return err
		}
	}
	return nil
}

// wrap closes the files.
func (c *webCamera) wrap() error {
	m := c.m
	if !c.rolled {
		return nil
	}
	var err error
	if !c.held {
		err = c.last()
	}
	end := c.position()
	err = errors.Join(err, c.cover(end))
	if m.sound.late > 0 {
		m.out.Gap("", "sound of the page came too late and was left out")
	}
	if err != nil {
		return errors.Join(err, m.files.close(end))
	}
	return m.files.finish(end)
}

// monotonic is the clock that the browser's compositor speaks of.
func monotonic() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
