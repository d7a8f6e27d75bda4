package upload

import (
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// item is one file of the recording on its way.
type item struct {
	name     string
	fact     spool.Fact // newest closed or index fact
	playlist bool

	stored bool // the store has it; playlists: some content of it
	lost   bool // the spool could not give it any more

	// playlists: journal offsets of the newest index fact, and of the newest
	// one whose content the store has
	wanted, sent int64
	snap         *snapshot

	listed    bool // is in cargo.waiting
	busy      bool
	tries     int // failures in a row
	notBefore time.Time
}

// snapshot is a playlist's content that waits for the slices it may name.
type snapshot struct {
	content []byte
	sent    int64   // what item.sent becomes
	needs   []*item // slices that have to be in the store before
}

// open reports whether the item still has to be shipped.
func (i *item) open() bool {
	switch {
	case i.lost:
		return false
	case i.playlist:
		return i.sent < i.wanted
	}
	return !i.stored
}

// cargo is what journal and receipts together say about a recording: the
// shipper's whole state. It does no I/O.
type cargo struct {
	byName   map[string]*item
	receipts map[string]spool.Receipt // newest per name
	waiting  []*item                  // all that are open, in the order of the journal
	products []*item                  // playlists and MP4s, in the order they began
	lists    map[string]bool          // playlists that slices belong to

	zero  int64 // Unix µs of the timeline's zero
	first int64 // Unix ms of the first slice, 0 before
	ended bool
}

func newCargo(old []spool.Receipt) *cargo {
	c := &cargo{byName: map[string]*item{}, receipts: map[string]spool.Receipt{}, lists: map[string]bool{}}
	for _, r := range old {
		c.receipts[r.Name] = r
	}
	return c
}

// add takes in one fact. superfluous: a receipt says that the file of this
// name need not be kept.
func (c *cargo) add(f spool.Fact) (superfluous bool) {
	switch f.Type {
	case spool.FactOpened:
		c.ended = false
		if f.ZeroMicro != 0 {
			c.zero = f.ZeroMicro
		}
	case spool.FactEnded:
		c.ended = true
	case spool.FactClosed:
		return c.addClosed(f)
	case spool.FactIndex:
		i := c.item(f)
		i.playlist, i.wanted = true, f.Offset
		if r, ok := c.receipts[f.Name]; ok {
			i.stored = i.stored || r.State != spool.ReceiptRefused
			i.lost = r.State == spool.ReceiptRefused && r.Index >= i.wanted
			i.sent = r.Index
		}
		c.enlist(i)
	}
	return false
}

func (c *cargo) addClosed(f spool.Fact) (superfluous bool) {
	i := c.item(f)
	if f.Kind == spool.KindSlice {
		c.lists[f.Index] = true
		if at := c.milli(f.StartMicro); c.first == 0 || at < c.first {
			c.first = at
		}
	}
	r, ok := c.receipts[f.Name]
	// A file that was damaged in the spool has another checksum than its fact
	// (Note says so); one that was too large to be hashed has none.
	same := ok && (f.SHA256 == "" || r.SHA256 == f.SHA256 || r.Note != "")
	i.stored = same && r.State != spool.ReceiptRefused
	i.lost = same && r.State == spool.ReceiptRefused
	c.enlist(i)
	return i.stored
}

func (c *cargo) item(f spool.Fact) *item {
	i, ok := c.byName[f.Name]
	if !ok {
		i = &item{name: f.Name}
		c.byName[f.Name] = i
		if f.Type == spool.FactIndex || f.Kind == spool.KindMP4 {
			c.products = append(c.products, i)
		}
	}
	i.fact = f
	return i
}

// acknowledge notes a receipt that was made durable.
func (c *cargo) acknowledge(i *item, r spool.Receipt) {
	c.receipts[i.name] = r
	i.sent = r.Index
	i.snap = nil
	i.lost = r.State == spool.ReceiptRefused
	i.stored = i.stored || !i.lost
}

func (c *cargo) enlist(i *item) {
	if i.open() && !i.listed {
		i.listed = true
		c.waiting = append(c.waiting, i)
	}
}

// settle drops what has arrived from the waiting list.
func (c *cargo) settle() {
	left := c.waiting[:0]
	for _, i := range c.waiting {
		if i.listed = i.open(); i.listed {
			left = append(left, i)
		}
	}
	clear(c.waiting[len(left):])
	c.waiting = left
}

// milli turns a time of the recording into Unix ms.
func (c *cargo) milli(micro int64) int64 { return (c.zero + micro + 500) / 1000 }

// needs returns the slices that a playlist's content may name and the store
// has not: those closed for it so far. A playlist that no slice belongs to
// joins the tracks of its user.
func (c *cargo) needs(i *item) []*item {
	var open []*item
	for _, s := range c.waiting {
		if s.fact.Kind != spool.KindSlice || !s.open() {
			continue
		}
		if s.fact.Index == i.name || (!c.lists[i.name] && s.fact.UID == i.fact.UID) {
			open = append(open, s)
		}
	}
	return open
}

// satisfied drops slices that have arrived and reports whether none is left.
func (s *snapshot) satisfied() bool {
	left := s.needs[:0]
	for _, i := range s.needs {
		if i.open() {
			left = append(left, i)
		}
	}
	s.needs = left
	return len(left) == 0
}

// files is the file list: playlists and MP4s of which the store has something.
func (c *cargo) files(prefix string) []session.File {
	var list []session.File
	for _, i := range c.products {
		if f := i.fact; i.stored && !f.Unlisted {
			list = append(list, session.File{
				Name: prefix + i.name, Track: f.Track, UID: f.UID, Mixed: f.UID == "0",
				Playable: f.Playable, StartMilli: c.milli(f.StartMicro),
			})
		}
	}
	return list
}

// count fills in the numbers of a Progress.
func (c *cargo) count(p *Progress) {
	for _, i := range c.byName {
		switch {
		case i.lost:
			p.Lost++
		case i.open():
			p.Waiting++
			p.WaitingBytes += i.fact.Size
		default:
			p.Uploaded++
		}
	}
}
