// Package edge is where callers reach the service: it listens, speaks TLS with a
// certificate that may be replaced while it runs, and keeps connections that are
// too many, too slow or too large from costing more than their share.
package edge

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Config says how to listen. All members are required but Cert and Key.
type Config struct {
	Listen      string // host:port
	Cert, Key   string // PEM files; both or neither
	MinVersion  uint16 // of TLS: tls.VersionTLS12 or tls.VersionTLS13
	Connections int    // open at the same time
	MaxHeader   int    // bytes of a request's head

	HeaderTimeout time.Duration // for the head of a request, and for the TLS handshake
	ReadTimeout   time.Duration // for a whole request
	WriteTimeout  time.Duration // from the head of a request to the end of its answer
	IdleTimeout   time.Duration // between requests

	Now func() time.Time
	Log *slog.Logger
}

// Server listens already and serves when told.
type Server struct {
	http     *http.Server
	listener net.Listener
	addr     net.Addr
}

// Open takes the address and reads the certificate.
func Open(c Config, handler http.Handler) (*Server, error) {
	gate := newGate(c.Connections, c.Log)
	srv := &http.Server{
		Handler: handler, ReadHeaderTimeout: c.HeaderTimeout, ReadTimeout: c.ReadTimeout,
		WriteTimeout: c.WriteTimeout, IdleTimeout: c.IdleTimeout, MaxHeaderBytes: c.MaxHeader,
		ConnState: gate.note,
		ErrorLog:  slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
	}
	if c.Cert != "" {
		pair, err := newCertificate(c.Cert, c.Key, c.Now, c.Log)
		if err != nil {
			return nil, err
		}
		srv.TLSConfig = &tls.Config{
			MinVersion: c.MinVersion, GetCertificate: pair.get,
			NextProtos: []string{"h2", "http/1.1"},
		}
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w; choose another address with --listen", c.Listen, err)
	}
	return &Server{http: srv, listener: gate.guard(l), addr: l.Addr()}, nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.addr }

// Serve answers until Shutdown; then its error is http.ErrServerClosed.
func (s *Server) Serve() error {
	if s.http.TLSConfig != nil {
		return s.http.ServeTLS(s.listener, "", "")
	}
	return s.http.Serve(s.listener)
}

// Shutdown takes no more connections and waits for the calls under way.
func (s *Server) Shutdown(ctx context.Context) error { return s.http.Shutdown(ctx) }
