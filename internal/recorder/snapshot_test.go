package recorder

import (
	"context"
	"image"
	"image/jpeg"
	"math"
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
	"tapedeck/internal/testkit/publish"
	"tapedeck/internal/testkit/samples"
)

// The backgrounds of package samples' persons.
var blue, orange = [3]float64{0x20, 0x50, 0xb0}, [3]float64{0xb0, 0x50, 0x10}

// pictureFact is what the journal says of a picture, and the picture.
type pictureFact struct {
	spool.Fact
	img image.Image
}

func (d *deck) pictures() []pictureFact {
	d.t.Helper()
	var out []pictureFact
	for _, f := range d.facts() {
		if f.Type != spool.FactClosed || f.Kind != spool.KindImage {
			continue
		}
		file, err := os.Open(d.path(f.Name))
		if err != nil {
			d.t.Fatal(err)
		}
		img, err := jpeg.Decode(file)
		_ = file.Close()
		if err != nil {
			d.t.Fatalf("%s: %v", f.Name, err)
		}
		want := newNames(d.plan).picture(atoi(f.UID), d.out.At(media.Time(f.StartMicro)))
		if f.Name != want || f.Track != session.TrackVideo || !f.Unlisted || f.Size == 0 || f.SHA256 == "" {
			d.t.Errorf("%+v, want the name %s", f, want)
		}
		out = append(out, pictureFact{f, img})
	}
	return out
}

func atoi(s string) uint32 {
	n := uint32(0)
	for _, c := range s {
		n = n*10 + uint32(c-'0') //nolint:gosec // digits
	}
	return n
}

// timesOf are the times of a user's pictures, in tenths of seconds.
func timesOf(pictures []pictureFact, uid string) []int {
	var out []int
	for _, p := range pictures {
		if p.UID == uid {
			out = append(out, int((p.StartMicro+50_000)/100_000))
		}
	}
	return out
}

// depicts checks the picture's average colour.
func depicts(t *testing.T, p pictureFact, want [3]float64) {
	t.Helper()
	b := p.img.Bounds()
	var sum [3]float64
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl, _ := p.img.At(x, y).RGBA()
			sum[0], sum[1], sum[2] = sum[0]+float64(r>>8), sum[1]+float64(g>>8), sum[2]+float64(bl>>8)
		}
	}
	for i := range sum {
		if sum[i] /= float64(b.Dx() * b.Dy()); math.Abs(sum[i]-want[i]) > 30 { // there is some white text on it
			t.Errorf("%s is %.0f on average, want %.0f", p.Name, sum, want)
			return
		}
	}
}

func tenths(t *testing.T, what string, got, want []int) {
	t.Helper()
	ok := len(got) == len(want)
	for i := range want {
		ok = ok && math.Abs(float64(got[i]-want[i])) <= 4 // the distance of key frames
	}
	if !ok {
		t.Errorf("%s at %v tenths of a second, want about %v", what, got, want)
	}
}

func snapshotPlan(alone bool) session.Plan {
	p := testPlan(session.StreamStandard)
	p.Snapshot, p.NoFiles = &session.Snapshot{Interval: 5 * time.Second}, alone
	return p
}

func (d *deck) files() []string {
	d.t.Helper()
	paths, err := filepath.Glob(filepath.Join(d.dir.Path(), "files", "*"))
	if err != nil {
		d.t.Fatal(err)
	}
	return slices.DeleteFunc(paths, func(p string) bool { return strings.HasSuffix(p, "_report.json") })
}

