package upload

import (
	"time"

	"tapedeck/internal/spool"
	"tapedeck/internal/upload/vendor"
)

// item is one file of the recording on its way.
type item struct {
	name     string
	fact     spool.Fact // newest closed or index fact
	playlist bool

	stored bool   // the caller's store has it; playlists: some content of it
	lost   bool   // the spool could not give it any more
	backup string // key of its copy in the backup store, "" = there is none

	// playlists: journal offsets of the newest index fact, of the newest one
	// whose content the caller's store has, and that any of the stores has
	wanted, sent, kept int64
	snap               *snapshot

	listed, listedAway bool // is in cargo.waiting, in cargo.away
	busy               bool
	tries              int       // failures in a row
	since              time.Time // of the first of them
	fault              vendor.Fault
	notBefore          time.Time
}

// snapshot is a playlist's content that waits for the slices it may name.
type snapshot struct {
	content []byte
	sent    int64   // what item.sent becomes
	needs   []*item // slices that have to be in the store before
}

// open reports whether the spool alone has the item, or its newest content.
func (i *item) open() bool {
	switch {
	case i.lost:
		return false
	case i.playlist:
		return max(i.sent, i.kept) < i.wanted
	}
	return !i.stored && i.backup == ""
}

// missing reports whether the caller's store has to get the slice before a
// playlist may name it.
func (i *item) missing() bool { return !i.stored && !i.lost }

// behind reports whether only the backup store has the item, or its newest
// content.
func (i *item) behind() bool {
	if i.backup == "" || i.lost {
		return false
	}
	return !i.stored || (i.playlist && i.sent < i.kept)
}

// due reports whether the item may be tried now.
func (i *item) due(now time.Time, bo Backoff) bool { return !i.busy && !bo.waits(now, i.notBefore) }

// satisfied drops slices that have arrived and reports whether none is left.
func (s *snapshot) satisfied() bool {
	s.needs = retain(s.needs, (*item).missing)
	return len(s.needs) == 0
}

// sheltered reports whether every slice that the content may name is at least
// in the backup store.
func (s *snapshot) sheltered() bool {
	for _, i := range s.needs {
		if i.missing() && i.backup == "" {
			return false
		}
	}
	return true
}
