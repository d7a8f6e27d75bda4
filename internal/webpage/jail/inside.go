package jail

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Main is the helper inside the jail. A program that starts browsers calls it
// first thing in main: it returns at once unless the program is the helper,
// and else never.
func Main() {
	if len(os.Args) != 2 || os.Args[0] != Name {
		return
	}
	runtime.LockOSThread() // exec and the signal at the parent's death are the thread's
	if err := inside(os.Args[1]); err != nil {
		answer(word{Err: err.Error()})
	}
	os.Exit(70)
}

// answer tells the parent, over file 5.
func answer(w word, fds ...int) {
	b, err := json.Marshal(w)
	if err != nil {
		return
	}
	var oob []byte
	if len(fds) > 0 {
		oob = syscall.UnixRights(fds...)
	}
	_ = syscall.Sendmsg(5, b, oob, nil, 0)
}

func inside(spec string) error {
	var o order
	if err := json.Unmarshal([]byte(spec), &o); err != nil {
		return err
	}
	if n, err := syscall.Read(5, make([]byte, 1)); n != 1 {
		return errors.Join(errors.New("nobody says go"), err)
	}
	syscall.Umask(0o022)
	run, home, err := o.prepare()
	if err != nil {
		return err
	}
	if o.Screen != "" && os.Mkdir(xvfbSockets, 0o777) == nil {
		_ = os.Chmod(xvfbSockets, 0o777|os.ModeSticky)
	}
	fds, port, err := listen(run, o.Level)
	if err != nil {
		return err
	}
	if err := o.become(run, home); err != nil {
		return err
	}
	sandbox := canSandbox(o.Program)
	args := append([]string{o.Program}, o.Args...)
	args = append(args, "--user-data-dir="+home+"/profile", "--proxy-server=http://"+port, "--proxy-bypass-list=<-loopback>")
	if !sandbox {
		args = append(args, "--no-sandbox")
	}
	var display string
	if o.Screen != "" {
		screen, d, err := o.xvfb(run, home)
		if err != nil {
			return err
		}
		fds, display = append(fds, screen), d
	}
	env := append(o.Env, "HOME="+home, "XDG_RUNTIME_DIR="+run, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home+"/cache",
		"WAYLAND_DISPLAY=wayland-0", "PULSE_SERVER=unix:"+run+"/pulse", "TMPDIR="+home+"/tmp", "DISPLAY="+display)
	answer(word{Sandbox: sandbox}, fds...)
	for _, fd := range append(fds, 5) {
		_ = syscall.Close(fd)
	}
	return syscall.Exec(o.Program, args, env)
}

// prepare makes the world the browser sees and returns the folders of its
// sockets and of its files.
func (o order) prepare() (run, home string, err error) {
	if o.Level == None {
		run, home = filepath.Join(o.Dir, "run"), filepath.Join(o.Dir, "home")
		return run, home, errors.Join(os.Mkdir(run, 0o755), os.Mkdir(home, 0o700))
	}
	if err := loopback(); err != nil {
		return "", "", fmt.Errorf("network: %w", err)
	}
	if err := o.mounts(); err != nil {
		return "", "", err
	}
	return runDir, homeDir, errors.Join(os.Mkdir(runDir, 0o755), os.Mkdir(homeDir, 0o700))
}

// mounts gives the browser its own /proc, /tmp, /dev/shm and policies, and
// hides where people keep their things.
func (o order) mounts() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, dir := range []string{"/tmp", "/dev/shm"} {
		if err := tmpfs(dir, "mode=1777,size=2g"); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	for _, dir := range []string{"/home", "/root", "/srv", "/mnt", "/media", "/var/tmp", "/etc/ssh"} {
		if _, err := os.Stat(dir); err == nil && !strings.HasPrefix(o.Program, dir+"/") {
			if err := tmpfs(dir, "mode=0555,size=4k"); err != nil {
				return fmt.Errorf("hide %s: %w", dir, err)
			}
		}
	}
	return o.policies()
}

func tmpfs(dir, options string) error {
	return syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, options)
}

// policies are read from a folder of the whole machine: over it goes one of
// this browser only.
func (o order) policies() error {
	const etc = "/etc/chromium"
	if _, err := os.Stat(etc); err != nil {
		return nil // another build: the flags have to do
	}
	if err := tmpfs(etc, "mode=0755,size=1m"); err != nil {
		return fmt.Errorf("policies: %w", err)
	}
	dir := etc + "/policies/managed"
	return errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(dir+"/recording.json", o.Policies, 0o644))
}

// loopback switches lo on in the empty network.
func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
}

// listen opens the ways out: windows, sound, web.
func listen(run, level string) (fds []int, proxy string, err error) {
	proxy = proxyAddr
	if level == None {
		proxy = "127.0.0.1:0" // the network is everybody's
	}
	tcp, err := net.Listen("tcp", proxy)
	if err != nil {
		return nil, "", err
	}
	var files []interface{ File() (*os.File, error) }
	for _, name := range []string{"wayland-0", "pulse"} {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(run, name), Net: "unix"})
		if err != nil {
			return nil, "", err
		}
		if err := os.Chmod(filepath.Join(run, name), 0o666); err != nil {
			return nil, "", err
		}
		files = append(files, l)
	}
	t, ok := tcp.(*net.TCPListener)
	if !ok {
		return nil, "", errors.New("no TCP")
	}
	for _, l := range append(files, t) {
		f, err := l.File()
		if err != nil {
			return nil, "", err
		}
		fds = append(fds, int(f.Fd()))
		runtime.SetFinalizer(f, nil) // it lives until exec
	}
	return fds, tcp.Addr().String(), nil
}

// become gives up every right.
func (o order) become(run, home string) error {
	if err := os.Mkdir(filepath.Join(home, "tmp"), 0o700); err != nil {
		return err
	}
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0o644) // it goes before us
	none := &syscall.Rlimit{}
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, none); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		for _, p := range []string{home, filepath.Join(home, "tmp"), run} {
			if err := os.Chown(p, o.UID, o.UID); err != nil {
				return err
			}
		}
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(o.UID), syscall.Setuid(o.UID)); err != nil {
			return fmt.Errorf("drop root: %w", err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("drop rights: %w", err)
	}
	// A change of user has cleared it.
	return unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGKILL), 0, 0, 0)
}

// canSandbox reports whether the browser can shut in its own processes: with
// user namespaces, or with the helper of Debian's chromium-sandbox.
func canSandbox(program string) bool {
	try := exec.Command("/bin/true")
	try.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
	if try.Run() == nil {
		return true
	}
	st, err := os.Stat(filepath.Join(filepath.Dir(program), "chrome-sandbox"))
	return err == nil && st.Mode()&os.ModeSetuid != 0
}
