package recorder

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/outbound"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/probe"
)

// plainPNG is a picture of one colour.
func plainPNG(t testing.TB, w, h int, c color.Color) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.Set(x, y, c)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pictures serves pictures of several colours and things that are none.
func pictures(t testing.TB) (url string, policy outbound.Policy) {
	t.Helper()
	mux := http.NewServeMux()
	for name, c := range map[string]color.Color{
		"yellow": color.NRGBA{200, 200, 0, 255}, "pink": color.NRGBA{220, 80, 160, 255},
		"cyan": color.NRGBA{0, 180, 180, 255}, "red": color.NRGBA{230, 0, 0, 255},
	} {
		data := plainPNG(t, 300, 200, c)
		mux.HandleFunc("/"+name, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) })
	}
	mux.Handle("/moved", http.RedirectHandler("/yellow", http.StatusFound))
	mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusFound))
	mux.HandleFunc("/text", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		for range 7 << 10 {
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				return
			}
		}
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL, outbound.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
}

// fetched waits until every picture of the present layout is there or given up.
func (s *stage) fetched() {
	s.t.Helper()
	g := s.mode.video.scene.gallery
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(time.Minute); ; <-tick.C {
		g.mu.Lock()
		over := true
		for _, i := range g.items {
			over = over && i.over
		}
		g.mu.Unlock()
		if over {
			return
		}
		if time.Now().After(limit) {
			s.t.Fatal("the pictures do not come")
		}
	}
}

// warnings are the notes of the journal's warnings.
func (s *stage) warnings() (out []string) {
	s.t.Helper()
	facts, _, err := s.dir.ReadJournal(0)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range facts {
		if f.Type == spool.FactWarn {
			out = append(out, f.Note)
		}
	}
	return out
}

var (
	yellowish = [3]float64{200, 200, 0}
	pinkish   = [3]float64{220, 80, 160}
	cyanish   = [3]float64{0, 180, 180}
)

// The order of what a region without video shows: the user's own picture, the
// one for all users, the canvas's picture; what a user showed last stays for
// 3.5 s, and for ever where there is no picture.
func TestMixPictures(t *testing.T) {
	url, policy := pictures(t)
	plan := mixPlan()
	plan.SliceLength = 15 * time.Second
	plan.Mixing.Layout = session.Layout{
		Kind: 1, Background: "#404040", BackgroundImage: url + "/moved?key=secret", UserBackgroundImage: url + "/pink",
		UserImages: []session.UserBackground{{UID: 103, Image: url + "/cyan"}, {UID: 101, Image: url + "/text?key=secret"}},
	}
	s := newStageWith(t, plan, Settings{Egress: policy})
	s.fetched()
	a, c := s.actor(0), s.actor(2)
	c.stay(0, 30*second)
	s.cue(milli, channel.Joined{User: a.user})
	a.send(a.video, channel.Camera, 50*milli, 1500*milli)
	s.run(7500 * milli)
	again := a.send(a.video, channel.Camera, 7600*milli, 9400*milli)
	s.run(9000 * milli)
	s.cue(9*second, channel.Muted{Track: again, Muted: true, At: 9 * second})
	s.run(14 * second)
	s.mode.Layout(session.Layout{Kind: 1, Background: "#404040"})
	s.run(15500 * milli)
	s.mode.Layout(session.Layout{Kind: 1, Background: "#404040", BackgroundImage: url + "/moved?key=secret"})
	s.run(15580*milli + mixDelay) // the mix comes to the new layout, and asks for its picture
	s.fetched()
	s.run(18 * second)
	s.stop()

	one, two := probe.Region{X: 0.1, Y: 0.3, W: 0.3, H: 0.4}, probe.Region{X: 0.55, Y: 0.1, W: 0.15, H: 0.2}
	w := s.watch(one, two)
	expect(t, w, 0, 200*time.Millisecond, 14*time.Second, cyanish) // never any video: at once
	expect(t, w, 1, time.Second, 4950*time.Millisecond, a.colour())
	expect(t, w, 1, 5100*time.Millisecond, 7550*time.Millisecond, pinkish) // its own is no picture
	expect(t, w, 1, 8*time.Second, 12450*time.Millisecond, a.colour())
	expect(t, w, 1, 12600*time.Millisecond, 14*time.Second, pinkish) // muted
	expect(t, w, 0, 14050*time.Millisecond, 15500*time.Millisecond, backdrop)
	expect(t, w, 1, 14050*time.Millisecond, 15500*time.Millisecond, a.colour()) // no picture: the last frame
	expect(t, w, 0, 15600*time.Millisecond, 18*time.Second, yellowish)
	expect(t, w, 1, 15600*time.Millisecond, 18*time.Second, yellowish)
	if notes := s.warnings(); len(notes) != 1 || !strings.Contains(notes[0], "/text") || strings.Contains(notes[0], "secret") {
		t.Errorf("warnings %q", notes)
	}
}

// What is no picture, too large, elsewhere or inside the operator's network is
// left out, and the recording goes on.
func TestMixPicturesThatAreLeftOut(t *testing.T) {
	url, policy := pictures(t)
	for path, want := range map[string]string{
		"/text": "no JPEG", "/large": "too large", "/nothing": "answers 404", "/loop": "redirects", "/yellow": "",
	} {
		img, err := fetcher(policy)(t.Context(), url+path)
		if err == nil {
			_, err = (&gallery{fetch: fetcher(policy)}).load(t.Context(), stillOrder{url: url + path, w: 64, h: 36})
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || !hopeless(err)) {
			t.Errorf("%s: %d bytes, %v", path, len(img), err)
		}
	}
	if _, err := fetcher(outbound.Policy{})(t.Context(), url+"/yellow"); err == nil || !hopeless(err) {
		t.Errorf("a private address: %v", err)
	}
	if _, err := fetcher(policy)(t.Context(), "file:///etc/passwd"); err == nil {
		t.Error("a file")
	}
}

