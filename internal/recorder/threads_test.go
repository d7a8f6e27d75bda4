package recorder

import (
	"context"
	"runtime"
	"testing"
)

func TestThreadsFollowTheLoad(t *testing.T) {
	for _, c := range []struct {
		procs, most int
		used        float64
		want        int
	}{
		{1, 4, 0.1, 1},
		{1, 4, 0.54, 1},
		{1, 4, 0.56, 2},
		{1, 1, 1.0, 1},
		{2, 4, 0.56, 2},
		{2, 4, 0.36, 2}, // what one more was made for does not take it back
		{2, 4, 0.34, 1},
		{2, 4, 1.2, 3},
		{4, 4, 3.9, 4},
		{4, 4, 1.0, 3},
	} {
		if got := threadsFor(c.procs, c.most, c.used); got != c.want {
			t.Errorf("%d of %d threads and %.2f used: %d, want %d", c.procs, c.most, c.used, got, c.want)
		}
	}
}

// What the process had before it has again afterwards.
func TestThreadsAreGivenBack(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fitThreads(ctx)
	if n := runtime.GOMAXPROCS(0); n != before {
		t.Errorf("%d threads, want %d", n, before)
	}
}
