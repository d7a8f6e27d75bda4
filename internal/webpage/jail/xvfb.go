package jail

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	xvfbProgram = "Xvfb"
	xvfbTime    = 10 * time.Second
)

// xvfbSockets is where X servers listen. Only root's folder is trusted.
const xvfbSockets = "/tmp/.X11-unix"

// xvfb starts an X server as the browser's neighbour, which dies with it, and
// returns the file of its screen and the name of the display.
func (o order) xvfb(run, home string) (screen int, display string, err error) {
	path := ""
	for _, p := range []string{"/usr/bin/" + xvfbProgram, "/usr/local/bin/" + xvfbProgram} {
		if _, err := os.Stat(p); err == nil {
			path = p
		}
	}
	if path == "" {
		return 0, "", errors.New("there is no Xvfb: install Debian's package xvfb")
	}
	told, tell, err := os.Pipe()
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = told.Close() }()
	cmd := exec.Command(path, "-displayfd", "3", "-screen", "0", o.Screen+"x24", "-fbdir", run, "-nolisten", "tcp", "-noreset", "-nocursor")
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + home, "TMPDIR=" + filepath.Join(home, "tmp")}
	cmd.Dir, cmd.ExtraFiles = "/", []*os.File{tell}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = cmd.Start()
	_ = tell.Close()
	if err != nil {
		return 0, "", fmt.Errorf("start Xvfb: %w", err)
	}
	_ = told.SetReadDeadline(time.Now().Add(xvfbTime))
	line, err := bufio.NewReader(told).ReadString('\n')
	number, bad := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || bad != nil {
		return 0, "", errors.Join(errors.New("the X server says no display"), err, bad)
	}
	fd, err := syscall.Open(filepath.Join(run, "Xvfb_screen0"), syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return 0, "", fmt.Errorf("the screen of Xvfb: %w", err)
	}
	return fd, fmt.Sprintf(":%d", number), nil
}
