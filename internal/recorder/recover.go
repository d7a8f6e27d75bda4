package recorder

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/mp4"
	"tapedeck/internal/media/mux/playlist"
	"tapedeck/internal/media/mux/webm"
	"tapedeck/internal/spool"
)

// errEmpty: a torn file holds nothing that can be played.
var errEmpty = errors.New("nothing of it is whole")

// recoverParts closes what an earlier worker was writing when it was killed,
// cut to what is whole. begun tells what the files are.
func (o *Output) recoverParts(begun map[string]spool.Fact) error {
	names, err := o.dir.Parts()
	if err != nil {
		return err
	}
	var facts []spool.Fact
	for _, name := range names {
		f, ok := begun[name]
		if !ok {
			// The journal was cut behind the file's beginning: nobody can say what it is.
			f = spool.Fact{Name: name}
		}
		facts = append(facts, f)
	}
	// Slices are listed in the order of time.
	slices.SortStableFunc(facts, func(a, b spool.Fact) int { return int(min(max(a.StartMicro-b.StartMicro, -1), 1)) })
	for _, f := range facts {
		if err := o.recoverPart(f); err != nil {
			return err
		}
	}
	return nil
}

func (o *Output) recoverPart(f spool.Fact) error {
	part, err := o.dir.ResumePart(f.Name)
	if errors.Is(err, spool.ErrSealed) {
		o.log.Error("a file of the worker before stays as it is: it cannot be decrypted", "file", f.Name, "err", err)
		o.note(spool.Fact{Type: spool.FactGap, UID: f.UID, Note: f.Name + " cannot be decrypted"})
		return nil
	}
	if err != nil {
		return err
	}
	var dur media.Time
	switch {
	case f.Kind == "":
		err = errEmpty
	case f.Kind == spool.KindSlice && o.crypt != nil:
		dur, err = o.salvageEncrypted(part, &f)
	default:
		dur, err = salvage(part, &f)
	}
	if err == nil && f.Kind == spool.KindSlice && o.indexes[f.Index].mapped() {
		err = o.mapTS(&f)
	}
	if errors.Is(err, errEmpty) {
		o.log.Warn("a file of the worker before could not be recovered", "file", f.Name, "bytes", part.Size())
		o.note(spool.Fact{Type: spool.FactGap, UID: f.UID, Note: fmt.Sprintf("%s was being written when the worker ended and holds nothing whole", f.Name)})
		return part.Discard()
	}
	if err != nil {
		return fmt.Errorf("recorder: recover %s: %w", f.Name, err)
	}
	info, err := part.Close()
	if err != nil {
		return err
	}
	f.At, f.Playable, f.Unlisted = 0, f.Kind == spool.KindMP4, false
	f.DurMicro = int64(dur)
	if err := o.closed(f, info); err != nil {
		return err
	}
	o.log.Info("recovered a file of the worker before", "file", f.Name, "bytes", info.Size, "ms", int64(dur)/1000)
	if f.Kind != spool.KindSlice {
		return nil
	}
	i := o.indexes[f.Index]
	i.mu.Lock()
	defer i.mu.Unlock()
	f.Size = info.Size
	i.restore(f)
	return nil
}

// salvage cuts a torn file to what is whole and returns how long that lasts. It
// completes what the playlist says of it.
func salvage(p *spool.Part, f *spool.Fact) (media.Time, error) {
	switch filepath.Ext(p.Name()) {
	case ".ts":
		return salvageTS(p)
	case ".webm":
		got, err := webm.Recover(p)
		if errors.Is(err, webm.ErrNothing) {
			return 0, errEmpty
		}
		return got.Dur, err
	case ".mp4":
		if f.Kind == spool.KindSlice {
			got, head, err := mp4.RecoverFragments(p)
			if errors.Is(err, mp4.ErrNothing) {
				return 0, errEmpty
			}
			if !slices.ContainsFunc(f.Tags, playlist.IsMap) {
				f.Tags = append(slices.Clip(f.Tags), playlist.Map(f.Name, head), playlist.Behind(head, got.Size))
			}
			return got.Dur, err
		}
		got, err := mp4.Recover(p)
		if errors.Is(err, mp4.ErrNothing) {
			return 0, errEmpty
		}
		return got.Dur, err
	case extMP3:
		if p.Size() == 0 {
			return 0, errEmpty
		}
		return media.Time(p.Size() * 8 * 1_000_000 / mp3Bitrate), nil // a torn last frame is passed over by players
	}
	return 0, errEmpty
}
