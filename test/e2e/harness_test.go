// Package e2e runs the real programs with real participants and judges what
// comes out. Every test starts its own service on free ports of loopback.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/testkit/client"
)

// server is a running `tapedeck serve`.
type server struct {
	*client.Client
	t    testing.TB
	data string
	log  string // path of what it printed
	cmd  *exec.Cmd
	gone chan struct{} // closed when the process ended
}

// binary returns the path of the built program.
func binary(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("end-to-end tests take minutes")
	}
	path := os.Getenv("TAPEDECK_BIN")
	if path == "" {
		path = filepath.Join("..", "..", "bin", "tapedeck")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, filepath.Join(filepath.Dir(path), "tapedeck-worker")} {
		if _, err := os.Stat(p); err != nil {
			t.Fatalf("%s is missing: run make build", p)
		}
	}
	return path
}

// serve starts the service with the development account on a fresh data folder.
func serve(t testing.TB) *server {
	t.Helper()
	s := launch(t, "", nil)
	creds, err := client.ReadCredentials(s.data)
	if err != nil {
		t.Fatal(err)
	}
	s.Creds = creds
	return s
}

// launch starts the service with a configuration file of the given text, if
// any. dress may change the command before it runs.
func launch(t testing.TB, config string, dress func(*exec.Cmd, string)) *server {
	t.Helper()
	bin := binary(t)
	s := &server{t: t, data: t.TempDir(), gone: make(chan struct{})}
	s.log = filepath.Join(s.data, "serve.log")
	args := []string{"serve", "--data", s.data, "--listen", "127.0.0.1:0"}
	if config != "" {
		path := filepath.Join(s.data, "config.yaml")
		if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	out, err := os.Create(s.log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close() //nolint:errcheck // the process has its own copy
	s.cmd = exec.Command(bin, args...)
	s.cmd.Stdout, s.cmd.Stderr = out, out
	if dress != nil {
		dress(s.cmd, s.data)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.gone)
	}()
	t.Cleanup(s.stop)
	s.Client = &client.Client{Base: "http://" + s.address()}
	return s
}

// address waits until the service has written down where it listens.
func (s *server) address() string {
	s.t.Helper()
	var address string
	s.eventually("the service listens", 30*time.Second, func() bool {
		select {
		case <-s.gone:
			s.t.Fatalf("the service ended at once:\n%s", s.output())
		default:
		}
		b, err := os.ReadFile(filepath.Join(s.data, "address"))
		address = strings.TrimSpace(string(b))
		return err == nil && address != ""
	})
	return address
}

// stop ends the service cleanly and fails the test when a worker is left.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.gone:
	case <-time.After(40 * time.Second):
		s.t.Errorf("the service does not stop")
		_ = s.cmd.Process.Kill()
		<-s.gone
	}
	left := workers(s.data)
	for _, pid := range left {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if len(left) > 0 {
		s.t.Errorf("workers %v are left behind", left)
	}
	if s.t.Failed() {
		s.t.Logf("the service said:\n%s", s.output())
		logs, _ := filepath.Glob(filepath.Join(s.data, "spool", "*", "worker.log"))
		for _, l := range logs {
			b, _ := os.ReadFile(l)
			s.t.Logf("%s:\n%s", l, tail(b))
		}
	}
}

// output returns what the service printed, without the account's secrets.
func (s *server) output() string {
	b, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return tail(b)
}

func tail(b []byte) string {
	const most = 8000
	if len(b) > most {
		b = append([]byte("...\n"), b[len(b)-most:]...)
	}
	return string(b)
}

// eventually polls until ok holds.
func (s *server) eventually(what string, patience time.Duration, ok func() bool) {
	s.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for !ok() {
		select {
		case <-limit.C:
			s.t.Fatalf("not within %v: %s", patience, what)
		case <-poll.C:
		}
	}
}

// workers returns the ids of living worker processes whose command line holds
// mark: the data folder, or a sid.
func workers(mark string) []int {
	dirs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil
	}
	var pids []int
	for _, d := range dirs {
		b, err := os.ReadFile(d)
		if err != nil { // it ended meanwhile
			continue
		}
		args := strings.Split(string(b), "\x00")
		if filepath.Base(args[0]) != "tapedeck-worker" || !bytes.Contains(b, []byte(mark)) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(d))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// noWorkers waits until no worker of this service is left.
func (s *server) noWorkers() {
	s.t.Helper()
	s.eventually("all workers are gone", 10*time.Second, func() bool { return len(workers(s.data)) == 0 })
}

// store is the folder in which the development account stores a bucket.
func (s *server) store(bucket string) string { return filepath.Join(s.data, "recordings", bucket) }

// stored lists the files below dir.
func stored(t testing.TB, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !e.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// storage is a storageConfig that leads to the local folder.
func storage(bucket string) map[string]any {
	return map[string]any{"vendor": 1, "region": 0, "bucket": bucket, "accessKey": "k", "secretKey": "not-to-be-seen"}
}

func mixOptions(bucket string, w, h, fps int) map[string]any {
	return map[string]any{
		"storageConfig":       storage(bucket),
		"recordingFileConfig": map[string]any{"avFileType": []string{"hls", "mp4"}},
		"recordingConfig": map[string]any{
			"transcodingConfig": map[string]any{"width": w, "height": h, "fps": fps, "bitrate": 1200, "mixedVideoLayout": 1},
		},
	}
}

func individualOptions(bucket, mode string) map[string]any {
	return map[string]any{
		"storageConfig":   storage(bucket),
		"recordingConfig": map[string]any{"streamMode": mode, "subscribeUidGroup": 1},
	}
}

// begin acquires, starts and waits until the recorder is in the room.
func (s *server) begin(mode session.Mode, room, uid string, options any) client.Task {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	t, err := s.Record(ctx, mode, room, uid, options)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.Await(ctx, t); err != nil {
		s.t.Fatalf("%s: %v", mode, err)
	}
	return t
}

// wait lets d of a recording pass.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// refused checks that err is the given answer.
func refused(t testing.TB, err error, status, code int) {
	t.Helper()
	r, ok := client.AsRefusal(err)
	if !ok || r.HTTP != status || r.Code != code {
		t.Errorf("answer %v, want HTTP %d, code %d", err, status, code)
	}
}

// configured is a configuration file with two apps of one customer, whose
// rooms are in the LiveKit server of another service.
func configured(livekit client.Credentials, secret, store string) string {
	return fmt.Sprintf(`
accounts:
  - customer_id: customer
    secrets: ["sha256:%s"]
    rate: 1000
    apps:
      - {id: %s, livekit: {url: %q, key: %q, secret: %q}, storage: {endpoints: {"*": %q}}}
      - {id: %s, livekit: {url: %q, key: %q, secret: %q}, storage: {endpoints: {"*": %q}}}
`, hash("secret"), appA, livekit.LiveKitURL, livekit.LiveKitKey, secret, "file://"+store,
		appB, livekit.LiveKitURL, livekit.LiveKitKey, secret, "file://"+store)
}
