package e2e

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/testkit/cast"
	"tapedeck/internal/testkit/client"
	"tapedeck/internal/testkit/clips"
	"tapedeck/internal/testkit/player"
	"tapedeck/internal/testkit/review"
)

// slack is how much a browser may leave out of a recording, in seconds: hls.js
// steps 0.1 s over a start where sound and picture do not begin together.
const slack = 0.25

// meeting is one meeting of four participants, recorded in both modes at the
// same time, that several tests look at.
type meeting struct {
	dir             string // <dir>/<file name> are the stored files
	users           []review.User
	mix, individual client.State
	asked, answered time.Time // stop of the mix
}

var (
	once    sync.Once
	held    *meeting
	keepDir string
)

func TestMain(m *testing.M) {
	code := m.Run()
	if keepDir != "" {
		_ = os.RemoveAll(keepDir) //nolint:forbidigo // the temporary folder of the meeting
	}
	os.Exit(code)
}

// attend returns the meeting, which takes place when the first test asks.
func attend(t *testing.T) *meeting {
	t.Helper()
	binary(t)
	once.Do(func() { hold(t) })
	if held == nil {
		t.Fatal("the meeting could not be recorded")
	}
	return held
}

// hold lets 101 (H.264 simulcast), 102 (VP8), 103 (sound only) and 104 (H.264)
// meet for 21 s. 104 is away from the 7th to the 14th.
func hold(t *testing.T) {
	s := serve(t)
	c, err := cast.Prepare(t.Context(), clips.Cast())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Join(t.Context(), s.Creds, "room"); err != nil {
		t.Fatal(err)
	}
	defer c.Leave()
	mix := s.begin(session.Mix, "room", "900001", mixOptions("b", 1280, 720, 30))
	individual := s.begin(session.Individual, "room", "900002", individualOptions("b", session.StreamStandard))
	const part = 7 * time.Second
	err = errors.Join(wait(t.Context(), part), func() error { c.Exit(104); return nil }(), wait(t.Context(), part),
		c.Enter(t.Context(), 104), wait(t.Context(), part))
	if err != nil {
		t.Fatal(err)
	}
	m := &meeting{asked: time.Now(), users: c.Users()}
	var errs [2]error
	var wg sync.WaitGroup
	wg.Go(func() {
		m.mix, errs[0] = s.Stop(t.Context(), mix, false)
		m.answered = m.asked.Add(m.mix.AnsweredIn)
	})
	wg.Go(func() { m.individual, errs[1] = s.Stop(t.Context(), individual, false) })
	wg.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	s.noWorkers()
	if _, err := s.Query(t.Context(), mix); err == nil {
		t.Error("a recording that ended is still shown")
	} else {
		refused(t, err, 404, 404)
	}
	keep(t, s, m)
	held = m
}

// keep copies the files out of the service's folder, which goes with its test.
func keep(t *testing.T, s *server, m *meeting) {
	t.Helper()
	var err error
	if keepDir, err = os.MkdirTemp("", "tapedeck-e2e-"); err != nil {
		t.Fatal(err)
	}
	m.dir = filepath.Join(keepDir, "b")
	if err := os.CopyFS(m.dir, os.DirFS(s.store("b"))); err != nil {
		t.Fatal(err)
	}
}

func TestMixEndToEnd(t *testing.T) {
	m := attend(t)
	if m.mix.Uploading != session.UploadUploaded || m.mix.ListMode != "json" {
		t.Errorf("stop: %s", m.mix.RawResponse)
	}
	q := review.MixRequest{
		Dir: m.dir, W: 1280, H: 720, Users: m.users, Regions: review.BestFit(len(m.users)), From: m.asked, To: m.answered,
	}
	for _, f := range m.mix.Files {
		if strings.HasSuffix(f.Name, ".mp4") {
			q.MP4s = append(q.MP4s, f.Name)
		} else {
			q.Playlist = f.Name
		}
		if f.UID != "0" || !f.Mixed || !f.Playable || f.Track != session.TrackBoth {
			t.Errorf("listed as %+v", f)
		}
	}
	if q.Playlist == "" || len(q.MP4s) != 1 {
		t.Fatalf("files %v", m.mix.Files)
	}
	r, err := review.Mix(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	judge(t, r)
}

func TestIndividualEndToEnd(t *testing.T) {
	m := attend(t)
	r, err := review.Individual(t.Context(), m.dir, m.individual.Files, m.users)
	if err != nil {
		t.Fatal(err)
	}
	judge(t, r)
	// Every user has sound; three have a picture, each with a joint index.
	kinds := map[string]int{}
	for _, f := range m.individual.Files {
		_, kind, _ := strings.Cut(f.Name, "__uid_e_")
		kinds[kind]++
	}
	if kinds["audio.m3u8"] != 4 || kinds["video.m3u8"] != 3 || kinds["av.m3u8"] < 2 || kinds["av.mpd"] != 1 {
		t.Errorf("kinds of files: %v", kinds)
	}
}

// judge fails the test for every problem and shows what was measured.
func judge(t *testing.T, r *review.Result) {
	t.Helper()
	for _, f := range r.Files {
		t.Logf("%s: %d slices, %v, %s, %d bytes", f.Name, f.Slices, f.Duration, f.Codecs, f.Size)
	}
	for _, u := range r.Users {
		t.Logf("user %d in %s: %d flashes, %d beeps, A/V %v, lags %v", u.UID, u.Where, u.Flashes, u.Beeps, u.Sync, u.Lags)
	}
	for _, p := range r.Problems() {
		t.Error(p)
	}
}

func TestPlaylistPlaysInBrowser(t *testing.T) {
	m := attend(t)
	for _, f := range append(m.mix.Files, m.individual.Files...) {
		// Slices in WebM do not play through a playlist (files.md 5.4).
		if !strings.HasSuffix(f.Name, ".m3u8") || strings.Contains(f.Name, "__uid_s_102__") {
			continue
		}
		t.Run(f.Name, func(t *testing.T) { plays(t, m.dir, f.Name) })
	}
}

func plays(t *testing.T, dir, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	r, err := player.Play(ctx, dir, name, 8, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", r)
	if err := r.Complete(slack); err != nil {
		t.Error(err)
	}
}