func TestSnapshotsAlone(t *testing.T) {
	d := newDeck(t, snapshotPlan(true))
	var s scene
	v, a := s.user(7, "ann", samples.H264(t), 1*sec, 24*sec)
	s.add(8*sec+1, channel.Muted{Track: v, Muted: true, At: 8 * sec})
	s.add(14*sec+1, channel.Muted{Track: v, Muted: false, At: 14 * sec})
	s.add(9*sec, channel.Muted{Track: a, Muted: true, At: 9 * sec}) // sound does not matter
	s.user(8, "bob", samples.VP8(t), 3*sec, 20*sec)
	var heard scene // a muted camera sends nothing
	for _, e := range s.events {
		m, ok := e.ev.(channel.Media)
		if !ok || m.Track != v || m.Unit.PTS < 8*sec || m.Unit.PTS >= 14*sec {
			heard.events = append(heard.events, e)
		}
	}
	d.play(&heard, 0, 25*sec)
	d.finish()
	pictures := d.pictures()
	tenths(t, "pictures of 7", timesOf(pictures, "7"), []int{10, 60, 140, 190})
	tenths(t, "pictures of 8", timesOf(pictures, "8"), []int{30, 80, 130, 180})
	for _, p := range pictures {
		depicts(t, p, map[string][3]float64{"7": blue, "8": orange}[p.UID])
		if size := p.img.Bounds().Size(); size.X != samples.W || size.Y != samples.H {
			t.Errorf("%s is %v", p.Name, size)
		}
	}
	if n := len(d.files()); n != len(pictures) {
		t.Errorf("there are %d files and %d pictures: %v", n, len(pictures), d.files())
	}
	var streams []string
	for _, f := range d.facts() {
		switch f.Type {
		case spool.FactStream:
			streams = append(streams, f.UID+" "+f.Track+map[int]string{0: " on", 1: " off"}[f.Status])
		case spool.FactIndex, spool.FactBegun, spool.FactGap:
			t.Errorf("fact %+v", f)
		case spool.FactEnded:
			if !f.Recorded {
				t.Error("nothing counts as recorded")
			}
		}
	}
	if got := strings.Join(streams, ", "); got != "7 video on, 8 video on, 7 video off, 7 video on, 8 video off, 7 video off" {
		t.Errorf("streams: %s", got)
	}
	if len(d.src.keys) != 0 {
		t.Errorf("senders with many key frames were asked for more: %v", d.src.keys)
	}
}

func TestSnapshotsBesideARecording(t *testing.T) {
	d := newDeck(t, snapshotPlan(false))
	var s scene
	s.user(7, "ann", samples.H264(t), 0, 12*sec)
	d.play(&s, 0, 13*sec)
	d.finish()
	tenths(t, "pictures", timesOf(d.pictures(), "7"), []int{0, 50, 100})
	for _, kind := range []string{"audio", "video"} {
		within(t, kind, d.playlist(d.index(7, kind)).Sum(), 11*time.Second, 2*time.Second)
	}
}

// TestSnapshotsFollowTheUser: a telephone is turned, then a screen is shared,
// then the camera is off.
func TestSnapshotsFollowTheUser(t *testing.T) {
	upright := portrait(t)
	d := newDeck(t, snapshotPlan(true))
	user := channel.User{UID: 7}
	cam := &channel.Track{ID: "cam", User: user, Codec: media.H264, Kind: channel.Camera}
	screen := &channel.Track{ID: "screen", User: user, Codec: media.VP8, Kind: channel.Screen}
	var s scene
	s.add(0, channel.Started{Track: cam})
	s.media(cam, samples.H264(t).Video, loop, 0, 4*sec)
	s.media(cam, upright, loop, 4*sec, 13*sec)
	s.send(screen, samples.VP8(t).Video, loop, 2*sec, 25*sec)
	s.add(13*sec+network, channel.Ended{Track: cam, At: 13 * sec})
	d.play(&s, 0, 26*sec)
	d.finish()
	pictures := d.pictures()
	tenths(t, "pictures", timesOf(pictures, "7"), []int{0, 50, 100, 131, 181, 231})
	for i, p := range pictures {
		w, h, colour := samples.W, samples.H, blue
		switch {
		case i == 1 || i == 2:
			w, h = h, w
		case i > 2:
			colour = orange
		}
		if size := p.img.Bounds().Size(); size.X != w || size.Y != h {
			t.Errorf("picture %d is %v, want %dx%d", i, size, w, h)
		}
		depicts(t, p, colour)
	}
}

