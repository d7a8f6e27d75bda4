// Package obs sets up what a running program tells about itself: logs, metrics
// and health.
package obs

import (
	"io"
	"log/slog"
)

// NewLogger returns a logger that writes one line per record to w. level is
// debug, info, warn or error; format is text or json. Secrets are kept out by
// the callers, which log identifiers only.
func NewLogger(w io.Writer, level, format string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: l}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
