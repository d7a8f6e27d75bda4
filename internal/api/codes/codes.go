// Package codes is the one table of the answers that are not a success: HTTP
// status, code and text of each (spec/errors.md 3). Only what this server may
// say is in it. There are two shapes, which clients tell apart by whether there
// is a code: the gateway's {"message"} and the service's {"code", "reason"}.
// The table is codes.json; the constants and docs/api/codes.md are made from it.
package codes

//go:generate go test -run TestGenerated -update .

// Answer names a row of the table.
type Answer int

// Row is one line of the table.
type Row struct {
	Status int    // HTTP
	Code   int    // 0 in the gateway's answers only
	Text   string // message or reason
}

// Gateway reports which of the two shapes the row has.
func (r Row) Gateway() bool { return r.Code == 0 }

// Row looks the answer up.
func (a Answer) Row() Row {
	if a < 0 || a >= answers {
		a = Internal
	}
	return table()[a]
}

// Of returns the answer to give when the owner of a recording replied with a
// code of the table: the codes of stop, update and updateLayout.
func Of(code int) Answer {
	for _, a := range ofOwner() {
		if a.Row().Code == code {
			return a
		}
	}
	return Timeout
}
