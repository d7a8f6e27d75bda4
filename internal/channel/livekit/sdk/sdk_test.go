package sdk

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const token = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3NjQ4MDAwMDAsImlzcyI6ImRldiJ9.c2lnbmF0dXJl-_x"

func TestScrub(t *testing.T) {
	for in, want := range map[string]string{
		"":                                  "",
		"invalid token: " + token + ", bad": "invalid token: [token], bad",
		"?access_token=" + token + "&x=1":   "?access_token=[token]&x=1",
		token + " " + token:                 "[token] [token]",
		"eyJ alone":                         "eyJ alone",
	} {
		if got := Scrub(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestLoggerHidesTokensWhereverTheyAre(t *testing.T) {
	var b bytes.Buffer
	l := Logger(slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})))
	l.WithValues("with", token).Errorw("failed "+token, errors.New(token), "url", "ws://x?"+token, "struct", struct{ T string }{token}, "n", 5)
	l.WithName(token).Infow("x", "stringer", fmt.Stringer(stringer{}))
	out := b.String()
	if strings.Contains(out, "eyJ") || !strings.Contains(out, "[token]") || !strings.Contains(out, "n=5") {
		t.Errorf("log is %s", out)
	}
	if strings.Contains(out, "ERROR") || !strings.Contains(out, "DEBUG") {
		t.Errorf("levels are not lowered: %s", out)
	}
	Logger(nil).Errorw("nobody hears", errors.New(token))
	b.Reset()
	Logger(slog.New(slog.NewTextHandler(&b, nil))).Errorw("below the level", errors.New("x"))
	if b.Len() > 0 {
		t.Errorf("log at info level is %s", &b)
	}
}

type stringer struct{}

func (stringer) String() string { return token }
