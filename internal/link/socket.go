package link

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// SocketName is the socket's name in a recording's spool folder.
const SocketName = "worker.sock"

// Socket paths are limited to 107 bytes by the kernel (unix(7)), spool folders
// are not: both sides reach the socket through an open folder.
func through(dir string, use func(path string) error) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return use(fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), SocketName))
}

// Listen makes the socket of the recording in dir, readable by the owner only.
// A socket left behind by a dead worker is replaced.
func Listen(dir string) (net.Listener, error) {
	if err := os.Remove(filepath.Join(dir, SocketName)); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	var l net.Listener
	err := through(dir, func(path string) error {
		u, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			return err
		}
		u.SetUnlinkOnClose(false)
		l = u
		return os.Chmod(filepath.Join(dir, SocketName), 0o600)
	})
	return l, err
}

// Dial connects to the worker of the recording in dir.
func Dial(ctx context.Context, dir string) (*Conn, error) {
	var conn *Conn
	err := through(dir, func(path string) error {
		c, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
		if err == nil {
			conn = NewConn(c)
		}
		return err
	})
	return conn, err
}
