// Package jail runs a browser apart from everything: in namespaces of its own
// (processes, mounts, network, IPC), as a user that owns nothing, with its
// profile, temporary files and shared memory in memory that nobody else sees.
// All of it vanishes with the last process, even when everybody is killed.
// The network is empty; the only ways out are the sockets that are handed to
// the caller.
package jail

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Name is argv[0] of the helper inside the jail.
const Name = "tapedeck-jail"

// Paths inside the jail.
const (
	runDir    = "/tmp/run"
	homeDir   = "/tmp/home"
	proxyAddr = "127.0.0.1:3128"
)

// How well a browser is shut in.
const (
	Full = "full" // made by root
	User = "user" // by an ordinary user, in a user namespace
	None = "none" // the machine permits no namespaces
)

// Config says what to run.
type Config struct {
	Program  string
	Args     []string // besides those that the jail adds: profile, proxy, sandbox
	Env      []string
	UID      int            // of the browser, when we are root
	Policies map[string]any // Chromium's managed policies; they need namespaces
	Log      io.Writer      // what the browser prints
	Force    string         // for tests: Full, User or None; "" takes the first that works
	Scratch  string         // folder for sockets and profile where there are no namespaces
	Memory   int64          // bytes of the control group; 0: 4 GiB
	Limit    string         // for tests: Nice does without control groups
	Screen   string         // WxH: an Xvfb of this size beside the browser, as its display; "": none
}

// Jail is a running browser.
type Jail struct {
	Level   string
	Sandbox bool   // whether the browser's own sandbox is on
	Limit   string // what keeps the browser from starving us: Cgroup2, Cgroup1 or Nice

	Wayland, Pulse *net.UnixListener
	Proxy          net.Listener
	Screen         *os.File       // what Xvfb shows (package xvfb); nil without one
	In             io.WriteCloser // the browser's control pipe
	Out            io.ReadCloser

	cmd   *exec.Cmd
	done  chan struct{}
	dir   string // on the machine's file system; "" in namespaces
	fence *fence
}

const defaultMemory = 4 << 30

// Start runs the browser in the best jail the machine permits.
func Start(cfg Config) (*Jail, error) {
	levels := []string{Full, User, None}
	if os.Geteuid() != 0 {
		levels = levels[1:]
	}
	if cfg.Force != "" {
		levels = []string{cfg.Force}
	}
	var errs []error
	for _, l := range levels {
		j, err := start(cfg, l)
		if err == nil {
			return j, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", l, err))
	}
	return nil, fmt.Errorf("jail: the browser cannot be started: %w", errors.Join(errs...))
}

// order is what the helper is told, as JSON in its first argument.
type order struct {
	Level    string
	Program  string
	Args     []string
	Env      []string
	UID      int
	Policies []byte
	Dir      string // None: where sockets and profile go
	Screen   string
}

// word is what the helper answers, with the three listeners as files.
type word struct {
	Err     string
	Sandbox bool
}

func start(cfg Config, level string) (*Jail, error) {
	o := order{Level: level, Program: cfg.Program, Args: cfg.Args, Env: cfg.Env, UID: cfg.UID, Screen: cfg.Screen}
	var err error
	if o.Policies, err = json.Marshal(cfg.Policies); err != nil {
		return nil, err
	}
	j := &Jail{Level: level, done: make(chan struct{})}
	if level == None {
		if j.dir, err = scratch(cfg); err != nil {
			return nil, err
		}
		o.Dir = j.dir
	}
	spec, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	ours, err := j.spawn(cfg, string(spec))
	if err == nil {
		err = j.meet(ours)
		_ = ours.Close()
	}
	if err != nil {
		j.Close()
		return nil, err
	}
	return j, nil
}

// scratch makes the folder for a browser without namespaces.
func scratch(cfg Config) (string, error) {
	root := cfg.Scratch
	if root == "" {
		root = os.TempDir()
	}
	sweep(root)
	dir, err := os.MkdirTemp(root, fmt.Sprintf("%s%d-", scratchPrefix, os.Getpid()))
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o711)
}

const scratchPrefix = "tapedeck-web-"

// sweep removes the folders of processes that were killed.
func sweep(root string) {
	dirs, _ := filepath.Glob(filepath.Join(root, scratchPrefix+"*"))
	for _, d := range dirs {
		if orphaned(d, scratchPrefix) {
			clean(d)
		}
	}
}

