package recorder

import (
	"path/filepath"
	"slices"
	"strings"

	"tapedeck/internal/media"
	"tapedeck/internal/media/codec"
	"tapedeck/internal/media/mux/mp4"
	"tapedeck/internal/media/mux/playlist"
	"tapedeck/internal/media/mux/ts"
	"tapedeck/internal/media/mux/webm"
	"tapedeck/internal/spool"
)

const (
	pauseMark = "_pause" // before the extension of what is played before a slice
	// leastPause is what players step over by themselves.
	leastPause media.Time = 50_000
)

// pauseName is the file that fills the pause before a slice.
func pauseName(slice string) string {
	ext := filepath.Ext(slice)
	return strings.TrimSuffix(slice, ext) + pauseMark + ext
}

// pause stores what the joint index shows while nothing came before a slice in
// fragmented MP4: its first picture, from the end of the slice before. Players
// hand such slices on as they are, so that a hole in them is one in what is
// played: they jump over it, and pictures and sound part. Slices in TS they
// put together anew, and fill the hole themselves.
func (j *joint) pause(s *Slice, first media.Unit, w, h int) error {
	if j == nil || filepath.Ext(s.name) != extMP4 {
		return nil
	}
	before := j.pictures()
	if len(before) == 0 || s.start-endOf(before) < leastPause {
		return nil
	}
	var av1c []byte
	if first.Codec == media.AV1 {
		av1c = webm.AV1Private(first.Data)
	}
	b, err := mp4.Still(first.Codec, w, h, first.Data, av1c, ts.PTS(endOf(before)), ts.PTS(s.start))
	if err != nil {
		return err
	}
	return j.fill(pauseName(s.name), j.p.index(typeVideo).cfg, endOf(before), b)
}

// quiet stores the silence that the joint index plays before a slice of sound
// in TS: from the end of the one before, or from the first picture. Players let
// the frames of sound follow each other, whatever their timestamps say.
func (j *joint) quiet(s *Slice) error {
	if j == nil || filepath.Ext(s.name) != extTS {
		return nil
	}
	if before := j.sound(); len(before) > 0 {
		return j.silence(pauseName(s.name), endOf(before), s.start-j.played(before))
	}
	if first, ok := j.origin(); ok {
		return j.silence(pauseName(s.name), first, s.start-first)
	}
	return nil
}

// rest stores the silence between the last sound and the end of the pictures.
func (j *joint) rest() error {
	pictures, sound := j.pictures(), j.sound()
	if len(pictures) == 0 || len(since(sound, pictures[0].start)) == 0 {
		return nil
	}
	return j.silence(j.restName(sound), endOf(sound), endOf(pictures)-j.played(sound))
}

// restName is the file with the silence after the last slice.
func (j *joint) restName(sound []listed) string {
	index := j.p.index(typeAudio).cfg.Name
	return pauseName(sliceName(index, j.p.m.out.At(endOf(sound)), extTS))
}

// silence stores as many whole frames of silence as come closest to a length.
func (j *joint) silence(name string, from, length media.Time) error {
	n := quietFrames(length)
	if n <= 0 {
		return nil
	}
	b, err := ts.Silence(codec.OpusRate, j.p.audio.channels, ts.PTS(from), n)
	if err != nil {
		return err
	}
	return j.fill(name, j.p.index(typeAudio).cfg, from, b)
}

// quietFrames is how many frames of sound come closest to a length.
func quietFrames(length media.Time) int {
	return int((length.Samples48k() + codec.AACFrame/2) / codec.AACFrame)
}

// played is where players are after slices of sound: they go on without a hole
// or an overlap, so that what is rounded in one pause is made good in the next.
func (j *joint) played(sound []listed) (at media.Time) {
	for i, s := range sound {
		switch first, _ := j.origin(); {
		case !j.p.m.out.aided(pauseName(s.name)):
			if i == 0 {
				at = s.start
			}
		case i == 0:
			at = first + media.FromSamples48k(int64(quietFrames(s.start-first)*codec.AACFrame))
		default:
			at += media.FromSamples48k(int64(quietFrames(s.start-at) * codec.AACFrame))
		}
		at += s.dur
	}
	return at
}

// fill stores a file of a playlist's that plays in a pause.
func (j *joint) fill(name string, of IndexConfig, from media.Time, content []byte) error {
	return j.p.m.out.encryptedAid(spool.Fact{
		Name: name, Kind: spool.KindPause, Track: of.Track, UID: uidText(of.UID), Index: of.Name, StartMicro: int64(from),
	}, content)
}

// pictures and sound are the slices that the joint M3U8 plays.
func (j *joint) pictures() []listed { return of(j.p.index(typeVideo).slices(), extTS, extMP4) }

func (j *joint) sound() []listed { return of(j.p.index(typeAudio).slices(), extTS) }

// origin is where the joint M3U8 begins, if there has been a picture for it.
func (j *joint) origin() (media.Time, bool) {
	if all := j.pictures(); len(all) > 0 {
		return all[0].start, true
	}
	v := j.p.video.lanes[typeVideo]
	if v == nil || v.slice == nil || filepath.Ext(v.slice.name) == extWebM {
		return 0, false
	}
	return v.slice.start, true
}

// paused returns the entry for the pause before a slice, if a file fills it,
// and the tags that are left for the slice: the pause is decoded as the slice is.
func (j *joint) paused(from media.Time, s listed) (e playlist.Entry, left []string, ok bool) {
	left = mapsOf(s.tags)
	name := pauseName(s.name)
	if s.start <= from || !j.p.m.out.aided(name) {
		return e, left, false
	}
	head := 0
	if at := slices.IndexFunc(left, func(t string) bool { return strings.HasPrefix(t, playlist.MapTag) }); at >= 0 {
		head = at + 1
	}
	e = playlist.Entry{Name: name, Dur: s.start - from, Tags: j.p.m.out.crypt.tags(name, left[:head])}
	return e, left[head:], true
}
