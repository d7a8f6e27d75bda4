// Package channel is the seam between a room of some media server and the
// recorder: who is there, what they send, and timed access units.
package channel

import (
	"context"

	"tapedeck/internal/media"
	"tapedeck/internal/session"
)

// User is a participant who is recorded or may be.
type User struct {
	UID      uint32 // identity as integer; a stable 32-bit hash for other identities (docs/formats/identities.md)
	Identity string // as in the room
	Mapped   bool   // UID is not what Identity says
}

// Source of a track.
type SourceKind uint8

// What a track shows or carries.
const (
	Camera SourceKind = iota
	Microphone
	Screen
	ScreenAudio
)

// Track is one published and subscribed stream of a user. It is immutable; a
// user who leaves and returns under the same uid publishes new tracks.
type Track struct {
	ID    string // unique within the run of a Source
	User  User
	Codec media.Codec
	Kind  SourceKind
}

// Event is one of the types below.
type Event interface{ event() }

type (
	// Connected: the recorder is in the room (again). Sent once per join.
	Connected struct{ At media.Time }
	// Joined: a participant is in the room, whether or not they publish.
	// Recorders and other hidden participants are never reported.
	Joined struct {
		User User
		At   media.Time
	}
	// Hosting: the user publishes something from now on, or nothing any more,
	// whether or not it is subscribed. Left ends it without an event.
	Hosting struct {
		User User
		On   bool
		At   media.Time
	}
	// Warned: something of a participant is not recorded, or may not be, until
	// somebody changes something. Who is refused altogether is never Joined.
	Warned struct {
		User User
		Code Warning
		Note string // what, why, and what to change
		At   media.Time
	}
	// Left: the participant is gone. Sent once per participant, after Ended
	// for each of their tracks.
	Left struct {
		User   User
		At     media.Time
		Reason string // "client", "timeout", "removed", "room-deleted", "replaced", "other"
	}
	// Started: a track is subscribed; its Media follow.
	Started struct {
		Track *Track
		At    media.Time
	}
	// Ended: no more Media of this track.
	Ended struct {
		Track *Track
		At    media.Time
	}
	// Muted tells that the user muted or unmuted a track.
	Muted struct {
		Track *Track
		Muted bool
		At    media.Time
	}
	// Media is one access unit, in decoding order per track.
	Media struct {
		Track *Track
		Unit  media.Unit
	}
	// Disconnected: the connection is lost and the Source tries to rejoin.
	// Left events for everybody precede it.
	Disconnected struct {
		At  media.Time
		Err error
	}
)

// Warning says what a Warned is about. The numbers stand in journals.
type Warning int

// Warnings of a Source.
const (
	WarnIdentity  Warning = 1001 // an identity is no integer and only integers are recorded
	WarnFull      Warning = 1002 // more users send than are recorded: this one waits
	WarnShared    Warning = 1003 // a participant has the recorder's own user id
	WarnCodec     Warning = 1004 // a track cannot be received
	WarnKey       Warning = 1005 // a track does not open with the recording's key
	WarnEncrypted Warning = 1006 // a track is encrypted and the recording has no key
)

func (Connected) event()    {}
func (Joined) event()       {}
func (Hosting) event()      {}
func (Warned) event()       {}
func (Left) event()         {}
func (Started) event()      {}
func (Ended) event()        {}
func (Muted) event()        {}
func (Media) event()        {}
func (Disconnected) event() {}

// Source is a room seen by a recorder.
type Source interface {
	// Run joins and delivers events until ctx ends, the room refuses us for
	// good, or somebody removes us; it then returns nil (ctx ended) or an
	// *EndError. handle is never called by two goroutines at a time and must
	// not block for long: the caller queues.
	Run(ctx context.Context, handle func(Event)) error
	// RequestKey asks the sender of a video track for a key frame (PLI), at
	// most one a second per track.
	RequestKey(t *Track)
	// SetSize says how large a video track is drawn, in pixels, so that the
	// matching simulcast layer is sent. 0, 0 asks for the highest layer.
	SetSize(t *Track, w, h int)
	// SetSubscription replaces the lists of whose media is wanted.
	SetSubscription(s session.Subscription)
	// SetToken replaces the room token for later rejoins.
	SetToken(token string)
	// Stats returns counters per track since its start.
	Stats() []TrackStats
}

// TrackStats counts what happened to one track's packets.
type TrackStats struct {
	Track    *Track
	Packets  int64
	Lost     int64 // never arrived, after retransmission
	Late     int64 // arrived after they were given up
	Dup      int64
	Repaired int64 // arrived out of order within the wait
	Frames   int64
}

// End says why a Source stopped for good.
type End string

// Reasons of EndError.
const (
	EndRefused   End = "refused"    // the server does not accept our token or key
	EndRemoved   End = "removed"    // kicked, or replaced by the same identity
	EndRoom      End = "room-ended" // the room was deleted or closed as empty
	EndUnreached End = "unreachable"
)

// EndError is returned by Run. Err never holds a token.
type EndError struct {
	End End
	Err error
}

// Error implements error.
func (e *EndError) Error() string {
	if e.Err == nil {
		return "channel: " + string(e.End)
	}
	return "channel: " + string(e.End) + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *EndError) Unwrap() error { return e.Err }
