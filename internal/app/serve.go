package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"time"

	"tapedeck/internal/config"
	"tapedeck/internal/obs"
)

// stopPatience bounds a clean stop: closing the files of running recordings
// and shipping what can be shipped.
const stopPatience = 30 * time.Second

// Serve runs the service until ctx ends or a part of it dies, then stops it
// cleanly.
func Serve(ctx context.Context, c config.Config, out, errs io.Writer) error {
	log := obs.NewLogger(errs, c.Log.Level, c.Log.Format)
	a, err := Start(ctx, c, log)
	if err != nil {
		return err
	}
	if err := a.banner(out); err != nil {
		return err
	}
	var died error
	select {
	case <-ctx.Done():
		log.Info("stopping")
	case died = <-a.failed:
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	return errors.Join(died, a.Stop(stopCtx))
}

// banner tells a person how to begin.
func (a *App) banner(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "tapedeck serves %s://%s\n", scheme(a.cfg), a.Addr())
	if a.dev.AppID == "" {
		_, err := io.WriteString(w, b.String())
		return err
	}
	fmt.Fprintf(&b, `
Development account, kept in %s:
  app id           %s
  customer id      %s
  customer secret  %s
  LiveKit          %s  key %s  secret %s
  recordings       %s/<bucket>/  (whatever vendor a request names, except vendor 11)

Try it:
  curl -su %s:%s -H 'Content-Type: application/json' \
    %s://%s/v1/apps/%s/cloud_recording/acquire \
    -d '{"cname":"room1","uid":"527841","clientRequest":{}}'
`, filepath.Join(a.cfg.Data, DevFile), a.dev.AppID, a.dev.CustomerID, a.dev.CustomerSecret,
		a.dev.LiveKitURL, a.dev.LiveKitKey, a.dev.LiveKitSecret, recordingsDir(a.cfg.Data),
		a.dev.CustomerID, a.dev.CustomerSecret, scheme(a.cfg), a.Addr(), a.dev.AppID)
	_, err := io.WriteString(w, b.String())
	return err
}

func trimScheme(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	return rest
}

// portFree reports whether a TCP port of loopback can be taken right now.
func portFree(port int) bool {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return false
	}
	return l.Close() == nil
}
