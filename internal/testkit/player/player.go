// Package player plays a playlist through hls.js in headless Chromium, from the
// first to the last second, and reports what the browser made of it: the judge
// of whether a recording plays for a person with a browser.
package player

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Range is a stretch of media time in seconds.
type Range struct {
	Start float64 `json:"start"`
	End   float64 `json:"end"`
}

// Part is a slice as the player put it on its timeline, which begins with the
// playlist, in seconds.
type Part struct {
	Name string `json:"name"`
	Range
}

// Report is what happened.
type Report struct {
	Ended    bool     `json:"ended"`    // the browser said that it played to the end
	Position float64  `json:"position"` // s, where it stood then
	Duration float64  `json:"duration"` // s, as the browser has it
	Listed   float64  `json:"listed"`   // s, sum of the playlist's slices as hls.js has it
	Buffered []Range  `json:"buffered"` // media the browser held at the end; nothing is thrown away
	Played   []Range  `json:"played"`   // media that was played
	Fatal    []string `json:"fatal"`    // errors after which hls.js gave up
	Repaired []string `json:"repaired"` // errors it got over by itself
	Parts    []Part   `json:"parts"`    // as they were buffered
	Frames   int      `json:"frames"`   // pictures decoded
	Dropped  int      `json:"dropped"`  // of them not shown in time, which fast play causes
	W        int      `json:"width"`
	H        int      `json:"height"`
}

// Complete returns nil when the playlist played without a fatal error to its
// end, in one piece. slack is how much may be missing in all, in seconds.
func (r Report) Complete(slack float64) error {
	switch {
	case len(r.Fatal) > 0:
		return fmt.Errorf("player: hls.js gave up: %q", r.Fatal)
	case !r.Ended:
		return fmt.Errorf("player: the end was not reached: stands at %.3f of %.3f s", r.Position, r.Duration)
	case r.Duration-r.Position > slack || math.Abs(r.Listed-r.Duration) > slack:
		return fmt.Errorf("player: ended at %.3f s, but the media is %.3f s and the playlist %.3f s long", r.Position, r.Duration, r.Listed)
	case len(r.Buffered) != 1 || r.Buffered[0].Start > slack:
		return fmt.Errorf("player: the media is in pieces: %v", r.Buffered)
	}
	played := 0.0
	for _, p := range r.Played {
		played += p.End - p.Start
	}
	if r.Duration-played > slack {
		return fmt.Errorf("player: %.3f s of %.3f s were skipped: %v", r.Duration-played, r.Duration, r.Played)
	}
	return nil
}

//go:embed page.html
var page []byte

// Play plays the named playlist of folder dir at speed times the normal rate
// (1 to 16) and returns when it ended, failed, or did neither within limit.
func Play(ctx context.Context, dir, playlist string, speed float64, limit time.Duration) (Report, error) {
	script, err := script()
	if err != nil {
		return Report{}, err
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return Report{}, fmt.Errorf("player: %w", err)
	}
	srv := &http.Server{Handler: handler(dir, script), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(lis) }()
	defer func() {
		_ = srv.Close()
		<-served //nolint:errcheck // always says that the server was closed
	}()
	q := url.Values{"playlist": {playlist}, "speed": {number(speed)}, "limit": {number(limit.Seconds())}}
	return browse(ctx, "http://"+lis.Addr().String()+"/?"+q.Encode())
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// handler serves the page, hls.js and the recording, with the media types and
// the permission for other origins that a bucket would give.
func handler(dir, script string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page)
	})
	mux.HandleFunc("GET /hls.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, script) })
	files := http.StripPrefix("/media/", http.FileServer(http.Dir(dir)))
	mux.HandleFunc("GET /media/", func(w http.ResponseWriter, r *http.Request) {
		switch filepath.Ext(r.URL.Path) {
		case ".m3u8":
			w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
		case ".ts":
			w.Header().Set("Content-Type", "video/mp2t")
		}
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Cache-Control", "no-store")
		files.ServeHTTP(w, r)
	})
	return mux
}

// script finds hls.js, which npm puts into the tree.
func script() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("player: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("player: not inside the source tree")
		}
		dir = up
	}
	path := filepath.Join(dir, "test", "web", "node_modules", "hls.js", "dist", "hls.min.js")
	if _, err := os.Stat(path); err != nil {
		return "", errors.New("player: hls.js is missing: run npm ci --prefix test/web")
	}
	return path, nil
}
