package timing

import (
	"math"
	"time"
)

// Report takes a sender report of the track (RFC 3550 section 6.4.1) that was
// received at the given moment. Reports that contradict everything known are
// ignored until a second one agrees with them.
func (t *Track) Report(ntp uint64, rtp uint32, at time.Time) {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	if ntp == 0 || !t.begun {
		return
	}
	now := t.s.seconds(at)
	t.s.now = math.Max(t.s.now, now)
	x := t.unwrap(rtp)
	// An RTP time that is far from where the stream must be by now belongs to
	// another stream, or to none.
	if math.Abs(x-(t.newest+now-t.newestAt)) > reportNear {
		return
	}
	if t.s.epoch == 0 {
		t.s.epoch = ntp
	}
	if t.line.empty() {
		t.first(ntp, x, now)
		return
	}
	y := t.s.ntp(ntp) - t.shift
	if x < t.line.last()+reportOld {
		return
	}
	off := y - t.line.at(x)
	if math.Abs(off) > reportStep+strayPPM*(x-t.line.last()) {
		if !t.believe(off) {
			return
		}
		y = t.s.ntp(ntp) - t.shift
		if math.Abs(y-t.line.at(x)) > reportStep {
			return
		}
	}
	t.doubted = false
	t.replace(func() { t.line.add(x, y) })
}

// unwrap extends an RTP timestamp by the newest packet's.
func (t *Track) unwrap(rtp uint32) float64 {
	return t.x(t.newestExt + int64(int32(rtp-uint32(t.newestExt)))) //nolint:gosec // modulo 2^32 by definition
}

// believe decides on a report that is off by more than noise: the sender's wall
// clock has been stepped if the next report says the same. The step is shared,
// so that tracks which see it one after the other stay together.
func (t *Track) believe(off float64) bool {
	if !t.doubted || math.Abs(off-t.doubt) > reportStep {
		t.doubt, t.doubted = off, true
		return false
	}
	t.doubted = false
	if math.Abs(t.shift+off-t.s.shift) > reportStep {
		t.s.shift = t.shift + off
	}
	t.shift = t.s.shift
	return true
}

// first takes the first report of a track. Where the offset is not known yet,
// the track's place by arrival gives it.
func (t *Track) first(ntp uint64, x, now float64) {
	s := t.s
	t.shift = s.shift
	if s.offset.known() {
		y := s.ntp(ntp) - t.shift
		off := y + s.offset.at(y) - t.estimate(x)
		if math.Abs(off) > reportNear && !t.believe(off) {
			return
		}
	}
	here := t.lastX
	if !t.mapped {
		here = t.newest
	}
	before := t.estimate(here) + t.wrong
	fastest := t.newest + t.place
	t.line.add(x, s.ntp(ntp)-t.shift)
	t.doubted, t.wrong = false, 0
	s.delay.add(now, fastest-t.line.at(t.newest))
	y := t.line.at(here)
	if !s.offset.known() {
		s.offset.set(y, before-y)
		s.sound = !t.video
		return
	}
	off := before - y - s.offset.at(y) // how far the track is from where it belongs
	switch {
	case math.Abs(off) > stepError || !t.mapped:
	case !t.video && !s.sound:
		for _, other := range s.tracks {
			if other != t && !other.line.empty() {
				other.wrong -= off
			}
		}
		s.offset.raise(off)
	default:
		t.wrong = off
	}
	s.sound = s.sound || !t.video
}
