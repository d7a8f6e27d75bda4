package transcode

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/playlist"
	"tapedeck/internal/media/mux/ts"
	"tapedeck/internal/media/mux/webm"
	"tapedeck/internal/testkit/samples"
)

const stem = "0123456789abcdef0123456789abcdef_room"

var zero = time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC)

// track writes one playlist of a user, as the recorder would.
type track struct {
	t    testing.TB
	dir  string
	base string // name without extension
	list playlist.List
	tsw  *ts.Writer
}

func newTrack(t testing.TB, dir, uid, kind string) *track {
	return &track{t: t, dir: dir, base: stem + "__uid_s_" + uid + "__uid_e_" + kind, list: playlist.List{Length: 15 * time.Second}}
}

func (k *track) name(at media.Time, ext string) string {
	return k.base + "_" + playlist.Stamp(zero.Add(time.Duration(at)*time.Microsecond)) + ext
}

func (k *track) file(name string) *os.File {
	k.t.Helper()
	f, err := os.Create(filepath.Join(k.dir, name))
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { _ = f.Close() })
	return f
}

func (k *track) check(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

// ts adds units, moved to begin at from, as slices of n units.
func (k *track) ts(units []media.Unit, from media.Time, n int, tags ...string) {
	k.t.Helper()
	if k.tsw == nil {
		cfg := ts.Config{Video: units[0].Codec.Video(), Audio: !units[0].Codec.Video(), SampleRate: 48000, Channels: 1}
		if cfg.Audio {
			cfg.AudioCodec = units[0].Codec
		} else {
			cfg.VideoCodec = units[0].Codec
		}
		k.tsw = ts.New(cfg)
	}
	step := units[1].PTS - units[0].PTS
	for len(units) > 0 {
		part := units[:min(n, len(units))]
		units = units[len(part):]
		at := from + part[0].PTS
		name := k.name(at, ".ts")
		f := k.file(name)
		k.check(k.tsw.Begin(f, len(tags) > 0))
		for _, u := range part {
			pts := ts.PTS(from + u.PTS)
			if u.Codec.Video() {
				k.check(k.tsw.Video(pts, pts, u.Key, u.Data))
			} else {
				k.check(k.tsw.Audio(pts, u.Data))
			}
		}
		k.check(k.tsw.End())
		k.list.Add(playlist.Entry{Name: name, Dur: part[len(part)-1].PTS + step - part[0].PTS, Tags: tags})
		tags = nil
	}
}

// webm adds units as one slice; keep says whether it has the recording's time.
func (k *track) webm(units []media.Unit, from media.Time, keep bool, tags ...string) {
	k.t.Helper()
	from += units[0].PTS
	name := k.name(from, ".webm")
	cfg := webm.Config{Codec: units[0].Codec, W: samples.W, H: samples.H, Channels: 1}
	if keep {
		cfg.Base = webmBase + from
	}
	w, err := webm.New(k.file(name), cfg)
	k.check(err)
	for _, u := range units {
		k.check(w.Frame(u.PTS-units[0].PTS, u.Key, u.Data))
	}
	dur := units[len(units)-1].PTS + units[1].PTS - 2*units[0].PTS
	k.check(w.Close(dur))
	k.list.Add(playlist.Entry{Name: name, Dur: dur, Tags: tags})
}

func (k *track) end() {
	k.t.Helper()
	k.check(os.WriteFile(filepath.Join(k.dir, k.base+".m3u8"), k.list.Render(true), 0o600))
}

const sec media.Time = 1_000_000

// room is a recording of 26 s: 101 with H.264 and AAC from 2 to 12 s and again
// from 16 to 26 s; 102 with VP8 and Opus in WebM from 0 to 10 s; 103 with
// Opus alone in TS from 4 to 14 s.
func room(t testing.TB) string {
	dir := t.TempDir()
	a, b := samples.H264(t), samples.VP8(t)
	v := newTrack(t, dir, "101", "video")
	v.ts(a.Video, 2*sec, 150, playlist.Discontinuity())
	v.ts(a.Video, 16*sec, 150, playlist.Discontinuity())
	v.end()
	s := newTrack(t, dir, "101", "audio")
	s.ts(a.AAC[1:], 2*sec, 234, playlist.Discontinuity())
	s.ts(a.AAC[1:], 16*sec, 234, playlist.Discontinuity())
	s.end()
	v = newTrack(t, dir, "102", "video")
	v.webm(b.Video, 0, true)
	v.end()
	s = newTrack(t, dir, "102", "audio")
	s.webm(b.Opus[1:], 0, true)
	s.end()
	s = newTrack(t, dir, "103", "audio")
	s.ts(a.Opus, 4*sec, 250)
	s.end()
	return dir
}
