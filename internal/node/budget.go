package node

import "time"

const (
	restarts     = 3
	restartsSpan = time.Minute
	restartPause = 500 * time.Millisecond // before the second one in a span, then twice as long
)

// budget bounds how often a worker is started again.
type budget struct{ at []time.Time }

// take books a restart now and returns how long to wait before it, or false if
// there were too many.
func (b *budget) take(now time.Time) (time.Duration, bool) {
	recent := b.at[:0]
	for _, t := range b.at {
		if now.Sub(t) < restartsSpan {
			recent = append(recent, t)
		}
	}
	b.at = recent
	if len(recent) >= restarts {
		return 0, false
	}
	b.at = append(b.at, now)
	return restartPause * time.Duration(len(recent)), true
}
