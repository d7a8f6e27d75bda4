package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/testkit/cast"
	"tapedeck/internal/testkit/client"
	"tapedeck/internal/testkit/clips"
	"tapedeck/internal/testkit/mounts"
)

const (
	appA = "0123456789abcdef0123456789abcdea"
	appB = "0123456789abcdef0123456789abcdeb"
)

func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// as returns a client of the configured customer for an app.
func (s *server) as(app string) *client.Client {
	return &client.Client{Base: s.Base, Creds: client.Credentials{AppID: app, CustomerID: "customer", CustomerSecret: "secret"}}
}

// speaker is a room with one participant.
func speaker(t *testing.T, s *server, room string) {
	t.Helper()
	c, err := cast.Prepare(t.Context(), clips.Cast()[3:])
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Join(t.Context(), s.Creds, room); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Leave)
}

// clean checks that a log shows no secret: no room token, no storage key.
func (s *server) clean() {
	s.t.Helper()
	b, err := os.ReadFile(s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	logs, _ := filepath.Glob(filepath.Join(s.data, "spool", "*", "worker.log"))
	for _, l := range logs {
		more, _ := os.ReadFile(l)
		b = append(b, more...)
	}
	for _, secret := range []string{"eyJ", "not-to-be-seen"} {
		if strings.Contains(string(b), secret) {
			s.t.Errorf("a log holds %q", secret)
		}
	}
}

// says waits for a line in the service's log that holds all the words.
func (s *server) says(words ...string) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("the log says %q", words), 10*time.Second, func() bool {
		b, err := os.ReadFile(s.log)
		if err != nil {
			return false
		}
	lines:
		for line := range strings.Lines(string(b)) {
			for _, w := range words {
				if !strings.Contains(strings.ToLower(line), w) {
					continue lines
				}
			}
			return true
		}
		return false
	})
}

func TestStartRefusals(t *testing.T) {
	rooms := serve(t)
	speaker(t, rooms, "room")
	store := t.TempDir()
	s := launch(t, configured(rooms.Creds, rooms.Creds.LiveKitSecret, store), nil)
	a, b := s.as(appA), s.as(appB)
	ctx := t.Context()
	acquire := func(uid string) client.Task {
		t.Helper()
		id, err := a.Acquire(ctx, "room", uid, struct{}{})
		if err != nil {
			t.Fatal(err)
		}
		return client.Task{CName: "room", UID: uid, ResourceID: id, Mode: session.Mix}
	}
	options := mixOptions("b", 320, 180, 15)

	running := acquire("1")
	first, err := a.Start(ctx, running, options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Await(ctx, first); err != nil {
		t.Fatal(err)
	}
	_, err = a.Start(ctx, running, options)
	refused(t, err, http.StatusCreated, 7)
	_, err = a.Start(ctx, acquire("1"), options)
	refused(t, err, http.StatusBadRequest, 53) // the same triple under another resource id

	forged, foreign, renamed, mode := acquire("2"), acquire("3"), acquire("4"), acquire("5")
	forged.ResourceID = flip(forged.ResourceID)
	renamed.CName = "room2"
	mode.Mode = session.Web
	for _, c := range []struct {
		name string
		task client.Task
		api  *client.Client
		code int
	}{
		{"forged", forged, a, 1001},
		{"of another app", foreign, b, 432},
		{"of another room", renamed, a, 432},
		{"for another mode", mode, a, 432},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.api.Start(t.Context(), c.task, options)
			refused(t, err, http.StatusBadRequest, c.code)
		})
	}
	if n := len(workers(s.data)); n != 1 {
		t.Errorf("%d workers run, want the first recording's", n)
	}

	if err := wait(ctx, 2*time.Second); err != nil { // something has to be recorded
		t.Fatal(err)
	}
	if _, err := a.Stop(ctx, first, false); err != nil {
		t.Error(err)
	}
	_, err = a.Start(ctx, running, options) // used and over
	refused(t, err, http.StatusCreated, 7)
	s.noWorkers()
	s.clean()
}

// flip changes one character in the middle.
func flip(id string) string {
	b := []byte(id)
	i := len(b) / 2
	if b[i] == 'A' {
		b[i] = 'B'
	} else {
		b[i] = 'A'
	}
	return string(b)
}

func TestEmptyRoom(t *testing.T) {
	s := serve(t)
	task := s.begin(session.Mix, "nobody", "1", mixOptions("b", 320, 180, 15))
	_, err := s.Stop(t.Context(), task, false)
	refused(t, err, http.StatusPartialContent, 435)
	s.noWorkers()
	if files := stored(t, s.store("b")); len(files) > 0 {
		t.Errorf("an empty room left %q", files)
	}
	_, err = s.Query(t.Context(), task)
	refused(t, err, http.StatusNotFound, 404)
	s.clean()
}

func TestWrongLiveKitKey(t *testing.T) {
	rooms := serve(t)
	speaker(t, rooms, "room")
	s := launch(t, configured(rooms.Creds, "this-is-not-the-secret-of-that-server", t.TempDir()), nil)
	a := s.as(appA)
	task, err := a.Record(t.Context(), session.Mix, "room", "1", mixOptions("b", 320, 180, 15))
	if err != nil {
		t.Fatal(err) // start does not prove that recording works (rest-api.md 3)
	}
	var last error
	s.eventually("query says that the recording failed", 20*time.Second, func() bool {
		_, last = a.Query(t.Context(), task)
		return last != nil && wait(t.Context(), 200*time.Millisecond) == nil
	})
	refused(t, last, http.StatusNotFound, 404)
	s.noWorkers()
	s.says(task.SID, "livekit", "key")
	s.clean()
}

func TestSpoolReadOnly(t *testing.T) {
	spoolRefuses(t, "ro,size=2g", "mount it read-write")
}

func TestSpoolFull(t *testing.T) {
	spoolRefuses(t, "size=4m", "free")
}

// spoolRefuses starts the service in a mount namespace of its own, in which its
// spool is a file system with the given options, and proves that start refuses.
func spoolRefuses(t *testing.T, options, advice string) {
	spool := t.TempDir()
	s := launchIn(t, spool, options)
	creds, err := client.ReadCredentials(s.data)
	if err != nil {
		t.Fatal(err)
	}
	s.Creds = creds
	speaker(t, s, "room")
	_, err = s.Record(t.Context(), session.Mix, "room", "1", mixOptions("b", 320, 180, 15))
	refused(t, err, http.StatusInternalServerError, 502)
	s.says(advice)
	s.noWorkers()
	if files := stored(t, s.store("b")); len(files) > 0 {
		t.Errorf("left %q", files)
	}
	s.clean()
}

func launchIn(t *testing.T, spool, options string) *server {
	t.Helper()
	probe := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", spool)
	mounts.Isolate(probe)
	if out, err := probe.CombinedOutput(); err != nil {
		t.Skipf("no mounts in a namespace here: %v: %s", err, out)
	}
	return launch(t, "spool:\n  dir: "+spool+"\n", func(c *exec.Cmd, _ string) {
		script := `mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"`
		c.Args = append([]string{"sh", "-c", script, "sh", options, spool, c.Path}, c.Args[1:]...)
		c.Path = "/bin/sh"
		mounts.Isolate(c)
	})
}