// A server that is away is asked three times, then the picture is given up.
func TestGalleryTriesAgain(t *testing.T) {
	now := time.Unix(0, 0)
	tries, notes := 0, 0
	g := newGallery(nil, func() time.Time { return now }, func(string) { notes++ })
	g.want([]stillOrder{{url: "http://x/y"}})
	for range 100 {
		o, wait := g.due()
		if wait > 0 {
			now = now.Add(wait)
			continue
		}
		tries++
		g.keep(o, still{}, http.ErrServerClosed)
	}
	if tries != 3 || notes != 1 {
		t.Errorf("%d tries, %d warnings", tries, notes)
	}
}

// Names and a watermark are drawn over the users, and nothing is left of them
// where they are not asked for.
func TestMixNamesAndWatermark(t *testing.T) {
	url, policy := pictures(t)
	plan := mixPlan()
	plan.SliceLength = 15 * time.Second
	plan.Mixing.Labels = true
	plan.Mixing.Watermark = &session.Watermark{Image: url + "/red", X: 0.8, Y: 0.05, W: 0.15, H: 0.2, Alpha: 0.8}
	s := newStageWith(t, plan, Settings{Egress: policy})
	s.fetched()
	a, c := s.actor(0), s.actor(2)
	a.stay(0, 20*second)
	c.stay(0, 20*second)
	s.run(3 * second)
	s.stop()
	mark, beside := probe.Region{X: 0.82, Y: 0.08, W: 0.1, H: 0.1}, probe.Region{X: 0.6, Y: 0.3, W: 0.1, H: 0.3}
	plate, above := probe.Region{X: 0.515, Y: 0.955, W: 0.004, H: 0.02}, probe.Region{X: 0.515, Y: 0.7, W: 0.05, H: 0.1}
	w := s.watch(mark, beside, plate, above)
	expect(t, w, 0, 500*time.Millisecond, 3*time.Second, [3]float64{197, 13, 13})
	expect(t, w, 1, 500*time.Millisecond, 3*time.Second, backdrop)
	expect(t, w, 3, 500*time.Millisecond, 3*time.Second, backdrop)
	if got := sight(w, 2*time.Second, 2); got.Y > 55 {
		t.Errorf("no plate behind the name: luma %.0f", got.Y)
	}
}

// A pause leaves out what happens in it: two stretches in one playlist with a
// discontinuity, two MP4s, nothing of the pause in them.
func TestMixPause(t *testing.T) {
	s := newStage(t, mixPlan())
	a := s.actor(0)
	a.stay(0, 30*second)
	s.run(4 * second)
	s.mode.Hold(true)
	s.mode.Hold(true)
	s.run(7 * second)
	s.mode.Layout(session.Layout{Kind: 0, Background: "#404040"})
	s.run(8 * second)
	s.mode.Hold(false)
	s.run(12 * second)
	s.stop()
	p := s.playlist()
	cuts := 0
	for i, sl := range p.Slices {
		clean(t, s.file(sl.Name))
		if sl.Discontinuity {
			cuts++
			if i > 0 && (len(sl.Tags) != 2 || sl.UTC.Before(mixZero.Add(7*time.Second)) || sl.UTC.After(mixZero.Add(8500*time.Millisecond))) {
				t.Errorf("slice %d after the pause: %+v", i, sl)
			}
		}
	}
	if cuts != 2 {
		t.Errorf("%d discontinuities", cuts)
	}
	if d := p.Sum() - 8*time.Second; d < -time.Second || d > time.Second {
		t.Errorf("%v were written", p.Sum())
	}
	clean(t, s.file(mixSID+"_room.m3u8"))
	beeps := 0
	for n := range 2 {
		clean(t, s.mp4(n))
		w, err := probe.Watch(t.Context(), []probe.Segment{{Path: s.mp4(n)}}, quarter)
		if err != nil {
			t.Fatal(err)
		}
		beeps += len(w.Beeps(600))
		expect(t, w, 0, time.Second, 3*time.Second, a.colour())
		if sync, ok := probe.SyncOf(probe.Offsets(w.Flashes(0), w.Beeps(600))); !ok || sync.Within(40*time.Millisecond) != nil {
			t.Errorf("MP4 %d: flash and beep: %v", n, sync)
		}
	}
	if beeps < 7 || beeps > 9 {
		t.Errorf("%d beeps in 8 s", beeps)
	}
}

// Who speaks is large.
func TestMixActiveSpeaker(t *testing.T) {
	plan := mixPlan()
	plan.SliceLength = 15 * time.Second
	plan.Mixing.Layout = session.Layout{Kind: 100, Background: "#404040"}
	s := newStage(t, plan)
	a, b := s.actor(0), s.actor(1)
	a.audio = nil
	a.stay(0, 20*second)
	b.stay(500*milli, 20*second)
	s.run(6 * second)
	s.stop()
	w := s.watch(probe.Region{X: 0.02, Y: 0.3, W: 0.1, H: 0.4}, probe.Region{X: 0.85, Y: 0.05, W: 0.1, H: 0.1})
	expect(t, w, 0, 200*time.Millisecond, 480*time.Millisecond, a.colour())
	expect(t, w, 0, 4*time.Second, 6*time.Second, b.colour())
	expect(t, w, 1, 4*time.Second, 6*time.Second, a.colour())
}
