package upload

import (
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/upload/vendor"
)

// cargo is what journal and receipts together say about a recording: the
// shipper's whole state. It does no I/O.
type cargo struct {
	byName   map[string]*item
	receipts map[string]spool.Receipt    // the one that counts, by name
	begun    map[[2]string]spool.Receipt // uploads in parts that are under way, by name and key
	parts    map[string]map[int]string   // of such an upload, by its id
	homeward map[string]int64            // playlists: newest index that the caller's store has
	intended map[string]string           // backup keys under which a copy may be, by name
	versions map[string]int              // playlists: how often they were forwarded
	prefix   string

	waiting  []*item         // all that are open, in the order of the journal
	away     []*item         // all that have a copy in the backup store
	products []*item         // playlists and MP4s, in the order they began
	lists    map[string]bool // playlists that slices belong to

	past      map[string]past // slices of which everything is done, by name
	pastBytes int64

	zero  int64 // Unix µs of the timeline's zero
	first int64 // Unix ms of the first slice, 0 before
	ended bool
}

func newCargo(old []spool.Receipt, prefix string) *cargo {
	c := &cargo{
		byName: map[string]*item{}, receipts: map[string]spool.Receipt{}, begun: map[[2]string]spool.Receipt{},
		parts: map[string]map[int]string{}, homeward: map[string]int64{}, intended: map[string]string{}, versions: map[string]int{},
		past: map[string]past{}, lists: map[string]bool{}, prefix: prefix,
	}
	for _, r := range old {
		c.recall(r)
	}
	return c
}

// recall takes in one receipt, an old one or a new one.
func (c *cargo) recall(r spool.Receipt) {
	switch r.State {
	case spool.ReceiptBegun:
		c.forget(r.Name, r.Key)
		if r.Upload != "" {
			c.begun[[2]string{r.Name, r.Key}], c.parts[r.Upload] = r, map[int]string{}
		}
	case spool.ReceiptPart:
		if parts := c.parts[r.Upload]; parts != nil {
			parts[r.Part] = r.ETag
		}
	case spool.ReceiptIntent:
		c.intended[r.Name] = r.Backup
	default:
		before := c.receipts[r.Name]
		c.receipts[r.Name] = r
		if r.State != spool.ReceiptRefused {
			delete(c.intended, r.Name) // the receipt has it
		}
		if r.State == spool.ReceiptBackuped {
			c.forget(r.Name, r.Backup)
		} else {
			c.forget(r.Name, r.Key)
		}
		if r.State != spool.ReceiptUploaded {
			return
		}
		if r.Index == 0 {
			return // no playlist
		}
		c.homeward[r.Name] = max(c.homeward[r.Name], r.Index)
		if r.Key != c.prefix+r.Name && r.Key != before.Key {
			c.versions[r.Name]++
		}
	}
}

// forget drops an upload in parts that has ended.
func (c *cargo) forget(name, key string) {
	k := [2]string{name, key}
	delete(c.parts, c.begun[k].Upload)
	delete(c.begun, k)
}

// upload returns how far an upload of o in parts has come.
func (c *cargo) upload(name string, o vendor.Object) vendor.Upload {
	b, ok := c.begun[[2]string{name, o.Key}]
	if !ok || b.Size != o.Size || b.SHA256 != o.SHA256 {
		return vendor.Upload{}
	}
	up := vendor.Upload{ID: b.Upload, PartSize: b.PartSize, Parts: map[int]string{}}
	for n, tag := range c.parts[b.Upload] {
		up.Parts[n] = tag
	}
	return up
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
			i.stored = i.stored || r.State == spool.ReceiptUploaded
			i.lost = r.State == spool.ReceiptRefused && r.Index >= i.wanted
			i.sent, i.kept, i.backup = c.homeward[f.Name], r.Index, r.Backup
		}
		c.enlist(i)
	}
	return false
}

