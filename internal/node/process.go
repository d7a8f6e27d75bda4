package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tapedeck/internal/link"
)

const (
	logName = "worker.log"
	logMax  = 8 << 20 // bytes; a longer log is put aside when a worker starts

	// adoptedPoll is how often a worker that is not our child is looked at; its
	// broken link usually tells sooner.
	adoptedPoll = 200 * time.Millisecond
)

// process is a living or dead worker.
type process struct {
	pid    int
	handle *os.Process   // refers to this very process, even when its number is used again
	gone   chan struct{} // closed when it is dead
	exit   error         // why, once gone is closed; nil for exit status 0 or unknown
}

// inherited are the variables of our environment that a worker may see. All
// others may hold secrets.
func inherited(name string) bool {
	switch name {
	case "PATH", "HOME", "LANG", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
		"GODEBUG", "GOTRACEBACK", "GOMAXPROCS", "GOMEMLIMIT", "GOGC", "GOCOVERDIR":
		return true
	}
	return strings.HasPrefix(name, "LC_")
}

func workerEnv(extra []string) []string {
	var env []string
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); inherited(name) {
			env = append(env, kv)
		}
	}
	return append(env, extra...)
}

// spawn starts the worker program on the spool folder dir, in a session of its
// own: neither a signal to our terminal nor our end reaches it. Its output goes
// straight to a file for the same reason.
func spawn(program, env []string, dir string) (*process, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	out, err := openLog(dir)
	if err != nil {
		return nil, fmt.Errorf("node: worker log: %w", err)
	}
	defer func() { _ = out.Close() }()
	args := append(append([]string(nil), program[1:]...), "-dir", dir)
	cmd := exec.Command(program[0], args...)
	cmd.Dir, cmd.Env = dir, workerEnv(env)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("node: start the worker: %w: build or install %s, or set its path as worker", err, program[0])
	}
	p := &process{pid: cmd.Process.Pid, handle: cmd.Process, gone: make(chan struct{})}
	go func() {
		p.exit = cmd.Wait()
		close(p.gone)
	}()
	return p, nil
}

func openLog(dir string) (*os.File, error) {
	path := filepath.Join(dir, logName)
	if st, err := os.Stat(path); err == nil && st.Size() > logMax {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// errNoWorker: nobody answers on the socket of a spool folder.
var errNoWorker = errors.New("node: no worker lives there")

// adopt finds the living worker of the spool folder dir and shakes hands with
// it. It must be a process of our own user.
func adopt(ctx context.Context, dir string) (*process, *link.Conn, error) {
	conn, err := link.Dial(ctx, dir)
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) {
			return nil, nil, errNoWorker
		}
		return nil, nil, fmt.Errorf("node: reach the worker: %w", err)
	}
	pid, uid, err := conn.Peer()
	if err == nil && int(uid) != os.Geteuid() {
		err = fmt.Errorf("node: the socket in %s belongs to user %d, not to us: remove it", dir, uid)
	}
	var handle *os.Process
	if err == nil {
		handle, err = os.FindProcess(pid)
	}
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	p := &process{pid: pid, handle: handle, gone: make(chan struct{})}
	// It lived when the handle was made if it answers now, so that the handle
	// is of the process that listens and of no successor of its number.
	if err := greet(ctx, conn, pid); err != nil && !errors.Is(err, link.ErrVersion) {
		_ = conn.Close()
		return nil, nil, fmt.Errorf("node: greet the worker: %w", err)
	} else if err != nil {
		_ = conn.Close()
		return p, nil, err
	}
	return p, conn, nil
}

// greet shakes hands until ctx ends.
func greet(ctx context.Context, conn *link.Conn, pid int) error {
	release := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer release()
	if _, err := conn.Handshake(os.Getpid()); err != nil {
		return err
	}
	if peer, _, err := conn.Peer(); err != nil || peer != pid {
		return errors.Join(fmt.Errorf("node: process %d answers instead of worker %d", peer, pid), err)
	}
	return ctx.Err()
}

// watch closes gone when an adopted process has died. A child is watched by
// its parent, so this is for adopted ones only.
func (p *process) watch(ctx context.Context) {
	t := time.NewTicker(adoptedPoll)
	defer t.Stop()
	for {
		if !p.alive() {
			close(p.gone)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// alive: a process that nobody reaped still takes signals, but does no more.
func (p *process) alive() bool {
	if err := p.handle.Signal(syscall.Signal(0)); err != nil {
		return false
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(p.pid) + "/stat")
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	i := bytes.LastIndexByte(b, ')') // the name before it may hold anything
	return i < 0 || i+2 >= len(b) || (b[i+2] != 'Z' && b[i+2] != 'X')
}

// terminate asks the process to end, and makes it after grace. It returns when
// the process is dead or ctx ends.
func (p *process) terminate(ctx context.Context, grace time.Duration) {
	_ = p.handle.Signal(syscall.SIGTERM)
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-p.gone:
		return
	case <-ctx.Done():
		return
	case <-t.C:
	}
	_ = p.handle.Signal(syscall.SIGKILL)
	select {
	case <-p.gone:
	case <-ctx.Done():
	}
}
