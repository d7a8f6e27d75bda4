package recorder

import (
	"bytes"
	"path/filepath"
	"slices"

	"tapedeck/internal/hls"
	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/playlist"
	"tapedeck/internal/media/mux/webm"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// joint keeps the joint indexes of one user in standard mode: the M3U8 of their
// TS slices and the MPD of their WebM slices. docs/adr/0005 says what is in
// them and why.
type joint struct {
	p       *userStreams
	seen    int // slices that the files cover
	final   bool
	written map[string][]byte
	heads   map[string]int64 // sizes of the headers of WebM slices
	usual   int64            // the newest of them
}

func newJoint(p *userStreams) *joint {
	return &joint{p: p, written: map[string][]byte{}, heads: map[string]int64{}}
}

// update replaces the indexes if there are new slices, or for the last time.
// A nil joint does nothing.
func (j *joint) update(final bool) error {
	if j == nil || j.final {
		return nil
	}
	video, audio := j.p.index(typeVideo).slices(), j.p.index(typeAudio).slices()
	if n := len(video) + len(audio); n == j.seen && !final {
		return nil
	} else if j.seen = n; n == 0 {
		return nil
	}
	if final {
		if err := j.rest(); err != nil {
			return err
		}
	}
	j.final = final
	if j.p.m.raw() {
		return j.mpd(of(video, extWebM), of(audio, extWebM), final)
	}
	if err := j.m3u8(of(video, extTS, extMP4), of(audio, extTS), final); err != nil {
		return err
	}
	return j.mpd(of(video, extWebM), of(audio, extWebM), final)
}

// of returns the slices with one of some extensions.
func of(all []listed, exts ...string) (some []listed) {
	for _, s := range all {
		if slices.Contains(exts, filepath.Ext(s.name)) {
			some = append(some, s)
		}
	}
	return some
}

// m3u8 writes a master playlist and one playlist each of pictures and sound
// with the slices on one timeline, which begins with the first picture.
func (j *joint) m3u8(video, audio []listed, final bool) error {
	if len(video) == 0 {
		return nil
	}
	origin, end := video[0].start, endOf(video)
	if len(audio) > 0 {
		end = max(end, endOf(audio))
	}
	m := playlist.Master{Video: j.p.m.out.names.index(j.p.uid, typeJoint+"-video"), Bandwidth: bitrate(video) + bitrate(audio)}
	m.W, m.H = sizeOf(video)
	if !final {
		end = 0
	}
	if err := j.list(m.Video, session.TrackVideo, video, origin, end, final); err != nil {
		return err
	}
	if sound := since(audio, origin); len(sound) > 0 {
		m.Audio = j.p.m.out.names.index(j.p.uid, typeJoint+"-audio")
		if err := j.list(m.Audio, session.TrackAudio, sound, origin, end, final); err != nil {
			return err
		}
	}
	return j.write(spool.Fact{
		Name: j.p.m.out.names.index(j.p.uid, typeJoint), Kind: spool.KindPlaylist, Track: session.TrackBoth,
		StartMicro: int64(origin), Playable: true, Final: final,
	}, m.Render())
}

// list writes one of the two playlists. Its slices follow each other without a
// gap in the playlist's time: one that something is missing behind is listed as
// longer. Players go by the timestamps in the slices, hold the last picture
// and stay silent meanwhile, so that a pause lasts as long as it did.
func (j *joint) list(name, track string, list []listed, origin, end media.Time, final bool) error {
	l := playlist.List{Comma: true, Length: j.p.m.plan.SliceLength}
	from := origin
	for i, s := range list {
		var before []string
		if i > 0 && filepath.Ext(s.name) != filepath.Ext(list[i-1].name) {
			before = []string{playlist.Discontinuity()} // another container (RFC 8216 4.3.2.3)
		}
		tags := mapsOf(s.tags)
		if e, left, ok := j.paused(from, s); ok {
			e.Tags = append(before, e.Tags...)
			l.Add(e)
			from, tags, before = s.start, left, nil
		}
		tags = append(before, tags...)
		to := s.start + s.dur
		switch {
		case i+1 < len(list) && !j.p.m.out.aided(pauseName(list[i+1].name)):
			to = list[i+1].start
		case i+1 == len(list) && track == session.TrackVideo:
			to = max(to, end)
		}
		l.Add(playlist.Entry{Name: s.name, Dur: to - from, Tags: tags})
		from = to
	}
	if name := j.restName(list); track == session.TrackAudio && j.p.m.out.aided(name) {
		l.Add(playlist.Entry{Name: name, Dur: end - from, Tags: j.p.m.out.crypt.tags(name, nil)})
	}
	return j.write(spool.Fact{
		Name: name, Kind: spool.KindPlaylist, Track: track, StartMicro: int64(origin), Unlisted: true, Final: final,
	}, l.Render(final))
}

// mapsOf returns the tags that say how a slice is decoded.
func mapsOf(tags []string) (some []string) {
	for _, t := range tags {
		if playlist.IsMap(t) || hls.IsTag(t) {
			some = append(some, t)
		}
	}
	return some
}

// mpd writes the joint index of WebM slices.
func (j *joint) mpd(video, audio []listed, final bool) error {
	if len(video) == 0 || j.p.m.out.crypt != nil { // DASH knows nothing of the key
		return nil
	}
	origin := video[0].start
	if len(audio) > 0 {
		origin = min(origin, audio[0].start)
	}
	m := playlist.MPD{
		Start: j.p.m.out.At(origin), Origin: origin + webmBase, Update: j.p.m.plan.SliceLength,
		Streams: []playlist.Stream{
			{Kind: "video", Codecs: j.codecs(), Bandwidth: bitrate(video), Segments: j.segments(video)},
			{Kind: "audio", Codecs: "opus", Bandwidth: bitrate(audio), Segments: j.segments(audio)},
		},
	}
	m.Streams[0].W, m.Streams[0].H = sizeOf(video)
	name := j.p.m.out.names.user(j.p.uid, j.p.kindName(typeJoint)) + ".mpd"
	return j.write(spool.Fact{
		Name: name, Kind: spool.KindMPD, Track: session.TrackBoth, StartMicro: int64(origin), Playable: true, Final: final,
	}, m.Render(final))
}

// codecs returns the codec of the pictures in WebM.
func (j *joint) codecs() string {
	if j.p.webm == media.VP9 {
		return "vp09.00.31.08"
	}
	return "vp8"
}

// head returns the size of a slice's header. A worker that goes on with a
// recording reads it in the file; where that is shipped and removed it is as large
// as another's, 0 as long as there is none.
func (j *joint) head(s listed) int64 {
	if s.head > 0 {
		j.usual = s.head
		return s.head
	}
	if n, known := j.heads[s.name]; known {
		return n
	}
	f, err := j.p.m.out.dir.OpenFile(s.name)
	if err != nil {
		return j.usual
	}
	defer func() { _ = f.Close() }()
	n, err := webm.HeaderSize(f)
	if err != nil {
		return j.usual
	}
	j.heads[s.name], j.usual = n, n
	return n
}

func (j *joint) segments(slices []listed) (out []playlist.Segment) {
	for _, s := range slices {
		out = append(out, playlist.Segment{
			Name: s.name, Start: s.start + webmBase, Dur: s.dur, Head: j.head(s), Size: s.size, Tags: s.tags,
		})
	}
	return out
}

// write replaces a file if it changed, or is written for the last time.
func (j *joint) write(f spool.Fact, content []byte) error {
	if bytes.Equal(j.written[f.Name], content) && !f.Final {
		return nil
	}
	f.UID = uidText(j.p.uid)
	if err := j.p.m.out.replace(f, content); err != nil {
		return err
	}
	j.written[f.Name] = content
	return nil
}

func endOf(slices []listed) media.Time {
	last := slices[len(slices)-1]
	return last.start + last.dur
}

// since returns the slices that reach beyond a time.
func since(slices []listed, t media.Time) []listed {
	for len(slices) > 0 && slices[0].start+slices[0].dur <= t {
		slices = slices[1:]
	}
	return slices
}

// bitrate returns the highest bit rate of any slice of some length, rounded up
// to 64 kbit/s steps so that it seldom changes.
func bitrate(slices []listed) int64 {
	const step = 64_000
	top := int64(0)
	for _, s := range slices {
		if s.dur >= 1_000_000 || len(slices) == 1 {
			top = max(top, s.size*8*1_000_000/int64(max(s.dur, 1_000_000)))
		}
	}
	return (top + step) / step * step
}

// sizeOf returns the largest picture size that the tags tell.
func sizeOf(slices []listed) (w, h int) {
	for _, s := range slices {
		for _, t := range s.tags {
			if tw, th, ok := playlist.RotateSize(t); ok && tw*th > w*h {
				w, h = tw, th
			}
		}
	}
	return w, h
}
