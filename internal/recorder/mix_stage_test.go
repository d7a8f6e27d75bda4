package recorder

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/clips"
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/publish"
)

const (
	mixSID = "0123456789abcdef0123456789abcdef"
	second = media.Time(1e6)
	milli  = media.Time(1e3)
)

// twin is a Source that notes what it is asked for.
type twin struct {
	keys  map[string]int
	sizes map[string][2]int
}

func newTwin() *twin { return &twin{keys: map[string]int{}, sizes: map[string][2]int{}} }

func (s *twin) Run(context.Context, func(channel.Event)) error { return nil }
func (s *twin) RequestKey(t *channel.Track)                    { s.keys[t.ID]++ }
func (s *twin) SetSize(t *channel.Track, w, h int)             { s.sizes[t.ID] = [2]int{w, h} }
func (s *twin) SetSubscription(session.Subscription)           {}
func (s *twin) SetToken(string)                                {}
func (s *twin) Stats() []channel.TrackStats                    { return nil }

// stage plays a script into a mix on a clock of its own.
type stage struct {
	t    testing.TB
	src  *twin
	dir  *spool.Dir
	out  *Output
	mode *mixMode
	now  media.Time
	wall bool // the output's clock is the real one

	settings Settings
	script   []cue
	rng      *rand.Rand
}

// cue is an event and when it arrives.
type cue struct {
	at media.Time
	ev channel.Event
}

var mixZero = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// mixPlan is a plan that the tests change to their needs.
func mixPlan() session.Plan {
	all := session.UIDList{All: true}
	return session.Plan{
		SID: mixSID, CName: "room", Mode: session.Mix, Streams: session.Both,
		Subscription: session.Subscription{Audio: all, Video: all}, MP4: true, SliceLength: 3 * time.Second,
		Mixing: &session.Mixing{Width: 640, Height: 360, FPS: 15, Bitrate: 800, Layout: session.Layout{Kind: 1, Background: "#404040"}},
	}
}

func newStage(t testing.TB, plan session.Plan) *stage {
	t.Helper()
	return newStageWith(t, plan, Settings{})
}

func newStageWith(t testing.TB, plan session.Plan, settings Settings) *stage {
	t.Helper()
	if testing.Short() {
		t.Skip("runs ffmpeg")
	}
	if p, ok := t.(*testing.T); ok {
		p.Parallel()
	}
	s := &stage{t: t, src: newTwin(), settings: settings, rng: rand.New(rand.NewPCG(1, 2))}
	var err error
	if s.dir, err = spool.Create(t.TempDir(), mixSID); err != nil {
		t.Fatal(err)
	}
	s.open(plan)
	return s
}

// open starts a worker's incarnation at the present time.
func (s *stage) open(plan session.Plan) {
	s.t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	start := mixZero.Add(time.Duration(s.now) * time.Microsecond)
	now := func() time.Time { return start }
	if s.wall {
		now = time.Now
	}
	var err error
	s.out, err = OpenOutput(s.dir, plan, now, log)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = s.out.Close() })
	if s.mode, err = newMix(plan, s.settings, s.out, s.src, log); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.mode.close)
}

func (s *stage) cue(at media.Time, ev channel.Event) { s.script = append(s.script, cue{at, ev}) }

