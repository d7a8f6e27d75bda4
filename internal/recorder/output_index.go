package recorder

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/playlist"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// IndexConfig says what a playlist is.
type IndexConfig struct {
	Name     string // bare file name, ending in .m3u8
	Track    string // session.TrackAudio ...
	UID      uint32 // 0 in mix mode
	Playable bool   // playable on its own, for the file list
	Unlisted bool   // no part of the file list
}

// Index is one cumulative playlist and its slices. One slice is written at a
// time; other methods may be called by many goroutines.
type Index struct {
	out *Output
	cfg IndexConfig

	mu    sync.Mutex
	list  playlist.List
	all   []listed
	start media.Time // of the first slice
	end   media.Time // of the last slice
	stamp time.Time  // of the last slice's name
	fresh bool       // no slice yet in this incarnation
	stale bool       // the file on disk lacks something
	final bool
}

// listed is a slice of a playlist, with what other indexes need to know of it.
type listed struct {
	name       string
	start, dur media.Time
	size       int64 // bytes
	head       int64 // of them, WebM: the header; 0: not known
	tags       []string
}

// Index returns the playlist of that name, the one of an earlier incarnation
// included. Its file appears when the first slice is closed.
func (o *Output) Index(cfg IndexConfig) *Index {
	o.mu.Lock()
	defer o.mu.Unlock()
	if i, ok := o.indexes[cfg.Name]; ok {
		return i
	}
	i := o.newIndex(cfg)
	o.indexes[cfg.Name] = i
	return i
}

func (o *Output) newIndex(cfg IndexConfig) *Index {
	return &Index{out: o, cfg: cfg, fresh: true, list: playlist.List{Comma: o.plan.CommaAfterInf, Length: o.plan.SliceLength}}
}

// Config returns what the playlist is.
func (i *Index) Config() IndexConfig { return i.cfg }

// Fresh reports whether no slice was begun in this incarnation yet. The first
// one gets its discontinuity by itself, and a TS writer has to mark it too.
func (i *Index) Fresh() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fresh
}

// slices returns the slices listed so far.
func (i *Index) slices() []listed {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clip(i.all)
}

// StartTags are the tags of a slice with which the stream begins, or goes on
// after an interruption.
func (i *Index) StartTags(start media.Time) []string {
	tags := []string{playlist.Discontinuity()}
	if i.cfg.Track != session.TrackVideo {
		tags = append(tags, playlist.TrackEvent(playlist.Audio, i.out.At(start)))
	}
	if i.cfg.Track != session.TrackAudio {
		tags = append(tags, playlist.TrackEvent(playlist.Video, i.out.At(start)))
	}
	return tags
}

// mapped reports whether the playlist says of a slice how it is read.
func (i *Index) mapped() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.list.Mapped()
}

// Begin opens the next slice. start is the time of its first sample, ext is
// ".ts" or ".webm", tags are the lines before its EXTINF. The first slice of an
// incarnation gets the StartTags that tags lacks.
func (i *Index) Begin(start media.Time, ext string, tags []string) (*Slice, error) {
	i.mu.Lock()
	if i.final {
		i.mu.Unlock()
		return nil, fmt.Errorf("recorder: %s: %w", i.cfg.Name, ErrEnded)
	}
	if i.fresh {
		tags = mergeTags(i.StartTags(start), tags)
	}
	i.fresh = false
	var broken media.Time // the end of what an interruption follows
	if len(i.all) > 0 && slices.Contains(tags, playlist.Discontinuity()) {
		broken = i.end
	}
	// Names are unique and ascend even if two slices start within a millisecond.
	stamp := i.out.At(start)
	if least := i.stamp.Add(time.Millisecond); !i.stamp.IsZero() && stamp.Before(least) {
		stamp = least
	}
	i.stamp = stamp
	i.mu.Unlock()

	name := sliceName(i.cfg.Name, stamp, ext)
	if i.out.plan.Mode == session.Raw {
		_, kind, _ := strings.Cut(strings.TrimSuffix(i.cfg.Name, playlistExt), "__uid_e_")
		name = i.out.names.rawSlice(i.cfg.UID, kind, stamp, ext)
	}
	if err := i.out.putKey(); err != nil {
		return nil, err
	}
	s := &Slice{index: i, name: name, start: start, tags: i.out.crypt.tags(name, tags)}
	// The fact comes first: whatever .part a crash leaves, recovery knows it.
	f := s.fact()
	f.Type = spool.FactBegun
	f.Playable, f.Unlisted, f.BrokenMicro = i.cfg.Playable, i.cfg.Unlisted, int64(broken)
	if err := i.out.append(f); err != nil {
		return nil, err
	}
	part, err := i.out.dir.CreatePart(s.name)
	if err != nil {
		return nil, err
	}
	s.part = part
	if s.enc, err = i.out.crypt.writer(part, name); err != nil {
		return nil, errors.Join(err, part.Discard())
	}
	return s, nil
}

// mergeTags returns first and those lines of more that are not in it by kind.
func mergeTags(first, more []string) []string {
	out := slices.Clone(first)
	for _, t := range more {
		if t != playlist.Discontinuity() && !playlist.IsTrackEvent(t) {
			out = append(out, t)
		}
	}
	return out
}

// add lists a closed slice. The lock is held.
func (i *Index) add(s listed) {
	if len(i.all) == 0 {
		i.start = s.start
	}
	i.end = max(i.end, s.start+s.dur)
	i.all = append(i.all, s)
	i.list.Add(playlist.Entry{Name: s.name, Dur: s.dur, Tags: s.tags})
	i.stale = true
}

// listNow lists a closed slice and replaces the file.
func (i *Index) listNow(s listed, final bool) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.add(s)
	return i.write(final)
}

// write replaces the playlist's file. The lock is held: a later content must
// not be overtaken by an earlier one.
func (i *Index) write(final bool) error {
	err := i.out.replace(spool.Fact{
		Name: i.cfg.Name, Kind: spool.KindPlaylist, Track: i.cfg.Track, UID: uidText(i.cfg.UID),
		StartMicro: int64(i.start), DurMicro: int64(i.end - i.start),
		Playable: i.cfg.Playable, Unlisted: i.cfg.Unlisted, Final: final,
	}, i.list.Render(final))
	if err != nil {
		return err
	}
	i.stale, i.final = false, final
	return nil
}

// refresh writes the file if it lacks something.
func (i *Index) refresh() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.stale || i.final {
		return nil
	}
	return i.write(false)
}

// Finish writes the playlist for the last time, with its end mark. A playlist
// without slices has no file. A second call does nothing.
func (i *Index) Finish() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.final || len(i.all) == 0 {
		return nil
	}
	return i.write(true)
}
