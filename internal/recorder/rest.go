package recorder

import (
	"sync"
	"time"
)

// A process that waits for packets one by one pays for each of them with a sleep
// and a wake-up: of its own thread, and of the runtime's monitor, which looks around
// every 20 µs as long as anything runs. That is more than all else that is done with a
// packet. A recording has time: as long as one thread runs Go, and there is enough to do,
// it rests for restFor at a time and then takes all that has come.
const (
	restFor  = 5 * time.Millisecond // far below what a lost packet is waited for, or a picture lasts
	restFrom = 0.015                // of a processor: from here on resting pays
	restTo   = 0.006                // resting itself costs about half of this
)

// resting lets the process rest or not.
type resting struct {
	stop chan struct{} // nil: it does not
	work sync.WaitGroup
}

// shouldRest reports whether the process should rest that runs Go on procs threads and uses
// so much of a processor. now is whether it does.
func shouldRest(now bool, procs int, used float64) bool {
	return procs == 1 && (used > restFrom || now && used > restTo)
}

// set begins or ends resting, and waits for its end.
func (r *resting) set(on bool) {
	switch {
	case on && r.stop == nil:
		stop := make(chan struct{})
		r.stop = stop
		r.work.Go(func() { rest(stop) })
	case !on && r.stop != nil:
		close(r.stop)
		r.work.Wait()
		r.stop = nil
	}
}