// orphaned reports whether a folder is of a process that is dead: its name is
// the prefix, the process number, and a dash.
func orphaned(dir, prefix string) bool {
	var pid int
	n, err := fmt.Sscanf(strings.TrimPrefix(filepath.Base(dir), prefix), "%d-", &pid)
	return n == 1 && err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// spawn starts the helper with the control pipe as files 3 and 4, where
// Chromium expects it, and a socket to us as file 5.
func (j *Jail) spawn(cfg Config, spec string) (*os.File, error) {
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, inR.Close(), inW.Close())
	}
	j.In, j.Out = inW, outR
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, errors.Join(err, inR.Close(), outW.Close())
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "jail"), os.NewFile(uintptr(pair[1]), "jail")
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{
		Path: self, Args: []string{Name, spec}, Env: []string{}, Dir: "/", Stdout: cfg.Log, Stderr: cfg.Log,
		ExtraFiles: []*os.File{inR, outW, theirs}, SysProcAttr: attributes(j.Level), WaitDelay: time.Second,
	}
	j.cmd, j.fence = cmd, &fence{kind: Nice}
	if cfg.Limit != Nice {
		j.fence = newFence(cmp.Or(cfg.Memory, defaultMemory))
	}
	started := make(chan error)
	go j.parent(started)
	err = <-started
	if err == nil {
		j.fence.hold(cmd.Process.Pid)
		j.Limit = j.fence.kind
		_, err = ours.Write([]byte{1}) // the helper waits for it: all it starts is held as well
	}
	_, _, _ = inR.Close(), outW.Close(), theirs.Close()
	if err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	return ours, nil
}

// parent starts the process and waits for it on one thread: the kernel kills
// the child when the thread that made it ends.
func (j *Jail) parent(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(j.done)
	err := j.cmd.Start()
	started <- err
	if err == nil {
		_ = j.cmd.Wait()
	}
}

// attributes are the namespaces and rights of the helper.
func attributes(level string) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setsid: true}
	if level == None {
		return a
	}
	a.Cloneflags = syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC
	if level == User {
		a.Cloneflags |= syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Geteuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Getegid(), Size: 1}}
		a.AmbientCaps = []uintptr{capNetAdmin, capSysAdmin}
	}
	return a
}

const (
	capNetAdmin = 12
	capSysAdmin = 21
	helloTime   = 20 * time.Second
)

// meet takes the listeners from the helper.
func (j *Jail) meet(f *os.File) error {
	c, err := net.FileConn(f)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	u, ok := c.(*net.UnixConn)
	if !ok {
		return errors.New("jail: no unix socket")
	}
	_ = u.SetReadDeadline(time.Now().Add(helloTime))
	buf, oob := make([]byte, 4096), make([]byte, 256)
	n, on, _, _, err := u.ReadMsgUnix(buf, oob)
	if err != nil {
		return fmt.Errorf("the helper says nothing: %w", err)
	}
	var w word
	if err := json.Unmarshal(buf[:n], &w); err != nil {
		return fmt.Errorf("the helper says nothing useful: %w", err)
	}
	if w.Err != "" {
		return errors.New(w.Err)
	}
	j.Sandbox = w.Sandbox
	return j.listeners(oob[:on])
}

func (j *Jail) listeners(oob []byte) error {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil || len(messages) != 1 {
		return errors.Join(errors.New("the helper hands over no sockets"), err)
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(fds) < 3 {
		return errors.Join(errors.New("the helper hands over too few sockets"), err)
	}
	for _, fd := range fds[3:] {
		syscall.CloseOnExec(fd)
		j.Screen = os.NewFile(uintptr(fd), "screen")
	}
	fds = fds[:3]
	var out [3]net.Listener
	for i, fd := range fds {
		syscall.CloseOnExec(fd)
		f := os.NewFile(uintptr(fd), "listener")
		l, e := net.FileListener(f)
		err = errors.Join(err, e, f.Close())
		out[i] = l
	}
	if err != nil {
		return err
	}
	j.Wayland, _ = out[0].(*net.UnixListener)
	j.Pulse, _ = out[1].(*net.UnixListener)
	j.Proxy = out[2]
	if j.Wayland == nil || j.Pulse == nil {
		return errors.New("the helper hands over strange sockets")
	}
	return nil
}

// Pid is the browser's process number as seen from outside.
func (j *Jail) Pid() int { return j.cmd.Process.Pid }

// Done is closed when the browser is dead.
func (j *Jail) Done() <-chan struct{} { return j.done }

// Close kills the browser and everything it started, and returns when it is
// gone.
func (j *Jail) Close() {
	if j.cmd != nil && j.cmd.Process != nil {
		// In namespaces it is the first process: all others go with it. Else they
		// are in its session.
		_ = syscall.Kill(-j.cmd.Process.Pid, syscall.SIGKILL)
		_ = j.cmd.Process.Kill()
	}
	if j.cmd != nil {
		<-j.done
		j.fence.remove()
	}
	if j.Screen != nil {
		_ = j.Screen.Close()
	}
	for _, c := range []io.Closer{j.In, j.Out} {
		if c != nil {
			_ = c.Close()
		}
	}
	if j.Wayland != nil {
		_, _, _ = j.Wayland.Close(), j.Pulse.Close(), j.Proxy.Close()
	}
	if j.dir != "" {
		clean(j.dir)
	}
}

// clean removes the scratch folder of a browser without namespaces, which we
// made ourselves.
func clean(dir string) {
	var dirs []string
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		} else if err == nil {
			_ = os.Remove(path)
		}
		return nil
	})
	for i := len(dirs) - 1; i >= 0; i-- {
		_ = os.Remove(dirs[i])
	}
}
