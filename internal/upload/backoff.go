package upload

import (
	"time"

	"tapedeck/internal/upload/vendor"
)

// Backoff says how long to wait before a file is tried again. Delays double
// from First to Max; each is drawn between its half and its whole, so that many
// recordings do not come back at the same moment.
type Backoff struct {
	First time.Duration // after the first failure
	// FirstCaller is the first delay after a caller's fault: a wrong key or
	// bucket is mended by people, not by waiting a second.
	FirstCaller time.Duration
	Max         time.Duration
}

// DefaultBackoff is for production.
func DefaultBackoff() Backoff {
	return Backoff{First: time.Second, FirstCaller: 15 * time.Second, Max: 5 * time.Minute}
}

// delay returns the time to wait after the tries-th failure in a row; random is
// in [0, 1).
func (b Backoff) delay(tries int, f vendor.Fault, random float64) time.Duration {
	d := b.First
	if f == vendor.Caller {
		d = b.FirstCaller
	}
	for range tries - 1 {
		if d >= b.Max {
			break
		}
		d *= 2
	}
	d = min(d, b.Max)
	return d/2 + time.Duration(random*float64(d/2))
}

// waits reports whether it is too early for what may be tried again at until. A
// wait that is longer than any comes of a clock that was set back, and is over.
func (b Backoff) waits(now, until time.Time) bool {
	left := until.Sub(now)
	return left > 0 && left <= b.Max
}

// breaker holds back while nothing gets through: after a failure that is not
// our own only one file at a time is tried, and not before the delay is over.
type breaker struct {
	failures int
	since    time.Time // of the first failure in a row
	until    time.Time
	fault    vendor.Fault // of the newest failure
}

func (b *breaker) failed(now time.Time, f vendor.Fault, bo Backoff, random float64) {
	if f == vendor.Ours {
		return
	}
	if b.failures++; b.failures == 1 || f != b.fault {
		b.since = now
	}
	b.fault = f
	b.until = now.Add(bo.delay(b.failures, f, random))
}

// out reports whether the store has been out of order for so long: not the
// caller's doing, and nothing got through.
func (b *breaker) out(now time.Time, long time.Duration) bool {
	if now.Before(b.since) {
		b.since = now // the clock was set back
	}
	return b.failures > 0 && b.fault == vendor.Destination && now.Sub(b.since) >= long
}

// width returns how many files may be under way at now, of at most most.
func (b *breaker) width(now time.Time, bo Backoff, most int) int {
	switch {
	case b.failures == 0:
		return most
	case bo.waits(now, b.until):
		return 0
	}
	return 1
}
