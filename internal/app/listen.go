package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"tapedeck/internal/config"
	"tapedeck/internal/edge"
)

// maxHead bounds the head of a request, in bytes: resource ids are in its path.
const maxHead = 64 << 10

// listen opens the API's address and writes it down.
func (a *App) listen(handler http.Handler) error {
	s, err := edge.Open(a.edge(), handler)
	if err != nil {
		return err
	}
	a.addr = s.Addr()
	go func() {
		if err := s.Serve(); !errors.Is(err, http.ErrServerClosed) {
			a.failed <- fmt.Errorf("api: %w", err)
		}
	}()
	a.onStop(func(ctx context.Context) error { return s.Shutdown(ctx) })
	return replaceFile(filepath.Join(a.cfg.Data, addressFile), []byte(a.Addr()+"\n"))
}

func (a *App) edge() edge.Config {
	c := a.cfg
	least := uint16(tls.VersionTLS12)
	if c.TLS.MinVersion == "1.3" {
		least = tls.VersionTLS13
	}
	return edge.Config{
		Listen: c.Listen, Cert: c.TLS.Cert, Key: c.TLS.Key, MinVersion: least,
		Connections: c.HTTP.Connections, MaxHeader: maxHead,
		HeaderTimeout: c.HTTP.HeaderTimeout, ReadTimeout: c.HTTP.ReadTimeout,
		WriteTimeout: c.HTTP.WriteTimeout, IdleTimeout: c.HTTP.IdleTimeout,
		Now: time.Now, Log: a.log,
	}
}

// scheme is how the API is addressed.
func scheme(c config.Config) string {
	if c.TLS.On() {
		return "https"
	}
	return "http"
}
