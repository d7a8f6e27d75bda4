// Package ledger keeps the durable truth about recordings in NATS JetStream:
// one record per recording, changed by compare-and-swap only, the single use
// of resource ids, and the one live instance of a recorder per channel. It
// also carries the questions that need an answer at once: who takes this
// recording, and what does its owner say. The stored form is described in
// docs/formats/ledger.md.
package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"tapedeck/internal/session"
)

// RecordVersion is the value of Record.V that this build writes and reads.
const RecordVersion = 1

// Errors that callers tell apart with errors.Is and errors.As.
var (
	ErrNotFound = errors.New("ledger: no such recording")
	ErrConflict = errors.New("ledger: a recording of the same app, channel and uid is live")
	ErrNoNode   = errors.New("ledger: no node takes recordings")
	ErrNoOwner  = errors.New("ledger: nobody serves this recording")
)

// ErrUsed: the resource id was spent on the recording SID.
type ErrUsed struct{ SID string }

func (e *ErrUsed) Error() string { return "ledger: the resource id was used by recording " + e.SID }

// ErrRefused: a node was asked and will not take the recording.
type ErrRefused struct{ Node, Reason string }

func (e *ErrRefused) Error() string {
	return fmt.Sprintf("ledger: node %s refuses: %s", e.Node, e.Reason)
}

// Record is all that is known of one recording outside its spool folder.
type Record struct {
	V            int          `json:"v"`
	SID          string       `json:"sid"`
	RID          string       `json:"rid"`          // hex id inside the resource token
	ResourceHash string       `json:"resourceHash"` // of the token's text, see the api package
	Account      string       `json:"account"`
	App          string       `json:"app"`
	CName        string       `json:"cname"`
	UID          uint32       `json:"uid"`
	Mode         session.Mode `json:"mode"`
	Scene        int          `json:"scene"`

	Plan    session.Plan `json:"plan"`
	Storage []byte       `json:"storage,omitempty"` // sealed upload.Target; never in the clear
	Private []byte       `json:"private,omitempty"` // sealed session.Private; never in the clear

	SpoolKey []byte `json:"spoolKey,omitempty"` // sealed data key of the spool folder; none: it is not encrypted

	State     session.State  `json:"state"`
	Status    session.Status `json:"status"`
	Node      string         `json:"node,omitempty"` // owner; "" until a node took it
	Created   time.Time      `json:"created"`
	Started   time.Time      `json:"started,omitzero"` // the recorder was in the channel
	StoppedAt time.Time      `json:"stoppedAt,omitzero"`
	ExpiresAt time.Time      `json:"expiresAt"` // end of resourceExpiredHour

	Files      []session.File `json:"files,omitempty"`
	SliceStart int64          `json:"sliceStart,omitempty"` // Unix ms of the first slice, 0 before
	Uploading  string         `json:"uploading,omitempty"`  // session.Upload..., "" before the end
	Push       []string       `json:"push,omitempty"`       // state of each live output: connecting, publishing, onhold, disconnected
	Recorded   bool           `json:"recorded,omitempty"`   // something was recorded
	Reason     string         `json:"reason,omitempty"`     // why it ended or failed
}

// Encode returns the stored form.
func (r Record) Encode() ([]byte, error) {
	r.V = RecordVersion
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("ledger: encode record %s: %w", r.SID, err)
	}
	return b, nil
}

// Decode reads a stored record.
func Decode(b []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(b, &r); err != nil {
		return Record{}, fmt.Errorf("ledger: bad record: %w", err)
	}
	if r.V != RecordVersion {
		return Record{}, fmt.Errorf("ledger: record %s has version %d, this build reads %d: run the build that wrote it until its recordings have ended", r.SID, r.V, RecordVersion)
	}
	return r, nil
}

// instance names the slot that only one live recording of a triple may hold.
// Lengths keep apart triples whose concatenation is the same.
func (r Record) instance() string {
	h := sha256.New()
	for _, s := range []string{r.App, r.CName, strconv.FormatUint(uint64(r.UID), 10)} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return "inst." + hex.EncodeToString(h.Sum(nil)[:16])
}

func usedKey(rid string) string { return "used." + rid }
func sessKey(sid string) string { return "sess." + sid }

// holder is the value of used.* and inst.* entries.
type holder struct {
	SID  string       `json:"sid"`
	App  string       `json:"app"`
	Mode session.Mode `json:"mode,omitempty"`
}