// run lets time pass up to until, one round every 20 ms.
func (s *stage) run(until media.Time) {
	s.t.Helper()
	slices.SortStableFunc(s.script, func(a, b cue) int { return int(a.at - b.at) })
	for s.now < until {
		s.now += 20 * milli
		s.deliver()
		if _, err := s.mode.round(s.now); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *stage) deliver() {
	n := 0
	for n < len(s.script) && s.script[n].at <= s.now {
		s.mode.Handle(s.script[n].ev)
		n++
	}
	s.script = s.script[n:]
}

// stop ends the recording at the present time.
func (s *stage) stop() {
	s.t.Helper()
	if err := s.mode.finish(s.now); err != nil {
		s.t.Fatal(err)
	}
	if err := s.out.Ended(spool.EndStop, s.mode.Recorded()); err != nil {
		s.t.Fatal(err)
	}
}

// file returns the path of a recorded file.
func (s *stage) file(name string) string { return s.dir.FilePath(name) }

func (s *stage) playlist() probe.Playlist {
	s.t.Helper()
	p, err := probe.ReadPlaylist(s.file(mixSID + "_room.m3u8"))
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (s *stage) mp4(n int) string { return s.file(fmt.Sprintf("%s_room_%d.mp4", mixSID, n)) }

// actor is somebody who sends clips.
type actor struct {
	s     *stage
	user  channel.User
	video *publish.Clip
	audio *publish.Clip
	vt    *channel.Track
	at    *channel.Track
	stays int
	kind  channel.SourceKind
	drop  func(video bool, n int64) bool // whether unit n of the stay is lost
}

var mixCast = []clips.Person{
	{UID: 101, Color: "#2050b0", Tone: 600, Video: []clips.Video{{Codec: media.H264, W: 640, H: 360, Kbps: 500}}},
	{UID: 102, Color: "#b05010", Tone: 1000, Video: []clips.Video{{Codec: media.VP8, W: 320, H: 180, Kbps: 300}}},
	{UID: 103, Tone: 1500},
	{UID: 104, Color: "#802080", Tone: 2100, Video: []clips.Video{{Codec: media.H264, W: 320, H: 180, Kbps: 200}}},
}

// actor makes the n-th person of mixCast.
func (s *stage) actor(n int) *actor {
	s.t.Helper()
	sets, err := clips.Make(s.t.Context(), clips.CacheDir(), mixCast)
	if err != nil {
		s.t.Fatal(err)
	}
	p := sets[n]
	a := &actor{s: s, user: channel.User{UID: p.UID, Identity: fmt.Sprint(p.UID)}, drop: func(bool, int64) bool { return false }}
	if len(p.Layers) > 0 {
		switch l := p.Layers[0]; l.Codec {
		case media.VP8:
			a.video, err = publish.LoadIVF(l.Path)
		default:
			a.video, err = publish.LoadH264(l.Path, clips.FPS)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	if a.audio, err = publish.LoadOgg(p.Audio.Path); err != nil {
		s.t.Fatal(err)
	}
	return a
}

// stay joins at from and leaves at to. Clips run on the recording's timeline,
// so that flashes and beeps come at 0.5 s, 1.5 s, ... of it.
func (a *actor) stay(from, to media.Time) {
	a.stays++
	a.s.cue(from, channel.Joined{User: a.user, At: from})
	if a.video != nil {
		a.vt = a.send(a.video, a.kind, from+50*milli, to-50*milli)
	}
	if a.audio != nil {
		a.at = a.send(a.audio, channel.Microphone, from+50*milli, to-50*milli)
	}
	a.s.cue(to, channel.Left{User: a.user, At: to, Reason: "client"})
}

// send publishes a clip and returns its track. Units arrive 60 to 90 ms late.
func (a *actor) send(c *publish.Clip, kind channel.SourceKind, from, to media.Time) *channel.Track {
	t := &channel.Track{ID: fmt.Sprintf("%d-%d-%v-%v", a.user.UID, a.stays, kind, c.Codec), User: a.user, Codec: c.Codec, Kind: kind}
	a.s.cue(from, channel.Started{Track: t, At: from})
	length := media.Time(c.Ticks) * second / media.Time(c.Codec.ClockRate())
	gap, last := 0, media.Time(0)
	for n := int64((from + length - 1) / length); media.Time(n)*length < to; n++ {
		f := c.Frames[n%int64(len(c.Frames))]
		if a.drop(c.Codec.Video(), n) {
			gap++
			continue
		}
		pts := media.Time((n*c.Ticks - c.Lead) * 1e6 / int64(c.Codec.ClockRate()))
		u := media.Unit{Codec: c.Codec, PTS: pts, RTP: 1000 + n*c.Ticks, Key: f.Key, Gap: gap, Data: f.Data}
		gap = 0
		last = max(last, pts+60*milli+media.Time(a.s.rng.IntN(30000)))
		a.s.cue(last, channel.Media{Track: t, Unit: u})
	}
	a.s.cue(max(to, last), channel.Ended{Track: t, At: to})
	return t
}

// colour is what a person's picture shows.
func (a *actor) colour() [3]float64 {
	for _, p := range mixCast {
		var v int
		if p.UID == a.user.UID && p.Color != "" {
			_, _ = fmt.Sscanf(p.Color, "#%x", &v)
			return [3]float64{float64(v >> 16), float64(v >> 8 & 255), float64(v & 255)}
		}
	}
	return [3]float64{}
}

// shows tells whether a sight has about the given colour. Numbers and bars in
// the picture disturb it a little.
func shows(s probe.Sight, c [3]float64) bool {
	r, g, b := s.RGB()
	for i, v := range []float64{r, g, b} {
		if d := v - c[i]; d > 45 || d < -45 {
			return false
		}
	}
	return true
}

var backdrop = [3]float64{0x40, 0x40, 0x40}

// clean demands that ffprobe and ffmpeg have nothing to say.
func clean(t testing.TB, path string) {
	t.Helper()
	if err := probe.Clean(t.Context(), path); err != nil {
		t.Errorf("%s: %v", filepath.Base(path), err)
	}
}

// whole checks what holds of every finished mix: slices begin with their key
// frame where their name says, follow each other without a hole on the grids of
// pictures and sound, and their durations add up to length.
func (s *stage) whole(start, length media.Time, fps int64) probe.Playlist {
	t := s.t
	t.Helper()
	p := s.playlist()
	if !p.Ended {
		t.Error("no end mark")
	}
	frame := time.Second / time.Duration(fps)
	if d := p.Sum() - time.Duration(length)*time.Microsecond; d < 0 || d > frame {
		t.Errorf("slices last %v, the recording %v", p.Sum(), time.Duration(length)*time.Microsecond)
	}
	at, last := start, map[string]time.Duration{}
	for i, sl := range p.Slices {
		path := s.file(sl.Name)
		if want := mixZero.Add(time.Duration(at) * time.Microsecond).Truncate(time.Millisecond); !sl.UTC.Equal(want) {
			t.Errorf("slice %d is named %v, begins at %v", i, sl.UTC, want)
		}
		pk, err := probe.Packets(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		s.grid(pk, last, fps)
		base := 10*time.Second + time.Duration(at)*time.Microsecond
		if v, ok := probe.SpanOf(pk, "video"); ok {
			if !v.KeyFirst || (v.First-base).Abs() > 20*time.Microsecond || (v.Length()-sl.Duration).Abs() > time.Millisecond {
				t.Errorf("slice %d: video %+v, want %v from %v", i, v, sl.Duration, base)
			}
		}
		if a, ok := probe.SpanOf(pk, "audio"); ok {
			if d := a.First - base; d < -20*time.Microsecond || d > 22*time.Millisecond {
				t.Errorf("slice %d: sound begins %v after the slice", i, d)
			}
		}
		if sl.Discontinuity != (i == 0) {
			t.Errorf("slice %d: discontinuity %v", i, sl.Discontinuity)
		}
		at += media.Time(sl.Duration.Microseconds())
	}
	clean(t, s.file(mixSID+"_room.m3u8"))
	return p
}

// grid checks the distance of successive pictures and AAC frames.
func (s *stage) grid(pk []probe.Packet, last map[string]time.Duration, fps int64) {
	for _, p := range pk {
		step := time.Second / time.Duration(fps)
		if p.Type == "audio" {
			step = 1024 * time.Second / 48000
		}
		if l, ok := last[p.Type]; ok && (p.PTS-l-step).Abs() > 15*time.Microsecond {
			s.t.Errorf("%s at %v comes %v after the one before", p.Type, p.PTS, p.PTS-l)
		}
		last[p.Type] = p.PTS
	}
}

// parts lists unfinished files.
func (s *stage) parts() []string {
	all, err := os.ReadDir(filepath.Dir(s.file("x")))
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, e := range all {
		if strings.HasSuffix(e.Name(), ".part") {
			out = append(out, e.Name())
		}
	}
	return out
}
