package recorder

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/channel/embedded"
	"tapedeck/internal/channel/livekit"
	"tapedeck/internal/link"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/publish"
)

const (
	liveKey      = "devkey"
	liveSecret   = "0123456789abcdef0123456789abcdef"
	livePatience = 50 * time.Second
)

// live is a deck whose recorder sits in a room of a real LiveKit server, on the
// real clock.
type live struct {
	*deck
	room  *livekit.Source
	leave context.CancelFunc
	gone  chan error
	over  bool
	loose bool // senders pause, so that arrival tells little: judge forgives what was placed before their first report
}

// serve starts a LiveKit server.
func serve(t testing.TB, o embedded.Options) *embedded.Server {
	t.Helper()
	o.Key, o.Secret = liveKey, liveSecret
	s, err := embedded.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s
}

// enter sends a publisher into the room.
func enter(t testing.TB, url string, uid uint32, spec publish.Spec) *publish.Publisher {
	t.Helper()
	token, err := publish.Token(liveKey, liveSecret, "room", strconv.Itoa(int(uid)), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), livePatience)
	defer cancel()
	p, err := publish.Join(ctx, url, token, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Leave)
	return p
}

// listen lets a recorder join. tap, if any, sees every event before the recorder does.
func listen(t *testing.T, url string, plan session.Plan, change func(*livekit.Config), tap func(channel.Event)) *live {
	t.Helper()
	dir, err := spool.Create(t.TempDir(), plan.SID)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	l := &live{deck: &deck{t: t, plan: plan, dir: dir, done: make(chan error, 1)}, gone: make(chan error, 1)}
	if l.out, err = OpenOutput(dir, plan, time.Now, log); err != nil {
		t.Fatal(err)
	}
	identity := "rec-" + strconv.FormatInt(time.Now().UnixNano(), 10)
	token, err := livekit.MintToken(liveKey, liveSecret, "room", identity, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	cfg := livekit.Config{
		Room: link.Room{URL: url, Token: token, Identity: identity}, Clock: l.out.Clock(), Subscription: plan.Subscription,
		Streams: plan.Streams, LowStream: plan.LowStream, Log: log,
	}
	if change != nil {
		change(&cfg)
	}
	l.room = livekit.New(cfg)
	if l.mode, err = newIndividual(plan, l.out, l.room, log); err != nil {
		t.Fatal(err)
	}
	recording, stop := context.WithCancel(context.Background())
	listening, leave := context.WithCancel(context.Background())
	l.stop, l.leave = stop, leave
	go func() { l.done <- l.mode.Run(recording) }()
	go func() {
		l.gone <- l.room.Run(listening, func(ev channel.Event) {
			if tap != nil {
				tap(ev)
			}
			l.mode.Handle(ev)
		})
	}()
	t.Cleanup(l.end)
	return l
}

// end stops the recording as the worker does.
func (l *live) end() {
	if l.over {
		return
	}
	l.over = true
	l.finish()
	l.leave()
	if err := <-l.gone; err != nil {
		l.t.Errorf("the room: %v", err)
	}
}

// files is the list of the recording's outputs, as the journal tells it.
func (l *live) files() []session.File {
	l.t.Helper()
	newest := map[string]spool.Fact{}
	for _, f := range l.facts() {
		if f.Type == spool.FactIndex && !f.Unlisted && f.Kind != spool.KindReport {
			newest[f.Name] = f
		}
	}
	var files []session.File
	for _, f := range newest {
		files = append(files, session.File{
			Name: f.Name, Track: f.Track, UID: f.UID, Playable: f.Playable,
			StartMilli: l.out.At(media.Time(f.StartMicro)).UnixMilli(),
		})
	}
	return files
}
