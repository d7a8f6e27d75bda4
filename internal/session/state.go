package session

import "fmt"

// State is where a recording stands. States only go up (design.md 3).
type State string

// The states of a recording. Failed is reached from any of the others but Done.
const (
	Starting  State = "starting"
	Recording State = "recording"
	Stopping  State = "stopping"
	Uploading State = "uploading"
	Done      State = "done"
	Failed    State = "failed"
)

// Live reports whether a worker may be running.
func (s State) Live() bool { return s == Starting || s == Recording || s == Stopping }

// Ended reports whether nothing more will happen.
func (s State) Ended() bool { return s == Done || s == Failed }

// Exiting reports whether the recording has left the channel, or is about to,
// and its files are still on their way.
func (s State) Exiting() bool { return s == Stopping || s == Uploading }

func (s State) rank() int {
	switch s {
	case Starting:
		return 0
	case Recording:
		return 1
	case Stopping:
		return 2
	case Uploading:
		return 3
	case Done, Failed:
		return 4
	}
	return -1
}

// To returns next if the step is allowed: upwards only, to Failed from any
// state that has not ended. Staying where one is is allowed too.
func (s State) To(next State) (State, error) {
	if s == next {
		return s, nil
	}
	if s.rank() < 0 || next.rank() <= s.rank() || s.Ended() {
		return s, fmt.Errorf("session: no step from %q to %q", s, next)
	}
	return next, nil
}

// Status is the number that query shows (rest-api.md 8.3).
type Status int

// Values of query's status.
const (
	StatusIdle      Status = 0
	StatusInit      Status = 1
	StatusStarting  Status = 2
	StatusPartReady Status = 3
	StatusReady     Status = 4 // in the channel
	StatusProgress  Status = 5 // first file uploaded
	StatusStopping  Status = 6
	StatusStopped   Status = 7
	StatusExit      Status = 8
	StatusAbnormal  Status = 20
)
