// Package embedded runs a LiveKit server inside this process, on loopback
// only: what `tapedeck serve` uses when no server is configured, and what the
// tests talk to. It makes no connection to the outside.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/livekit/livekit-server/pkg/config"
	"github.com/livekit/livekit-server/pkg/routing"
	"github.com/livekit/livekit-server/pkg/service"
	"github.com/livekit/livekit-server/pkg/telemetry/prometheus"
)

// Loopback is the only address the server listens on.
const Loopback = "127.0.0.1"

// Options of a server. The zero value of a port means a free one.
type Options struct {
	Port    int // HTTP and WebSocket; fix it where clients come back after a restart
	UDPPort int // all media
	Key     string
	Secret  string // 32 characters or more

	// Change, if set, may alter the LiveKit configuration before the start.
	Change func(*config.Config)
}

// Server is a running LiveKit server.
type Server struct {
	srv  *service.LivekitServer
	done chan error
	port int
}

// attempts bounds how often a start is tried with other free ports: between
// finding a free port and using it, somebody else may take it.
const attempts = 5

// Start runs a server and returns when it accepts connections.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Key == "" || len(o.Secret) < 32 {
		return nil, errors.New("embedded livekit: a key and a secret of at least 32 characters are needed")
	}
	var err error
	for range attempts {
		var s *Server
		if s, err = start(ctx, o); err == nil {
			return s, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	if errors.Is(err, syscall.EADDRINUSE) && (o.Port != 0 || o.UDPPort != 0) {
		return nil, fmt.Errorf("embedded livekit: %w; stop the program that uses the port or configure another one", err)
	}
	return nil, fmt.Errorf("embedded livekit: %w", err)
}

func start(ctx context.Context, o Options) (*Server, error) {
	conf, err := configure(o)
	if err != nil {
		return nil, err
	}
	node, err := routing.NewLocalNode(conf)
	if err != nil {
		return nil, err
	}
	// The server uses these metrics without asking whether they exist. Later
	// calls do nothing.
	if err := prometheus.Init(string(node.NodeID()), node.NodeType()); err != nil {
		return nil, err
	}
	srv, err := service.InitializeServer(conf, node)
	if err != nil {
		return nil, err
	}
	s := &Server{srv: srv, done: make(chan error, 1), port: int(conf.Port)}
	go func() { s.done <- srv.Start() }()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// ready waits until the server runs and its port answers.
func (s *Server) ready(ctx context.Context) error {
	t := time.NewTicker(2 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case err := <-s.done:
			if err == nil {
				err = errors.New("it stopped while starting")
			}
			return err
		case <-ctx.Done():
			// It cannot be stopped before it runs.
			go func() {
				for !s.srv.IsRunning() {
					select {
					case err := <-s.done:
						s.done <- err
						return
					case <-time.After(10 * time.Millisecond):
					}
				}
				s.srv.Stop(true)
			}()
			return ctx.Err()
		case <-t.C:
		}
		if !s.srv.IsRunning() {
			continue
		}
		c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", s.addr())
		if err == nil {
			return c.Close()
		}
	}
}

func (s *Server) addr() string { return net.JoinHostPort(Loopback, strconv.Itoa(s.port)) }

// URL is where clients connect.
func (s *Server) URL() string { return "ws://" + s.addr() }

// Port is the TCP port of URL.
func (s *Server) Port() int { return s.port }

// Stop ends all rooms and frees the ports. It may be called more than once.
func (s *Server) Stop() error {
	s.srv.Stop(true)
	err := <-s.done
	s.done <- err
	return err
}
