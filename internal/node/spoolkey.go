package node

import (
	"errors"

	"tapedeck/internal/ledger"
)

// SpoolKeys seals and opens the data keys of encrypted spool folders.
type SpoolKeys struct {
	// Draw returns a new sealed key for the recording sid; nil: new recordings
	// are not encrypted.
	Draw func(sid string) []byte
	// Open opens what Draw sealed, on this node or another; nil: encrypted
	// recordings are refused.
	Open func(sid string, sealed []byte) ([]byte, error)
}

// draw gives a record its key when it becomes ours. One that has a key keeps
// it: files may be encrypted with it already.
func (s SpoolKeys) draw(r *ledger.Record) {
	if s.Draw != nil && len(r.SpoolKey) == 0 {
		r.SpoolKey = s.Draw(r.SID)
	}
}

// open returns the data key of a record, or none when its folder is plain.
func (s SpoolKeys) open(r ledger.Record) ([]byte, error) {
	switch {
	case len(r.SpoolKey) == 0:
		return nil, nil
	case s.Open == nil:
		return nil, errors.New("node: the spool of recording " + r.SID + " is encrypted and this node has no key ring")
	}
	return s.Open(r.SID, r.SpoolKey)
}
