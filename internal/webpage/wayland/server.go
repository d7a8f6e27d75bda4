// Package wayland is a compositor without a screen: the browser draws into
// shared memory, is paced at the recording's rate by frame callbacks, and all
// of its surfaces are composed into one picture. It implements what Chromium
// uses of the stable protocols (wayland.xml, xdg-shell.xml, viewporter.xml,
// presentation-time.xml), and no input.
package wayland

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"
)

// Limits of what one browser may make us keep.
const (
	maxObjects = 20000
	maxFDs     = 64
	maxPool    = 512 << 20 // bytes of one shared memory pool
)

// Config describes the only output.
type Config struct {
	W, H  int // pixels
	FPS   int
	Scale int // pixels for a unit of the browser's windows, 1 or 2
	Log   *slog.Logger
}

// Server is the compositor. Its methods may be called by many goroutines.
type Server struct {
	cfg Config

	mu      sync.Mutex
	clients map[*client]struct{}
	tops    []*surface // in order of appearance: the newest is on top
	damage  rect
	commits int64
	scratch []byte
	ticks   uint32
	now     time.Duration // of the last tick
}

// New makes a compositor; Serve lets browsers connect.
func New(cfg Config) *Server {
	cfg.Scale = max(1, cfg.Scale)
	return &Server{cfg: cfg, clients: map[*client]struct{}{}}
}

// Serve takes connections until l is closed.
func (s *Server) Serve(l *net.UnixListener) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return
		}
		c := &client{s: s, conn: conn, objects: map[uint32]*object{1: {kind: "wl_display"}}, outputs: map[uint32]bool{}}
		s.mu.Lock()
		s.clients[c] = struct{}{}
		s.mu.Unlock()
		go c.serve()
	}
}

// Commits counts the pictures the browser has handed over.
func (s *Server) Commits() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commits
}

// Phase is how long after a tick, in parts of the time between two, the browser
// begins its next picture: it is handed over well before the next tick, and
// never so early that it is taken at the same one.
const Phase = 4

// Tick says that a picture was taken: the browser may draw the next one. at is
// the monotonic clock (CLOCK_MONOTONIC).
func (s *Server) Tick(at time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ticks++
	s.now = at
	for c := range s.clients {
		c.tick(at, s.ticks)
		c.flush()
	}
}

// interval is the time between two ticks.
func (s *Server) interval() time.Duration { return time.Second / time.Duration(max(1, s.cfg.FPS)) }

// Close ends all connections.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.clients {
		_ = c.conn.Close()
	}
}

// client is one connection of the browser.
type client struct {
	s       *Server
	conn    *net.UnixConn
	out     []byte
	objects map[uint32]*object
	fds     []int
	serial  uint32
	outputs map[uint32]bool // wl_output objects
	broken  bool
}

func (c *client) serve() {
	err := c.read()
	if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, syscall.ECONNRESET) {
		c.s.cfg.Log.Warn("the browser's window connection broke", "err", err)
	}
	_ = c.conn.Close()
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	delete(c.s.clients, c)
	c.dispose()
}

// read takes requests until the connection ends.
func (c *client) read() error {
	var buf []byte
	in, oob := make([]byte, 32<<10), make([]byte, 4096)
	for {
		n, on, _, _, err := c.conn.ReadMsgUnix(in, oob)
		if err != nil {
			return err
		}
		if n == 0 {
			return io.EOF
		}
		if err := c.takeFDs(oob[:on]); err != nil {
			return err
		}
		c.s.mu.Lock()
		buf, err = c.requests(append(buf, in[:n]...))
		c.flush()
		c.s.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

func (c *client) takeFDs(oob []byte) error {
	if len(oob) == 0 {
		return nil
	}
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return err
	}
	for i := range messages {
		fds, err := syscall.ParseUnixRights(&messages[i])
		if err != nil {
			continue
		}
		c.fds = append(c.fds, fds...)
	}
	if len(c.fds) > maxFDs {
		return errors.New("wayland: too many files from the browser")
	}
	return nil
}

// flush writes the events. A browser that does not read them has a second.
func (c *client) flush() {
	if len(c.out) == 0 || c.broken {
		c.out = c.out[:0]
		return
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(time.Second))
	if _, err := c.conn.Write(c.out); err != nil {
		c.broken = true
		_ = c.conn.Close()
	}
	c.out = c.out[:0]
}

// dispose lets go of everything a connection had.
func (c *client) dispose() {
	for _, fd := range c.fds {
		_ = syscall.Close(fd)
	}
	for id, o := range c.objects {
		c.drop(id, o)
	}
	c.fds = nil
}
