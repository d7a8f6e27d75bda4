package postpone

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// Files of a job's folder (docs/formats/job.md).
const (
	jobName    = "job.json"
	resultName = "result.json"
	logName    = "worker.log"
)

// job is what the worker is told; its form is transcode.Job's.
type job struct {
	SID        string `json:"sid"`
	Sealed     bool   `json:"sealed,omitempty"`
	Input      string `json:"input"`
	Kind       string `json:"kind"`
	Container  string `json:"container,omitempty"`
	SampleRate int    `json:"sampleRate,omitempty"`
	Bitrate    int    `json:"bitrate,omitempty"`
	Channels   int    `json:"channels,omitempty"`
}

// result is what the worker says; its form is transcode.Result's.
type result struct {
	Users []struct {
		UID   string   `json:"uid"`
		Files []string `json:"files"`
		Error string   `json:"error"`
	} `json:"users"`
	Files   []string `json:"files"`
	Missing []string `json:"missing"`
	Error   string   `json:"error"`
}

// all returns the names of all files.
func (r result) all() []string {
	out := append([]string(nil), r.Files...)
	for _, u := range r.Users {
		out = append(out, u.Files...)
	}
	return out
}

func writeJob(dir, in *spool.Dir, rec ledger.Record) error {
	p := rec.Plan.Postponed
	input, err := filepath.Abs(in.Path())
	if err != nil {
		return fmt.Errorf("postpone: %w", err)
	}
	j := job{SID: rec.SID, Sealed: len(rec.SpoolKey) > 0, Input: input, Kind: "users"}
	if p.Kind == session.PostponeMix {
		j.Kind, j.Container, j.SampleRate, j.Bitrate, j.Channels = "audioMix", p.Container, p.SampleRate, p.Bitrate, p.Channels
	}
	b, err := json.Marshal(j)
	if err != nil {
		return fmt.Errorf("postpone: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir.Path(), jobName), b, 0o600); err != nil {
		return fmt.Errorf("postpone: %w", err)
	}
	return nil
}

func readResult(dir *spool.Dir) (result, error) {
	var r result
	b, err := os.ReadFile(filepath.Join(dir.Path(), resultName))
	if err != nil {
		return r, fmt.Errorf("postpone: %w", err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("postpone: %s: %w", resultName, err)
	}
	if r.Error != "" {
		return r, errors.New("postpone: " + r.Error)
	}
	return r, nil
}

// work runs the worker program to its end. It dies with us: whoever comes next
// goes on with what it has finished.
func (r *Runner) work(ctx context.Context, dir *spool.Dir, key []byte) error {
	log, err := os.OpenFile(filepath.Join(dir.Path(), logName), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("postpone: %w", err)
	}
	defer func() { _ = log.Close() }()
	path, err := filepath.Abs(dir.Path())
	if err != nil {
		return fmt.Errorf("postpone: %w", err)
	}
	args := append(append([]string(nil), r.cfg.Worker[1:]...), "-job", path)
	cmd := exec.CommandContext(ctx, r.cfg.Worker[0], args...)
	cmd.Env = append(harmless(), r.cfg.Env...)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(key), log // by a pipe: neither arguments nor environment nor disk have it
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("postpone: the worker failed: %w: %s", err, lastLine(log.Name()))
	}
	return nil
}

// lastLine is what a worker said last: the cause of its end.
func lastLine(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return path + " has the cause"
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	last := lines[len(lines)-1]
	return last[:min(len(last), 500)]
}

// harmless are the variables of our environment that a worker may see.
func harmless() []string {
	var env []string
	for _, kv := range os.Environ() {
		switch name, _, _ := strings.Cut(kv, "="); name {
		case "PATH", "HOME", "LANG", "TZ", "TMPDIR", "GOMAXPROCS", "GOMEMLIMIT", "GOGC", "GODEBUG", "GOTRACEBACK", "GOCOVERDIR":
			env = append(env, kv)
		}
	}
	return env
}
