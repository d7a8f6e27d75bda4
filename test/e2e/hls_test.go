package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/testkit/cast"
	"tapedeck/internal/testkit/client"
	"tapedeck/internal/testkit/clips"
	"tapedeck/internal/testkit/player"
)

const hlsSecret = "5a5b5c5d5e5f60616263646566676869707172737475767778797a7b7c7d7e7f"

// keyServer hands out content keys as the documentation tells a customer to.
func keyServer(t *testing.T) *httptest.Server {
	t.Helper()
	secret, err := hex.DecodeString(hlsSecret)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := hmac.New(sha256.New, secret)
		_, _ = m.Write([]byte(strings.TrimPrefix(r.URL.Path, "/")))
		w.Header().Set("Access-Control-Allow-Origin", "*")
		_, _ = w.Write(m.Sum(nil)[:16])
	}))
	t.Cleanup(srv.Close)
	return srv
}

// TestCrashHLSEncryption records in every mode for an app whose slices are
// encrypted, and kills the workers. What is in the bucket cannot be read without
// the key and plays with it, in ffmpeg and in a browser; with it, a conversion
// reads it, too. Key and credentials are nowhere on the disk.
func TestCrashHLSEncryption(t *testing.T) {
	rooms := serve(t)
	c, err := cast.Prepare(t.Context(), clips.Cast()[:1])
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Join(t.Context(), rooms.Creds, "room"); err != nil {
		t.Fatal(err)
	}
	defer c.Leave()
	keys, store := keyServer(t), t.TempDir()
	site := httptest.NewServer(http.FileServer(http.Dir("../../internal/webpage/testdata")))
	defer site.Close()
	config := fmt.Sprintf(`
egress:
  allow: [127.0.0.0/8]
accounts:
  - customer_id: customer
    secrets: ["sha256:%s"]
    rate: 1000
    apps:
      - id: %s
        livekit: {url: %q, key: %q, secret: %q}
        storage: {endpoints: {"*": %q}}
        hls: {encrypt: true, secret: %q, key_uri: %q}
`, hash("secret"), appA, rooms.Creds.LiveKitURL, rooms.Creds.LiveKitKey, rooms.Creds.LiveKitSecret, "file://"+store, hlsSecret, keys.URL+"/{sid}")
	s := launch(t, config, nil)
	a := &server{Client: s.as(appA), t: t, data: s.data, log: s.log, gone: s.gone, cmd: s.cmd}
	_, err = a.Record(t.Context(), session.Mix, "room", "3", mixOptions("b", 320, 180, 15))
	refused(t, err, http.StatusBadRequest, 2) // an MP4 would lie beside it in the clear
	options := mixOptions("b", 640, 360, 30)
	delete(options, "recordingFileConfig")
	mix := a.begin(session.Mix, "room", "1", options)
	single := a.begin(session.Individual, "room", "2", individualOptions("b", session.StreamStandard))
	raw := a.begin(session.Raw, "room", "4", rawOptions("b", 2, "hls"))
	options = webOptions("b", site.URL+"/anim.html", "")
	delete(options, "recordingFileConfig")
	page := a.beginPage("page", options)
	tasks := []client.Task{mix, single, raw, page}
	writing := func(sid, not string) func() bool {
		return func() bool {
			path, size := largest(t, filepath.Join(s.data, "spool", sid, "files"), "*.ts.part")
			return size > 32<<10 && path != not
		}
	}
	var cut string // what the worker of the page was at
	for _, task := range tasks {
		sid := task.SID
		s.eventually("slices of "+string(task.Mode)+" are being written", time.Minute, writing(sid, ""))
		cut, _ = largest(t, filepath.Join(s.data, "spool", sid, "files"), "*.ts.part")
		old := workers(sid)
		if len(old) != 1 {
			t.Fatalf("workers %v", old)
		}
		if err := syscall.Kill(old[0], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		s.eventually("a new worker runs", 10*time.Second, func() bool {
			now := workers(sid)
			return len(now) == 1 && now[0] != old[0]
		})
	}
	s.eventually("the page is recorded again", time.Minute, writing(page.SID, cut))
	if err := wait(t.Context(), 5*time.Second); err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		got := strings.Fields(s.command("key", task.SID))
		want := contentKeyOf(t, task.SID)
		if len(got) != 2 || got[0] != want || got[1] != keys.URL+"/"+task.SID {
			t.Errorf("tapedeck key says %q, want %s", got, want)
		}
		nowhere(t, s.data, want, "config.yaml")
		nowhere(t, store, want, "")
	}
	nowhere(t, s.data, hlsSecret, "config.yaml")
	inClear(t, s.data, "not-to-be-seen")
	for _, task := range tasks {
		if _, err := a.Stop(t.Context(), task, false); err != nil {
			t.Fatal(err)
		}
	}
	bucket := filepath.Join(store, "b")
	for _, path := range stored(t, bucket) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(path) == ".ts" && (len(b)%16 != 0 || bytes.HasPrefix(b, []byte{0x47}) || bytes.Contains(b, []byte("x264"))) {
			t.Errorf("%s can be read", filepath.Base(path))
		}
	}
	lists, err := filepath.Glob(filepath.Join(bucket, "*.m3u8"))
	if err != nil || len(lists) < 6 {
		t.Fatalf("%q, %v", lists, err)
	}
	for _, path := range lists {
		decodes(t, path)
		if name := filepath.Base(path); !strings.HasPrefix(name, single.SID) || strings.HasSuffix(name, "_av.m3u8") {
			r, err := player.Play(t.Context(), bucket, name, 4, 2*time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			least := 60
			if strings.HasPrefix(name, page.SID) {
				least = 20 // a busy machine draws fewer
			}
			if len(r.Fatal) > 0 || !r.Ended || r.Frames < least {
				t.Errorf("%s in a browser: %+v", name, r)
			}
		}
	}
	convertsWithKey(t, bucket, mix.SID)
	convertsWithKey(t, bucket, single.SID)
}

