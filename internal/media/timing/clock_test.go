package timing

import (
	"testing"
	"time"
)

func TestClockStartsAtWholeMilliseconds(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 123_999_000, time.FixedZone("x", 3600))
	c := NewClock(time.Time{}, func() time.Time { return at })
	if want := time.Date(2026, 3, 4, 4, 6, 7, 123_000_000, time.UTC); !c.Zero().Equal(want) || c.Zero().Location() != time.UTC {
		t.Errorf("zero is %v, want %v", c.Zero(), want)
	}
	if c.Now() != 999 {
		t.Errorf("now is %d µs, want 999", c.Now())
	}
	if got := c.At(at.Add(-2 * time.Second)); got != 999-2_000_000 {
		t.Errorf("two seconds earlier is %d µs", got)
	}
	if got := c.UTC(c.Now()); !got.Equal(at) {
		t.Errorf("UTC of now is %v, want %v", got, at)
	}
}

func TestClockContinuesAnEarlierRecording(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	c := NewClock(at.Add(-time.Minute), func() time.Time { return at })
	if c.Now() != 60_000_000 {
		t.Errorf("now is %d µs, want one minute", c.Now())
	}
}

func TestClockIgnoresStepsOfTheWallClock(t *testing.T) {
	// Times of time.Now carry a monotonic reading, which Sub prefers.
	start := time.Now()
	c := NewClock(time.Time{}, func() time.Time { return start })
	later := start.Add(time.Second)
	if got := c.At(later) - c.At(start); got != 1_000_000 {
		t.Errorf("one second is %d µs", got)
	}
}