func (c *cargo) addClosed(f spool.Fact) (superfluous bool) {
	if f.Kind == spool.KindSlice {
		c.lists[f.Index] = true
		if at := c.milli(f.StartMicro); c.first == 0 || at < c.first {
			c.first = at
		}
	}
	if p, ok := c.past[f.Name]; ok {
		if p.is(f.SHA256) {
			return true
		}
		delete(c.past, f.Name)
		c.pastBytes -= p.size
	}
	i := c.item(f)
	r, ok := c.receipts[f.Name]
	// A file that was damaged in the spool has another checksum than its fact
	// (Note says so); one that was too large to be hashed has none.
	same := ok && (f.SHA256 == "" || r.SHA256 == f.SHA256 || r.Note != "")
	i.stored = same && r.State == spool.ReceiptUploaded
	i.lost = same && r.State == spool.ReceiptRefused
	i.backup = ""
	if same {
		i.backup = r.Backup
	}
	c.enlist(i)
	superfluous = i.stored || i.backup != ""
	c.bury(i)
	return superfluous
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
	c.recall(r)
	i.snap = nil
	i.lost = r.State == spool.ReceiptRefused
	i.backup = r.Backup
	switch {
	case r.State == spool.ReceiptUploaded:
		i.stored = true
		i.sent, i.kept = max(i.sent, r.Index), max(i.kept, r.Index)
	case i.lost:
		i.sent, i.kept = r.Index, r.Index
	default:
		i.kept = max(i.kept, r.Index)
	}
	c.enlist(i)
}

func (c *cargo) enlist(i *item) {
	if i.open() && !i.listed {
		i.listed = true
		c.waiting = append(c.waiting, i)
	}
	if i.backup != "" && !i.listedAway {
		i.listedAway = true
		c.away = append(c.away, i)
	}
}

// settle drops what has arrived from the lists.
func (c *cargo) settle() {
	c.waiting = retain(c.waiting, func(i *item) bool {
		i.listed = i.open()
		c.bury(i)
		return i.listed
	})
	c.away = retain(c.away, func(i *item) bool {
		i.listedAway = i.backup != ""
		c.bury(i)
		return i.listedAway
	})
}

func retain(list []*item, keep func(*item) bool) []*item {
	left := list[:0]
	for _, i := range list {
		if keep(i) {
			left = append(left, i)
		}
	}
	clear(list[len(left):])
	return left
}

// milli turns a time of the recording into Unix ms.
func (c *cargo) milli(micro int64) int64 { return (c.zero + micro + 500) / 1000 }

// needs returns what a playlist's content may name and the caller's store has
// not: the slices closed for it so far, and what players need to read them. A
// playlist that no slice belongs to joins the tracks of its user.
func (c *cargo) needs(i *item) []*item {
	var missing []*item
	for _, list := range [][]*item{c.waiting, c.away} {
		for _, s := range list {
			if !s.missing() {
				continue
			}
			switch s.fact.Kind {
			case spool.KindKey: // every playlist names it
			case spool.KindSlice, spool.KindInit, spool.KindPause:
				if s.fact.Index != i.name && (c.lists[i.name] || s.fact.UID != i.fact.UID) {
					continue
				}
			default:
				continue
			}
			missing = append(missing, s)
		}
	}
	return missing
}

// files is the file list: playlists and MP4s of which a store has something.
func (c *cargo) files() []session.File {
	var list []session.File
	for _, i := range c.products {
		if f := i.fact; (i.stored || i.backup != "") && !f.Unlisted {
			list = append(list, session.File{
				Name: c.prefix + i.name, Track: f.Track, UID: f.UID, Mixed: f.UID == "0",
				Playable: f.Playable, StartMilli: c.milli(f.StartMicro),
			})
		}
	}
	return list
}

// count fills in the numbers of a Progress.
func (c *cargo) count(p *Progress) {
	p.Uploaded, p.Bytes, p.Total = len(c.past), c.pastBytes, c.pastBytes
	for _, i := range c.byName {
		p.Total += i.fact.Size
		switch {
		case i.lost:
			p.Lost++
			p.Bytes += i.fact.Size // nothing more will come of it
		case i.open():
			p.Waiting++
			p.WaitingBytes += i.fact.Size
		case i.behind():
			p.Backuped++
			p.Bytes += i.fact.Size
		default:
			p.Uploaded++
			p.Bytes += i.fact.Size
		}
	}
}
