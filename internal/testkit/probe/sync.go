package probe

import (
	"fmt"
	"slices"
	"time"
)

// Offset is the distance of one beep from its flash.
type Offset struct {
	At time.Duration // of the flash
	AV time.Duration // beep minus flash: positive = the sound is late
}

// Offsets pairs each flash with the nearest beep, if one lies within 400 ms.
func Offsets(flashes []Flash, beeps []Beep) []Offset {
	var out []Offset
	for _, f := range flashes {
		best, found := time.Duration(0), false
		for _, b := range beeps {
			d := b.Start - f.Start
			if d.Abs() <= 400*time.Millisecond && (!found || d.Abs() < best.Abs()) {
				best, found = d, true
			}
		}
		if found {
			out = append(out, Offset{At: f.Start, AV: best})
		}
	}
	return out
}

// Sync sums up offsets. Start and End are the medians of the first and of the
// last three.
type Sync struct {
	Count                      int
	Start, End, Median, Lowest time.Duration
	Highest                    time.Duration
}

// SyncOf sums up; ok is false when there are fewer than three offsets.
func SyncOf(offsets []Offset) (s Sync, ok bool) {
	n := len(offsets)
	if n < 3 {
		return Sync{Count: n}, false
	}
	mid := func(part []Offset) time.Duration {
		v := make([]time.Duration, 0, len(part))
		for _, o := range part {
			v = append(v, o.AV)
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	s = Sync{Count: n, Start: mid(offsets[:3]), End: mid(offsets[n-3:]), Median: mid(offsets)}
	s.Lowest, s.Highest = offsets[0].AV, offsets[0].AV
	for _, o := range offsets {
		s.Lowest, s.Highest = min(s.Lowest, o.AV), max(s.Highest, o.AV)
	}
	return s, true
}

// Within reports an error when Start, End or Median is farther from zero than
// limit.
func (s Sync) Within(limit time.Duration) error {
	for _, d := range []time.Duration{s.Start, s.End, s.Median} {
		if d.Abs() > limit {
			return fmt.Errorf("probe: an A/V offset of %v is more than %v: %v", d, limit, s)
		}
	}
	return nil
}

// String gives the offsets in ms.
func (s Sync) String() string {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return fmt.Sprintf("start %+.1f end %+.1f median %+.1f range %+.1f..%+.1f ms (%d)", ms(s.Start), ms(s.End), ms(s.Median), ms(s.Lowest), ms(s.Highest), s.Count)
}
