// Package link is the socket between a node and a worker: newline-delimited
// JSON messages over a Unix stream socket in the recording's spool folder. The
// worker listens, so that a node that was restarted finds it again. Durable
// facts travel by the journal, never by the link: a link may break at any
// moment and nothing is lost. The format is golden-tested (docs/formats/link.md).
package link

import (
	"tapedeck/internal/session"
)

// Version of the protocol. A node and a worker of different versions part.
const Version = 1

// Type names a message.
type Type string

// Messages of the worker (hello first, then any) and of the node.
const (
	Hello     Type = "hello"     // both: Version, PID
	Run       Type = "run"       // node: Job; ignored by a worker that already has one
	Token     Type = "token"     // node: a fresh room token for later rejoins
	Subscribe Type = "subscribe" // node: new lists
	Layout    Type = "layout"    // node: new layout
	Hold      Type = "hold"      // node: OnHold; pause or go on
	PushTo    Type = "push"      // node: Push; the live push outputs from now on
	Stop      Type = "stop"      // node: drain, close the files, end
	Done      Type = "done"      // node: every file is safe or taken over, the worker may exit
	Status    Type = "status"    // worker: Status, Note
)

// Message is one line. Only the members of its type are set.
type Message struct {
	Type         Type                  `json:"type"`
	Version      int                   `json:"v,omitempty"`
	PID          int                   `json:"pid,omitempty"`
	Job          *Job                  `json:"job,omitempty"`
	Token        string                `json:"token,omitempty"`
	Subscription *session.Subscription `json:"subscription,omitempty"`
	Layout       *session.Layout       `json:"layout,omitempty"`
	OnHold       bool                  `json:"onhold,omitempty"`
	Push         []string              `json:"push,omitempty"`
	Status       int                   `json:"status,omitempty"` // session.Status
	Note         string                `json:"note,omitempty"`
}

// Job is what a worker is told to do.
type Job struct {
	Plan session.Plan `json:"plan"`
	Room Room         `json:"room"` // empty in web mode

	// Private is what the recording needs and nobody may read: it lives in
	// the memory of the worker only.
	Private *session.Private `json:"private,omitempty"`
}

// Room says how to join. The token is minted by the node; the worker never
// sees the key pair behind it.
type Room struct {
	URL      string `json:"url"`      // ws:// or wss://
	Token    string `json:"token"`    // LiveKit JWT, hidden recorder
	Identity string `json:"identity"` // the recorder's own identity in the room
}
