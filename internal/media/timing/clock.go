// Package timing makes the timestamps of a recording. It is the only place that
// does: one Clock per recording gives the timeline, one Sender per participant
// maps the RTP time of their tracks to it by RTCP sender reports (RFC 3550
// section 6.4.1).
package timing

import (
	"time"

	"tapedeck/internal/media"
)

// Clock is the timeline of one recording: microseconds since a UTC instant. It
// follows the monotonic clock once it is made, so that a step of the wall clock
// leaves the recording alone. A Clock never changes and may be shared.
type Clock struct {
	zero  time.Time     // UTC, whole milliseconds
	start time.Time     // with its monotonic reading
	ahead time.Duration // from zero to start, by the wall clock
	now   func() time.Time
}

// NewClock makes the clock of a recording that began at zero. A worker that
// continues a recording passes the zero of the first one; the time between is
// then taken from the wall clock once. A zero time.Time means now.
func NewClock(zero time.Time, now func() time.Time) *Clock {
	start := now()
	if zero.IsZero() {
		zero = start
	}
	zero = zero.UTC().Round(0).Truncate(time.Millisecond)
	return &Clock{zero: zero, start: start, ahead: start.Round(0).Sub(zero), now: now}
}

// Zero returns the UTC instant of media.Time 0, in whole milliseconds.
func (c *Clock) Zero() time.Time { return c.zero }

// Now returns the present time on the timeline.
func (c *Clock) Now() media.Time { return c.At(c.now()) }

// At converts t, which should carry a monotonic reading, to the timeline.
func (c *Clock) At(t time.Time) media.Time {
	return media.Time((c.ahead + t.Sub(c.start)).Microseconds())
}

// UTC is the inverse of At: the wall clock time of a point on the timeline, as
// if the wall clock had never been stepped since the Clock was made.
func (c *Clock) UTC(t media.Time) time.Time {
	return c.zero.Add(time.Duration(t) * time.Microsecond)
}
