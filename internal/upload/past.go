package upload

import "tapedeck/internal/spool"

// past is what is kept of a slice of which everything is done. A recording of a
// day has tens of thousands: with all that was known of them, memory would grow
// with its length.
type past struct {
	size int64
	sha  string // SHA-256, its beginning; "" = any content
}

const shaKept = 16 // hex digits

func (p past) is(sha string) bool {
	return p.sha == "" || sha == "" || p.sha == sha[:min(len(sha), shaKept)]
}

// bury puts a slice into the past if nothing is to be done with it any more.
func (c *cargo) bury(i *item) {
	if i.fact.Kind != spool.KindSlice || !i.stored || i.backup != "" || i.listed || i.listedAway || i.busy || c.byName[i.name] != i {
		return
	}
	r := c.receipts[i.name]
	p := past{size: i.fact.Size, sha: string([]byte(r.SHA256[:min(len(r.SHA256), shaKept)]))}
	if r.Note != "" {
		p.sha = "" // it was damaged in the spool: the receipt is for other content than the fact
	}
	delete(c.byName, i.name)
	delete(c.receipts, i.name)
	c.past[i.name] = p
	c.pastBytes += p.size
}
