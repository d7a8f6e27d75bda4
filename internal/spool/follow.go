package spool

import (
	"encoding/json"
	"path/filepath"
)

// FollowReceipts gives the receipts from byte offset from on to use, with the
// offset of each, and returns where the next call begins; the end is reached
// when that is from. Like ReadJournal it needs no lock and may follow a log
// that is being written. A line that cannot be understood is passed over:
// OpenReceipts reports it.
func (d *Dir) FollowReceipts(from int64, use func(r Receipt, offset int64)) (next int64, err error) {
	at := from
	return readLines(filepath.Join(d.Path(), receiptsName), from, func(line []byte) {
		var r Receipt
		if json.Unmarshal(line, &r) == nil && r.Name != "" {
			use(r, at)
		}
		at += int64(len(line)) + 1
	})
}
