package timing

import "math"

const (
	fitReports = 24   // sender reports that the line is laid through
	fitAge     = 300. // s, older ones are forgotten after a long silence
	slopeError = 1e-3 // no sender's media clock is off by more

	// How much is known of a slope before any report: quartz is within about
	// 100 ppm and reports are within about 3 ms, so the spread (s²) at which the
	// reports weigh as much as that knowledge is (3e-3/1e-4)².
	slopePrior = 900.
)

// fit is a line through the latest sender reports of one track: sender wall
// clock y over RTP time x, both in seconds. With few reports its slope stays
// near 1, because two reports with some noise say little about a slope.
type fit struct {
	x, y   []float64
	mx, my float64
	slope  float64
}

func (f *fit) empty() bool { return len(f.x) == 0 }

// last is the x of the newest report.
func (f *fit) last() float64 { return f.x[len(f.x)-1] }

// add takes a report that is newer than all before.
func (f *fit) add(x, y float64) {
	f.x, f.y = append(f.x, x), append(f.y, y)
	for len(f.x) > fitReports || x-f.x[0] > fitAge {
		f.x, f.y = f.x[1:], f.y[1:]
	}
	n := float64(len(f.x))
	f.mx, f.my = 0, 0
	for i := range f.x {
		f.mx += f.x[i] / n
		f.my += f.y[i] / n
	}
	var sxx, sxy float64
	for i := range f.x {
		dx := f.x[i] - f.mx
		sxx += dx * dx
		sxy += dx * (f.y[i] - f.my)
	}
	f.slope = (sxy + slopePrior) / (sxx + slopePrior)
	if math.Abs(f.slope-1) > slopeError {
		f.slope = 1
	}
}

func (f *fit) at(x float64) float64 { return f.my + f.slope*(x-f.mx) }

func (f *fit) reset() { *f = fit{} }

const (
	bucket  = 5. // s
	buckets = 12
)

// lowest is the minimum of a value over the last minute, in steps of a bucket.
// A packet is never too early, so the minimum of arrival minus sending time is
// free of jitter.
type lowest struct {
	slot [buckets]struct {
		n   int64
		min float64
		set bool
	}
}

func (l *lowest) add(at, v float64) {
	n := int64(math.Floor(at / bucket))
	s := &l.slot[((n%buckets)+buckets)%buckets]
	switch {
	case !s.set || s.n < n:
		s.n, s.min, s.set = n, v, true
	case s.n == n && v < s.min:
		s.min = v
	}
}

// min returns the minimum up to time at, if there is any.
func (l *lowest) min(at float64) (float64, bool) {
	n := int64(math.Floor(at / bucket))
	best, ok := math.Inf(1), false
	for i := range l.slot {
		if s := &l.slot[i]; s.set && s.n > n-buckets {
			best, ok = math.Min(best, s.min), true
		}
	}
	return best, ok
}
