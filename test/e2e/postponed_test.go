package e2e

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/testkit/cast"
	"tapedeck/internal/testkit/client"
	"tapedeck/internal/testkit/clips"
	"tapedeck/internal/testkit/probe"
)

// beginPostponed starts an individual recording with work after its end.
func (s *server) beginPostponed(uid string, scene int, options map[string]any) client.Task {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	task := client.Task{CName: "room", UID: uid, Mode: session.Individual}
	var err error
	if task.ResourceID, err = s.Acquire(ctx, task.CName, task.UID, map[string]any{"scene": scene}); err != nil {
		s.t.Fatal(err)
	}
	if task, err = s.Start(ctx, task, options); err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.Await(ctx, task); err != nil {
		s.t.Fatal(err)
	}
	return task
}

// made waits for n files of a recording with the extension.
func (s *server) made(bucket string, task client.Task, ext string, n int) (out []string) {
	s.t.Helper()
	s.eventually(ext+" of "+task.SID, 2*time.Minute, func() bool {
		out = nil
		for _, name := range stored(s.t, s.store(bucket)) {
			if strings.Contains(filepath.Base(name), task.SID) && strings.HasSuffix(name, ext) {
				out = append(out, name)
			}
		}
		return len(out) >= n
	})
	return out
}

// After the end of two individual recordings of one meeting, one has an MP4 of
// each user and the other one sound file of everybody, on one timeline.
func TestPostponedWork(t *testing.T) {
	s := serveWith(t, "spool: {encrypt: true}\n")
	c, err := cast.Prepare(t.Context(), clips.Cast()[:3])
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Join(t.Context(), s.Creds, "room"); err != nil {
		t.Fatal(err)
	}
	defer c.Leave()
	whole := s.beginPostponed("900001", 2, map[string]any{
		"storageConfig": storage("p"), "recordingConfig": map[string]any{"subscribeUidGroup": 1},
		"appsCollection": map[string]any{"combinationPolicy": "postpone_transcoding"},
	})
	sound := s.beginPostponed("900002", 0, map[string]any{
		"storageConfig":    storage("q"),
		"recordingConfig":  map[string]any{"subscribeUidGroup": 1, "streamTypes": 0, "streamMode": "original"},
		"appsCollection":   map[string]any{"combinationPolicy": "postpone_transcoding"},
		"transcodeOptions": map[string]any{"transConfig": map[string]any{"transMode": "audioMix"}, "container": map[string]any{"format": "m4a"}},
	})
	if err := wait(t.Context(), 8*time.Second); err != nil {
		t.Fatal(err)
	}
	for _, task := range []client.Task{whole, sound} {
		if _, err := s.Stop(t.Context(), task, false); err != nil {
			t.Fatal(err)
		}
	}
	var sent []time.Time
	for _, u := range c.Users() {
		sent = append(sent, u.Stays[0].Origin)
	}
	users := s.made("p", whole, ".mp4", 3)
	all := s.made("q", sound, ".m4a", 1)
	if len(users) != 3 || len(all) != 1 {
		t.Fatalf("%v, %v", users, all)
	}
	var phases []time.Duration
	phase, length := time.Duration(-1), time.Duration(0)
	for i, path := range users {
		w := seen(t, path)
		info, _, err := probe.Inspect(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if length == 0 {
			length = info.Duration
		}
		if d := (info.Duration - length).Abs(); d > 34*time.Millisecond || length < 7*time.Second {
			t.Errorf("%s lasts %v, another one %v", filepath.Base(path), info.Duration, length)
		}
		beeps := w.Beeps(clips.Cast()[i].Tone)
		if len(beeps) < 6 {
			t.Fatalf("%s: %d beeps", filepath.Base(path), len(beeps))
		}
		p := phaseOf(beeps, sent[i])
		if phase < 0 {
			phase = p
		}
		if d := apart(p, phase); d > 50*time.Millisecond {
			t.Errorf("%s beeps %v beside another user", filepath.Base(path), d)
		}
		phases = append(phases, p)
		if clips.Cast()[i].Video == nil {
			continue
		}
		sync, ok := probe.SyncOf(probe.Offsets(w.Flashes(0), beeps))
		if !ok {
			t.Fatalf("%s: no flash with a beep", filepath.Base(path))
		}
		if err := sync.Within(40 * time.Millisecond); err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	}
	w := seen(t, all[0])
	first := w.Beeps(clips.Cast()[0].Tone)
	for i, p := range clips.Cast()[1:3] {
		beeps := w.Beeps(p.Tone)
		if len(beeps) < 6 || len(first) < 6 {
			t.Fatalf("%d and %d beeps in the mix", len(first), len(beeps))
		}
		// The mix and the MP4s were made apart: they agree on how users stand to each other.
		inMix := apart(phaseOf(beeps, sent[i+1]), phaseOf(first, sent[0]))
		if d := (inMix - apart(phases[i+1], phases[0])).Abs(); d > 20*time.Millisecond {
			t.Errorf("user %d stands %v beside user 101 in the mix, other than in the MP4s by %v", p.UID, inMix, d)
		}
	}
	s.eventually("the jobs' folders to be gone", 30*time.Second, func() bool {
		left, err := filepath.Glob(filepath.Join(s.data, "jobs", "*"))
		return err == nil && len(left) == 0
	})
	s.noWorkers()
}

// phaseOf is where in a second a user's beeps stand, less the moment the user
// began to send: the same for all users who are recorded at the right time.
func phaseOf(beeps []probe.Beep, sent time.Time) time.Duration {
	d := (beeps[3].Start - time.Duration(sent.UnixNano())) % time.Second
	return (d + time.Second) % time.Second
}

// apart is the distance of two phases.
func apart(a, b time.Duration) time.Duration {
	d := (a - b).Abs()
	return min(d, time.Second-d)
}

func seen(t *testing.T, path string) *probe.Watched {
	t.Helper()
	if err := probe.Clean(t.Context(), path); err != nil {
		t.Error(err)
	}
	w, err := probe.Watch(t.Context(), []probe.Segment{{Path: path}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}
