// Package notify tells a caller's server what happens to their recordings. An
// event is written to the outbox in the ledger first and delivered from there,
// by any node, as a signed webhook: at least once, in order for each recording.
//
// The event types, their payloads and docs/api/events.md come from one table,
// events.json; `go test ./internal/notify -run Generated -update` makes them
// again after a change. The wire format is that of spec/events.md.
package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// Type is the number of an event type (events.md 5).
type Type int

// Service is the component that emits an event (events.md 1.3).
type Service int

// Values of serviceScene (events.md 1.4).
const (
	SceneRecord            = "rtc_record"
	SceneSnapshot          = "rtc_snapshot"
	ScenePage              = "web_record"
	ScenePostponed         = "postpone_transcode::rtc_record"
	SceneTranscode         = "postpone_transcode::transcode"
	SceneTranscodeFailover = "postpone_transcode::transcode_failover"
)

// ProductID of cloud recording; every notice carries it.
const ProductID = 3

// Details is the part of an event that belongs to its type: one of the types
// of the table.
type Details interface{ EventType() Type }

// Name returns the event type's msgName, "" for a type that is not in the table.
func (t Type) Name() string { return t.info().msg }

// Service returns the component that emits events of this type.
func (t Type) Service() Service { return t.info().service }

// Known reports whether the type is in the table.
func (t Type) Known() bool { return t.info().msg != "" }

type info struct {
	msg     string
	service Service
}

// Event is one thing that happened to a recording, as the outbox keeps it. Its
// JSON form is described in docs/formats/outbox.md.
type Event struct {
	V       int             `json:"v"`
	ID      string          `json:"id"` // noticeId; the same when the event is derived again
	App     string          `json:"app"`
	CName   string          `json:"cname"`
	UID     uint32          `json:"uid"` // the recorder's
	SID     string          `json:"sid"`
	Seq     int64           `json:"seq"` // 0, 1, ... for each recording
	Type    Type            `json:"type"`
	Scene   string          `json:"scene"`
	At      int64           `json:"at"`                // Unix ms when it happened
	Details json.RawMessage `json:"details,omitempty"` // with msgName
	Sealed  []byte          `json:"sealed,omitempty"`  // in place of Details where those hold a secret
	Marks   Marks           `json:"marks"`             // up to where the recording was looked at
}

// EventVersion is the value of Event.V that this build writes and reads.
const EventVersion = 1

// Marks say how much of a recording's logs has become events. They are written
// with each event, so that a node that takes up a recording, after a crash or
// from another node, derives neither an event twice nor one too few.
type Marks struct {
	Epoch    int      `json:"e,omitempty"` // of the node whose logs these are
	Journal  Mark     `json:"j,omitzero"`
	Receipts Mark     `json:"r,omitzero"`
	Minute   int64    `json:"m,omitempty"`    // of the newest event 33, counted from the start
	Once     []string `json:"once,omitempty"` // things that are told once
}

// Mark is a place in a log: the position of a line, plus one, and how many
// events it has brought. The zero value is before everything.
type Mark struct {
	At int64 `json:"at,omitempty"`
	N  int   `json:"n,omitempty"`
}

// Before reports whether m is an earlier place than o.
func (m Mark) Before(o Mark) bool { return m.At < o.At || m.At == o.At && m.N < o.N }

// Encode returns the stored form.
func (e Event) Encode() ([]byte, error) {
	e.V = EventVersion
	b, err := marshal(e)
	if err != nil {
		return nil, fmt.Errorf("notify: encode event %s: %w", e.ID, err)
	}
	return b, nil
}

// DecodeEvent reads a stored event.
func DecodeEvent(b []byte) (Event, error) {
	var e Event
	if err := json.Unmarshal(b, &e); err != nil {
		return Event{}, fmt.Errorf("notify: bad event: %w", err)
	}
	if e.V != EventVersion {
		return Event{}, fmt.Errorf("notify: event %s has version %d, this build reads %d: let the build that wrote it deliver it", e.ID, e.V, EventVersion)
	}
	return e, nil
}

// EncodeDetails returns the details object of an event, msgName first.
func EncodeDetails(d Details) (json.RawMessage, error) {
	t := d.EventType()
	rest, err := marshal(d)
	if err != nil {
		return nil, fmt.Errorf("notify: encode the details of event %d: %w", t, err)
	}
	out := []byte(`{"msgName":"` + t.Name() + `"`)
	if len(rest) > 2 { // more than {}
		out = append(out, ',')
	}
	return append(out, rest[1:]...), nil
}

// notice is the body of a webhook (events.md 1.1).
type notice struct {
	NoticeID  string  `json:"noticeId"`
	ProductID int     `json:"productId"`
	EventType Type    `json:"eventType"`
	NotifyMs  int64   `json:"notifyMs"`
	Payload   payload `json:"payload"`
}

// payload is what all events have (events.md 1.2).
type payload struct {
	CName        string          `json:"cname"`
	UID          string          `json:"uid"` // a string although it is a number
	SID          string          `json:"sid"`
	Sequence     int64           `json:"sequence"`
	SendTS       int64           `json:"sendts"` // Unix ms when it happened
	ServiceType  Service         `json:"serviceType"`
	ServiceScene string          `json:"serviceScene"`
	Details      json.RawMessage `json:"details"`
}

// Body returns the request body that reports e, sent at notifyMs, Unix ms.
func (e Event) Body(notifyMs int64) ([]byte, error) {
	return marshal(notice{
		NoticeID: e.ID, ProductID: ProductID, EventType: e.Type, NotifyMs: notifyMs,
		Payload: payload{
			CName: e.CName, UID: strconv.FormatUint(uint64(e.UID), 10), SID: e.SID, Sequence: e.Seq, SendTS: e.At,
			ServiceType: e.Type.Service(), ServiceScene: e.Scene, Details: e.Details,
		},
	})
}

// marshal is json.Marshal with names left readable: a channel called "a&b" is
// not a\u0026b.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
