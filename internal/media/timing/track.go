package timing

import (
	"math"
	"time"

	"tapedeck/internal/media"
)

// All in seconds.
const (
	stepError  = 1.    // more is corrected at once
	gap        = 0.5   // of a track: nobody sees or hears a correction in it
	future     = 1.    // a packet that seems to come from further ahead has another clock
	rewind     = 5.    // a packet that is this much older than the newest, likewise
	paused     = 5.    // a delay that is this long
	pausedFor  = 2.    // for this long is no delay: the RTP clock stood still
	reportNear = 10.   // of a report's RTP time to the stream's
	reportStep = 0.25  // a report that is further off the line is doubted
	strayPPM   = 1e-3  // and more after a long silence
	tick       = 1e-6  // resolution of media.Time
	half       = 0.5   // slowest advance of the timeline against RTP
	reportOld  = 0.001 // a report must be this much newer than the one before
)

// Track maps the RTP timestamps of one track.
type Track struct {
	s     *Sender
	rate  float64
	video bool
	slew  float64

	begun     bool
	origin    int64   // extended RTP timestamp that counts as x = 0
	newest    float64 // x of the newest packet
	newestExt int64
	newestAt  float64 // its arrival
	late      float64 // arrival since when every packet has been late, or 0

	arrival lowest // arrival − x
	place   float64
	line    fit
	shift   float64 // of the sender's wall clock, as far as this track has seen
	doubt   float64 // how far the last refused report was off
	doubted bool

	mapped bool
	lastX  float64
	last   float64 // latest time given out
	wrong  float64 // s by which the track is still placed later than estimated
}

// Arrive tells that a packet with an extended (unwrapped) RTP timestamp was
// received at the given moment. Packets may be out of order. It returns by how
// much the track's place moves forward by it, as long as that comes from arrival
// alone: while it does, packets are being read late, and whoever can wait should.
func (t *Track) Arrive(ext int64, at time.Time) time.Duration {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	now := t.s.seconds(at)
	t.s.now = math.Max(t.s.now, now)
	if !t.begun || t.jumped(t.x(ext), now) {
		t.restart(ext, now)
	}
	x := t.x(ext)
	if x > t.newest {
		t.newest, t.newestExt, t.newestAt = x, ext, now
	}
	if t.line.empty() {
		before := t.place
		t.arrival.add(now, now-x)
		t.replace(func() { t.place, _ = t.arrival.min(t.s.now) })
		return time.Duration(math.Max(0, before-t.place) * 1e9)
	}
	t.s.delay.add(now, now-t.line.at(x))
	return 0
}

func (t *Track) x(ext int64) float64 { return float64(ext-t.origin) / t.rate }

// restart begins anew at a packet: the RTP clock is another one than before.
func (t *Track) restart(ext int64, now float64) {
	t.begun, t.origin, t.newestExt = true, ext, ext
	t.newest, t.newestAt, t.lastX, t.late = 0, now, 0, 0
	t.arrival, t.place, t.wrong = lowest{}, now, 0
	t.line.reset()
	t.doubted = false
}

// jumped reports that a packet cannot belong to the clock of those before it.
// A packet comes late for many reasons, but never early.
func (t *Track) jumped(x, now float64) bool {
	expected := t.estimate(x)
	if expected-now > future || t.newest-x > rewind {
		return true
	}
	if now-expected < paused {
		t.late = 0
		return false
	}
	if t.late == 0 {
		t.late = now
	}
	return now-t.late > pausedFor
}

// estimate is where x belongs by all that is known, without corrections that
// are still under way.
func (t *Track) estimate(x float64) float64 {
	if t.line.empty() {
		return x + t.place
	}
	y := t.line.at(x)
	return y + t.s.offset.at(y)
}

// replace lets change alter what estimate returns and keeps the track where it
// is; Map then slews.
func (t *Track) replace(change func()) {
	before := t.estimate(t.lastX)
	change()
	if !t.mapped {
		return
	}
	t.wrong += before - t.estimate(t.lastX)
	if math.Abs(t.wrong) > stepError {
		t.wrong = 0
	}
}

// Map returns the time of an extended RTP timestamp on the recording's
// timeline. Call it once per access unit, in decoding order: the result is
// later than that of the call before by a microsecond at least.
func (t *Track) Map(ext int64) media.Time {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	if !t.begun {
		t.restart(ext, float64(t.s.clock.Now())/1e6)
	}
	x := t.x(ext)
	if t.mapped && x > t.newest {
		// It arrived before the sender changed its RTP clock.
		t.last += tick
		return media.Time(math.Round(t.last * 1e6))
	}
	step := 0.
	if t.mapped {
		step = math.Max(0, x-t.lastX)
	}
	if !t.line.empty() {
		t.s.move(t.line.at(x))
	}
	t.wrong -= clamp(t.wrong, step*t.slew)
	if step > gap {
		t.wrong = 0
	}
	at := math.Min(t.estimate(x)+t.wrong, math.Max(t.s.now, t.newestAt)+future)
	if t.mapped {
		at = math.Max(at, t.last+math.Max(tick, half*math.Min(step, gap)))
	}
	if x > t.lastX || !t.mapped {
		t.lastX = x
	}
	us := media.Time(math.Round(at * 1e6))
	if t.mapped {
		us = max(us, media.Time(math.Round(t.last*1e6))+1)
	}
	t.mapped, t.last = true, float64(us)/1e6
	return us
}
