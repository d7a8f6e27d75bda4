package spool

import (
	"encoding/json"
	"path/filepath"
	"time"
)

// Values of a receipt's state.
const (
	ReceiptUploaded = "uploaded" // the caller's store has it
	ReceiptBackuped = "backuped" // the operator's backup store has it
	ReceiptRefused  = "refused"  // given up; Note says why

	ReceiptBegun = "begun" // an upload in parts was begun, or given up when Upload is ""
	ReceiptPart  = "part"  // a part of it is in the store

	// ReceiptIntent: a copy is about to be put into the backup store, under
	// Backup. It may be there although no later receipt says so.
	ReceiptIntent = "intent"
)

// Receipt is one line of receipts.log: what a destination said about a file.
// The newest receipt of a name that settles something counts (Settles).
type Receipt struct {
	At     int64  `json:"at"` // Unix µs when the line was written
	Name   string `json:"name"`
	Size   int64  `json:"size,omitempty"` // bytes
	SHA256 string `json:"sha256,omitempty"`
	Key    string `json:"key,omitempty"` // object key in the caller's bucket
	ETag   string `json:"etag,omitempty"`
	Index  int64  `json:"index,omitempty"` // playlists: journal offset of the newest index fact that the content contains
	State  string `json:"state"`
	Note   string `json:"note,omitempty"`

	// Backup is the key of the copy in the operator's backup store, as long as
	// there is one.
	Backup string `json:"backup,omitempty"`
	// Unread: the store's acknowledgement is all there is; the caller's key may
	// not read.
	Unread bool `json:"unread,omitempty"`

	// begun, part
	Upload   string `json:"upload,omitempty"`    // the store's name for an upload in parts
	PartSize int64  `json:"part_size,omitempty"` // bytes
	Part     int    `json:"part,omitempty"`      // 1, 2, ...; ETag is its tag
}

// Settles reports whether the receipt says where a file is, or that it is
// nowhere. The others tell of an upload under way.
func (r Receipt) Settles() bool {
	return r.State == ReceiptUploaded || r.State == ReceiptBackuped || r.State == ReceiptRefused
}

// Settled returns the receipt that counts for each name.
func Settled(all []Receipt) map[string]Receipt {
	newest := map[string]Receipt{}
	for _, r := range all {
		if r.Settles() {
			newest[r.Name] = r
		}
	}
	return newest
}

// Receipts is the node's end of receipts.log. It may be used by many goroutines.
type Receipts struct {
	l   *lines
	now func() time.Time
}

// OpenReceipts reads all receipts, cuts a torn tail and opens the file for
// appending. ErrBusy: another process ships this recording.
func (d *Dir) OpenReceipts(now func() time.Time) (*Receipts, []Receipt, error) {
	l, err := openLines(filepath.Join(d.Path(), receiptsName))
	if err != nil {
		return nil, nil, err
	}
	all, err := d.ReadReceipts()
	if err != nil {
		_ = l.close()
		return nil, nil, err
	}
	return &Receipts{l: l, now: now}, all, nil
}

// ReadReceipts returns all receipts without becoming their writer. A line that
// cannot be understood is left out: its file is shipped again.
func (d *Dir) ReadReceipts() ([]Receipt, error) {
	var all []Receipt
	for from := int64(0); ; {
		next, err := readLines(filepath.Join(d.Path(), receiptsName), from, func(line []byte) {
			var r Receipt
			if json.Unmarshal(line, &r) == nil && r.Name != "" {
				all = append(all, r)
			}
		})
		if err != nil || next == from {
			return all, err
		}
		from = next
	}
}

// Append makes a receipt durable. At is filled in when it is 0.
func (r *Receipts) Append(c Receipt) error {
	if c.At == 0 {
		c.At = r.now().UnixMicro()
	}
	return r.l.append(c)
}

// Close gives the receipts back to another writer.
func (r *Receipts) Close() error { return r.l.close() }