// portrait is the person of samples.H264 on a telephone.
func portrait(t *testing.T) []media.Unit {
	t.Helper()
	person := clips.Person{UID: 11, Color: "#2050b0", Tone: samples.ToneH264, Video: []clips.Video{{Codec: media.H264, W: samples.H, H: samples.W, Kbps: 150}}}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	sets, err := clips.Make(ctx, clips.CacheDir(), []clips.Person{person})
	if err != nil {
		t.Fatal(err)
	}
	clip, err := publish.LoadH264(sets[0].Layers[0].Path, clips.FPS)
	if err != nil {
		t.Fatal(err)
	}
	var units []media.Unit
	for i, f := range clip.Frames {
		u := media.Unit{Codec: media.H264, PTS: media.FromTicks90k(int64(i) * 3000), RTP: int64(i) * 3000, Key: f.Key, Data: f.Data}
		if f.Key {
			u.W, u.H = clip.W, clip.H
		}
		units = append(units, u)
	}
	return units
}

// TestSnapshotsAskForKeyFrames: a browser sends none by itself. One is asked
// for when a picture is due, and what does not decode is told and tried again.
func TestSnapshotsAskForKeyFrames(t *testing.T) {
	d := newDeck(t, snapshotPlan(true))
	cam := &channel.Track{ID: "cam", User: channel.User{UID: 7}, Codec: media.H264, Kind: channel.Camera}
	var s scene
	s.add(0, channel.Started{Track: cam})
	units := samples.H264(t).Video
	for at, i := media.Time(0), 0; at < 12*sec; at, i = at+sec/30, i+1 {
		u := units[i%len(units)]
		u.PTS, u.RTP = at, int64(at)*9/100
		// Key frames at the start and 0.2 s after each request.
		if u.Key = i == 0 || i == 156 || i == 306; u.Key {
			u.Data = units[0].Data
		}
		if i == 156 {
			u.Data = []byte{0, 0, 0, 1, 0x65, 1, 2, 3}
		}
		s.add(at+network, channel.Media{Track: cam, Unit: u})
	}
	d.play(&s, 0, 13*sec)
	d.finish()
	tenths(t, "pictures", timesOf(d.pictures(), "7"), []int{0, 102})
	if n := d.src.keys["cam"]; n != 2 {
		t.Errorf("asked %d times for a key frame", n)
	}
	gaps := 0
	for _, f := range d.facts() {
		if f.Type == spool.FactGap && f.UID == "7" && strings.Contains(f.Note, "picture") {
			gaps++
		}
	}
	if gaps != 1 {
		t.Errorf("%d gaps", gaps)
	}
}

// TestSnapshotsGoOnAfterTheWorker: a second worker continues, no picture is lost or overwritten.
func TestSnapshotsGoOnAfterTheWorker(t *testing.T) {
	d := newDeck(t, snapshotPlan(true))
	var s scene
	s.user(7, "ann", samples.H264(t), 0, 30*sec)
	d.play(&s, 0, 7*sec)
	d.stop()
	if err := <-d.done; err != nil {
		t.Fatal(err)
	}
	if err := d.out.Close(); err != nil {
		t.Fatal(err)
	}
	d.start()
	s.add(8*sec, channel.Started{Track: &channel.Track{ID: "ann2", User: channel.User{UID: 7}, Codec: media.H264, Kind: channel.Camera}})
	for i, e := range s.events {
		if m, ok := e.ev.(channel.Media); ok && e.at > 8*sec && m.Track.ID == "annv" {
			m.Track = s.events[len(s.events)-1].ev.(channel.Started).Track
			s.events[i].ev = m
		}
	}
	d.play(&s, 8*sec, 15*sec)
	d.finish()
	tenths(t, "pictures", timesOf(d.pictures(), "7"), []int{0, 50, 80, 130})
}
