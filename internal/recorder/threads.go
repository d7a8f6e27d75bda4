package recorder

import (
	"context"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
)

// Package runtime wakes another thread for every goroutine that becomes ready,
// and every packet passes through five of them. As long as one processor is
// enough for a recording, waking others costs more than all else that is done
// with a packet: so a recording that only hands on begins with one, and gets more
// when it needs them.
const (
	threadsLook = 2 * time.Second
	threadsMore = 0.55 // of what there is: from here on one more
	threadsLess = 0.35 // of what would be left: below it one less

	// What lives in memory is a few MB, and nearly all that is allocated is a
	// packet that is gone in a second: a collection for every few MB of packets
	// finds nothing else.
	collectAt = 300 // per cent of what lives
)

// fitThreads fits the number of threads that run Go to what is used, lets them rest
// between packets, and memory be collected less often, until ctx ends.
func fitThreads(ctx context.Context) {
	most := runtime.NumCPU()
	procs := 1
	runtime.GOMAXPROCS(procs)
	defer runtime.SetDefaultGOMAXPROCS()
	defer debug.SetGCPercent(debug.SetGCPercent(collectAt))
	var r resting
	defer r.set(false)
	t := time.NewTicker(threadsLook)
	defer t.Stop()
	last := cpuTime()
	at := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			used := cpuTime()
			share := float64(used-last) / float64(now.Sub(at))
			if n := threadsFor(procs, most, share); n != procs {
				procs = n
				runtime.GOMAXPROCS(procs)
			}
			r.set(shouldRest(r.stop != nil, procs, share))
			last, at = used, now
		}
	}
}

// oneThread lets one thread run Go, beside one that encodes, and memory be
// collected less often, until ctx ends: what a page's recording does besides
// encoding is little.
func oneThread(ctx context.Context) {
	runtime.GOMAXPROCS(1)
	defer runtime.SetDefaultGOMAXPROCS()
	defer debug.SetGCPercent(debug.SetGCPercent(collectAt))
	<-ctx.Done()
}

// threadsFor is how many threads there should be where there are procs now and
// so many processors' time is used.
func threadsFor(procs, most int, used float64) int {
	switch {
	case procs < most && used > threadsMore*float64(procs):
		return procs + 1
	case procs > 1 && used < threadsLess*float64(procs-1):
		return procs - 1
	}
	return procs
}

// cpuTime is the processor time that this process has used, codecs included.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
