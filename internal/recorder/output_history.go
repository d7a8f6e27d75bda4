package recorder

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/spool"
)

// history is what a journal says of a recording so far.
type history struct {
	zero        time.Time // zero: nothing was opened yet
	incarnation int
	mp4s        int
	recorded    bool
	aids        map[string]bool // files that players need beside the slices
	indexes     []*indexHistory
	begun       map[string]spool.Fact // files that were begun, by name
	identities  map[string]uint32     // uids of those that do not spell theirs
}

// indexHistory is what a journal says of one playlist.
type indexHistory struct {
	cfg    IndexConfig
	slices []spool.Fact
	listed int // slices that the newest file of the playlist lists
	final  bool
}

// readHistory replays the facts.
func readHistory(facts []spool.Fact) (*history, error) {
	h := &history{begun: map[string]spool.Fact{}, identities: map[string]uint32{}, aids: map[string]bool{}}
	for _, f := range facts {
		switch f.Type {
		case spool.FactOpened:
			if f.Version != journalVersion {
				return nil, fmt.Errorf("recorder: the journal has format %d, this worker writes %d: finish the recording with the version that began it", f.Version, journalVersion)
			}
			h.zero, h.incarnation = time.UnixMicro(f.ZeroMicro).UTC(), f.Incarnation
		case spool.FactUser:
			if uid, err := strconv.ParseUint(f.UID, 10, 32); err == nil && f.Identity != "" {
				h.identities[f.Identity] = uint32(uid)
			}
		case spool.FactBegun:
			h.begun[f.Name] = f
			if f.Kind == spool.KindMP4 {
				h.mp4s++
			} else {
				h.index(f.Index, f)
			}
		case spool.FactClosed:
			if f.Kind == spool.KindInit || f.Kind == spool.KindPause || f.Kind == spool.KindKey {
				h.aids[f.Name] = true
				continue
			}
			h.recorded = true
			if f.Kind == spool.KindSlice {
				i := h.index(f.Index, f)
				i.slices = append(i.slices, f)
			}
		case spool.FactIndex:
			// Other documents are made again from the playlists.
			if f.Kind == spool.KindPlaylist && h.known(f.Name) {
				i := h.index(f.Name, f)
				i.listed, i.final = len(i.slices), f.Final
			}
		case spool.FactEnded:
			return nil, ErrEnded
		}
	}
	return h, nil
}

func (h *history) known(name string) bool {
	return slices.ContainsFunc(h.indexes, func(i *indexHistory) bool { return i.cfg.Name == name })
}

// index returns the history of a playlist, of which f is the first fact if it is new.
func (h *history) index(name string, f spool.Fact) *indexHistory {
	for _, i := range h.indexes {
		if i.cfg.Name == name {
			return i
		}
	}
	uid, _ := strconv.ParseUint(f.UID, 10, 32) // our own writing; 0 stands for everybody
	i := &indexHistory{cfg: IndexConfig{
		Name: name, Track: f.Track, UID: uint32(uid), Playable: f.Playable, Unlisted: f.Unlisted,
	}}
	h.indexes = append(h.indexes, i)
	return i
}

// reviveIndex makes a playlist of its history.
func (o *Output) reviveIndex(h *indexHistory) *Index {
	i := o.newIndex(h.cfg)
	for _, f := range h.slices {
		i.restore(f)
	}
	i.final, i.stale = h.final, len(h.slices) > h.listed
	return i
}

// restore lists a slice that a fact tells of.
func (i *Index) restore(f spool.Fact) {
	start := media.Time(f.StartMicro)
	if stamp := i.out.At(start); stamp.After(i.stamp) {
		i.stamp = stamp
	}
	i.add(listed{name: f.Name, start: start, dur: media.Time(f.DurMicro), size: f.Size, tags: f.Tags})
}