// decodes has ffmpeg decode a file or playlist to its end. Pictures of two
// workers may fall on one tick of ffmpeg's own output.
func decodes(t *testing.T, path string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-hide_banner", "-nostdin", "-v", "error", "-protocol_whitelist", "file,crypto,http,tcp",
		"-i", path, "-f", "null", "-").CombinedOutput()
	said := strings.TrimSpace(regexp.MustCompile(`(?m)^.*non monotonically increasing dts.*$`).ReplaceAllString(string(out), ""))
	if err != nil || said != "" {
		t.Errorf("ffmpeg of %s: %v: %s", filepath.Base(path), err, said)
	}
}

// contentKeyOf is the content key of a recording in hex, as a customer makes it.
func contentKeyOf(t *testing.T, sid string) string {
	t.Helper()
	m := hmac.New(sha256.New, unhex(t, hlsSecret))
	_, _ = m.Write([]byte(sid))
	return hex.EncodeToString(m.Sum(nil)[:16])
}

// convertsWithKey makes MP4s of an encrypted recording: without the key, or with
// another one, the program says what is missing.
func convertsWithKey(t *testing.T, bucket, sid string) {
	t.Helper()
	for name, c := range map[string]struct{ key, says string }{
		"none":  {"", "TAPEDECK_HLS_KEY"},
		"short": {"5a", "32 hex digits"},
		"wrong": {strings.Repeat("5a", 16), "does not open with this key"},
		"right": {contentKeyOf(t, sid), ".mp4"},
	} {
		out := t.TempDir()
		cmd := exec.CommandContext(t.Context(), binary(t), "convert", "users", "--sid", sid, bucket, out)
		cmd.Env = append(os.Environ(), "TAPEDECK_HLS_KEY="+c.key)
		said, err := cmd.CombinedOutput()
		if !strings.Contains(string(said), c.says) || (err == nil) != (name == "right") {
			t.Errorf("convert, key %s: %v: %s", name, err, said)
		}
		made := stored(t, out)
		if name == "right" {
			if len(made) != 1 {
				t.Fatalf("made %q", made)
			}
			decodes(t, made[0])
		} else if len(made) != 0 {
			t.Errorf("key %s: left %q", name, made)
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// command runs the program against the service's data folder and returns what it
// prints.
func (s *server) command(name string, args ...string) string {
	s.t.Helper()
	out, err := exec.Command(binary(s.t), append([]string{name, "--data", s.data}, args...)...).CombinedOutput()
	if err != nil {
		s.t.Errorf("tapedeck %s: %v: %s", name, err, out)
	}
	return string(out)
}

// nowhere looks for a secret, given in hex, in every file below root but one: as
// bytes, as hex, as Base64 JSON has it.
func nowhere(t *testing.T, root, secret, but string) {
	t.Helper()
	raw := unhex(t, secret)
	forms := [][]byte{raw, []byte(secret), []byte(strings.ToUpper(secret))}
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == but {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil // it went meanwhile
		}
		files++
		for _, f := range forms {
			if bytes.Contains(b, f) {
				t.Errorf("a secret is in %s", path)
			}
		}
		return nil
	})
	if err != nil || files == 0 {
		t.Errorf("%d files, %v", files, err)
	}
}
