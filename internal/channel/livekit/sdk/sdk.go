// Package sdk prepares LiveKit's client library for use in this process and
// keeps room tokens out of whatever it says.
package sdk

import (
	"context"
	"log/slog"
	"regexp"
	"sync"

	"github.com/go-logr/logr"
	"github.com/livekit/protocol/codecs"
	"github.com/livekit/protocol/logger"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v4"
)

// Prepare sets the two things that the library keeps in variables of its own,
// once, before the first room is made: silence instead of the standard logger,
// and retransmission of lost audio, which its codec table leaves out.
func Prepare() { prepare() }

//nolint:gochecknoglobals // guards variables of a library, written once
var prepare = sync.OnceFunc(func() {
	lksdk.SetLogger(logger.GetDiscardLogger())
	codecs.OpusCodecParameters.RTCPFeedback = []webrtc.RTCPFeedback{{Type: "nack"}}
})

var jwt = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*)?`)

// Scrub replaces every room token (a JWT) in s.
func Scrub(s string) string { return jwt.ReplaceAllString(s, "[token]") }

// Logger hands what the library says about one room to log at debug level,
// without tokens: the errors it reports are either handled or reported again by
// the caller, who knows what they mean. A nil log discards.
func Logger(log *slog.Logger) logger.Logger {
	if log == nil {
		return logger.GetDiscardLogger()
	}
	return logger.LogRLogger(logr.FromSlogHandler(quiet{log.Handler()}))
}

// quiet lowers every record to debug level and scrubs it.
type quiet struct{ next slog.Handler }

func (q quiet) Enabled(ctx context.Context, _ slog.Level) bool {
	return q.next.Enabled(ctx, slog.LevelDebug)
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	if !q.Enabled(ctx, r.Level) {
		return nil // errors come without being asked for
	}
	clean := slog.NewRecord(r.Time, slog.LevelDebug, Scrub(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(scrubAttr(a))
		return true
	})
	return q.next.Handle(ctx, clean)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = scrubAttr(a)
	}
	return quiet{q.next.WithAttrs(clean)}
}

func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.next.WithGroup(name)} }

// scrubAttr turns values that are not plain numbers into scrubbed text, because
// structures of the library may carry a token in any member.
func scrubAttr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindBool, slog.KindDuration, slog.KindFloat64, slog.KindInt64, slog.KindTime, slog.KindUint64:
		return slog.Attr{Key: a.Key, Value: v}
	}
	return slog.String(a.Key, Scrub(v.String()))
}
