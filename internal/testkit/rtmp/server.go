// Package rtmp runs a real RTMP server for tests: nginx with Debian's rtmp
// module (packages nginx and libnginx-mod-rtmp).
package rtmp

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const module = "/usr/lib/nginx/modules/ngx_rtmp_module.so"

// Server is one server on a loopback port. Streams go to the application
// "live", under any key.
type Server struct {
	Addr string // host:port
	dir  string
	cmd  *exec.Cmd
	done chan struct{}
}

// Available says what is missing to run a server, or nil.
func Available() error {
	if _, err := exec.LookPath(binary()); err != nil {
		return err
	}
	_, err := os.Stat(module)
	return err
}

func binary() string {
	if p, err := exec.LookPath("nginx"); err == nil {
		return p
	}
	return "/usr/sbin/nginx" // not in everybody's PATH
}

// New prepares a server in the folder dir on a free port, and starts it.
func New(ctx context.Context, dir string) (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	s := &Server{Addr: addr, dir: dir}
	return s, s.Start(ctx)
}

// URL is where a stream with the given key is published and played.
func (s *Server) URL(key string) string { return "rtmp://" + s.Addr + "/live/" + key }

// Start runs the server, again after Kill, and returns when it listens.
func (s *Server) Start(ctx context.Context) error {
	conf := filepath.Join(s.dir, "nginx.conf")
	text := fmt.Sprintf(`load_module %s;
daemon off; master_process off; worker_processes 1; pid %s/nginx.pid; error_log stderr warn;
events { worker_connections 256; }
rtmp { server { listen %s; application live { live on; wait_key on; } } }
`, module, s.dir, s.Addr)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return err
	}
	var log bytes.Buffer
	s.cmd = exec.Command(binary(), "-p", s.dir, "-c", conf, "-e", filepath.Join(s.dir, "start.log"))
	s.cmd.Stderr = &log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.done = make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(s.done) }()
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		if c, err := net.Dial("tcp", s.Addr); err == nil {
			return c.Close()
		}
		select {
		case <-s.done:
			return fmt.Errorf("rtmp: nginx ended: %s", log.String())
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

// Kill ends the server at once and waits for its end.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}
