// Package mounts gives a process of a test file systems of its own, such as a
// small disk that it may fill.
package mounts

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// ErrNone: this machine lets the process mount nothing.
var ErrNone = errors.New("cannot mount")

// Isolate gives a command mounts of its own, as root or as root of a user
// namespace. The command fails to start where there are none.
func Isolate(c *exec.Cmd) {
	if c.SysProcAttr == nil {
		c.SysProcAttr = &syscall.SysProcAttr{}
	}
	c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWNS
	if os.Geteuid() != 0 {
		c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
}

// Run runs a command with mounts of its own and returns what it printed. It must
// succeed and say done; where nothing can be mounted the test is skipped.
func Run(t *testing.T, c *exec.Cmd, done string) string {
	t.Helper()
	Isolate(c)
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		t.Skipf("no namespaces here: %v", err)
	case strings.Contains(string(out), ErrNone.Error()):
		t.Skipf("no mounts here: %s", out)
	case err != nil || !strings.Contains(string(out), done):
		t.Errorf("%v\n%s", err, out)
	}
	return string(out)
}

// Private keeps what the process mounts from all others. ErrNone.
func Private() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("%w: %w", ErrNone, err)
	}
	return nil
}

// Disk mounts a disk of so many bytes, in memory, for this process alone. ErrNone.
func Disk(dir string, size int) error {
	if err := Private(); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=700", size)); err != nil {
		return fmt.Errorf("%w: %w", ErrNone, err)
	}
	return nil
}
