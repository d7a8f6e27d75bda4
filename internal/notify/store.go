package notify

import (
	"context"
	"errors"
	"time"
)

// Store keeps events and what became of them. The ledger implements it.
type Store interface {
	// Tail returns the place of the newest event of an app, or of the newest
	// entry of all if app is empty; 0 if there is none.
	Tail(ctx context.Context, app string) (uint64, error)
	// Follow gives the entries for an endpoint of an app behind the place
	// after to use, in order, those to come as well, until ctx ends.
	Follow(ctx context.Context, app, endpoint string, after uint64, use func(Entry)) error
	// Entry returns one entry, ErrGone if it is not kept any more.
	Entry(ctx context.Context, place uint64) (Entry, error)
	// Position returns how far an endpoint has come; rev is 0 if nobody has
	// delivered to it yet.
	Position(ctx context.Context, endpoint string) (p Position, rev uint64, err error)
	// SavePosition replaces the position if its revision is rev, else ErrTaken.
	SavePosition(ctx context.Context, endpoint string, p Position, rev uint64) (uint64, error)
	// Bury keeps an event that was given up.
	Bury(ctx context.Context, d Dead) error
}

// Errors of a Store.
var (
	ErrGone  = errors.New("notify: the event is not kept any more")
	ErrTaken = errors.New("notify: another node is faster")
)

// Entry is an event in the outbox. Places ascend; those of one recording in
// the order of its sequence.
type Entry struct {
	Place uint64
	At    time.Time // when it was put in
	Event Event
}

// Position says which entries an endpoint has had: those up to Head but for
// the open ones. Its JSON form is described in docs/formats/outbox.md.
type Position struct {
	V      int    `json:"v"`
	Holder string `json:"holder,omitempty"` // the node that delivers; "" when it has stopped
	Head   uint64 `json:"head"`
	Open   []Open `json:"open,omitempty"` // ascending
}

// PositionVersion is the value of Position.V that this build writes and reads.
const PositionVersion = 1

// Open is an entry that was read and not finished.
type Open struct {
	Place uint64 `json:"p"`
	Tries int    `json:"n,omitempty"` // attempts that failed
}

// Dead is an event that an endpoint did not take.
type Dead struct {
	V        int    `json:"v"`
	Endpoint string `json:"endpoint"` // its id
	URL      string `json:"url"`      // without query and user
	Event    Event  `json:"event"`
	Tries    int    `json:"tries"`
	At       int64  `json:"at"`    // Unix ms when it was given up
	Error    string `json:"error"` // of the last attempt
}

// DeadVersion is the value of Dead.V that this build writes and reads.
const DeadVersion = 1

// DeadEntry is a dead letter and its place.
type DeadEntry struct {
	Place uint64
	Dead  Dead
}
