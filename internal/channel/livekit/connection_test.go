package livekit

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livekit/livekit-server/pkg/config"
	lk "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"

	"tapedeck/internal/channel"
	"tapedeck/internal/channel/embedded"
	"tapedeck/internal/media"
	"tapedeck/internal/testkit/publish"
)

// endOf demands that Run returned an EndError of a kind.
func endOf(t *testing.T, err error, want channel.End) {
	t.Helper()
	var end *channel.EndError
	if !errors.As(err, &end) || end.End != want {
		t.Fatalf("Run returned %v, want %s", err, want)
	}
}

// logbook is a log that many goroutines write.
type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// leeway is what the server adds to the life of a token.
const leeway = time.Minute

// Tests that stop a server do not run beside others: those might take its port.

// expiring makes a recorder's token that ends at a moment.
func expiring(t *testing.T, at time.Time) string {
	t.Helper()
	token, err := MintToken(key, secret, "room", "rec-1", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(b, &claims); err != nil {
		t.Fatal(err)
	}
	claims["exp"], claims["nbf"] = at.Unix(), at.Add(-24*time.Hour).Unix()
	if b, err = json.Marshal(claims); err != nil {
		t.Fatal(err)
	}
	signed := parts[0] + "." + base64.RawURLEncoding.EncodeToString(b)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func TestAWrongKeyIsRefusedAtOnceAndNotLeaked(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{})
	for name, mint := range map[string]func() (string, error){
		"unknown key":  func() (string, error) { return MintToken("other", secret, "room", "rec-1", time.Hour) },
		"wrong secret": func() (string, error) { return MintToken(key, secret[1:]+"x", "room", "rec-1", time.Hour) },
		"expired":      func() (string, error) { return expiring(t, time.Now().Add(-time.Hour)), nil },
		"no token":     func() (string, error) { return "garbage", nil },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := configOf(t, s.URL())
			token, err := mint()
			if err != nil {
				t.Fatal(err)
			}
			book := &logbook{}
			cfg.Room.Token, cfg.JoinTimeout = token, time.Hour
			cfg.Log = slog.New(slog.NewTextHandler(book, &slog.HandlerOptions{Level: slog.LevelDebug}))
			r := record(t, cfg)
			err = r.end()
			endOf(t, err, channel.EndRefused)
			for _, part := range strings.Split(token, ".") {
				if len(part) > 10 && (strings.Contains(err.Error(), part) || strings.Contains(book.String(), part)) {
					t.Errorf("the token shows in the error %q or the log", err)
				}
			}
			if !strings.Contains(err.Error(), "check the key") {
				t.Errorf("the error does not say what to do: %v", err)
			}
		})
	}
}

func TestAnUnreachableServerIsTriedForAWhile(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "ws://user:hunter2@" + l.Addr().String()
	_ = l.Close()
	cfg := configOf(t, url)
	cfg.JoinTimeout = 300 * time.Millisecond
	r := record(t, cfg)
	err = r.end()
	endOf(t, err, channel.EndUnreached)
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error shows the password: %v", err)
	}
}

func TestAServerThatStartsLateIsJoined(t *testing.T) {
	s := serve(t, embedded.Options{})
	port := s.Port()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	r := record(t, configOf(t, s.URL()))
	serve(t, embedded.Options{Port: port})
	r.until("the join", func(events []channel.Event) bool { return has(events, "connected") == 1 })
	r.stop()
	if r.err != nil {
		t.Errorf("Run returned %v", r.err)
	}
}

func TestNothingButLiveKitAnswers(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]channel.End{404: channel.EndRoom, 403: channel.EndRefused, 500: channel.EndUnreached, 200: channel.EndUnreached} {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
		cfg := configOf(t, strings.Replace(web.URL, "http", "ws", 1))
		cfg.JoinTimeout = 200 * time.Millisecond
		r := record(t, cfg)
		endOf(t, r.end(), want)
		web.Close()
	}
}

func TestTheServerComesBack(t *testing.T) {
	s := serve(t, embedded.Options{})
	clip := opus(11)
	enter(t, s.URL(), "1", publish.Spec{Audio: clip})
	r := record(t, configOf(t, s.URL()))
	r.until("sound", func(events []channel.Event) bool { return len(unitsOf(events, of("1", media.Opus))) > 10 })
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	r.until("the loss", func(events []channel.Event) bool { return has(events, "disconnected") == 1 })
	again := serve(t, embedded.Options{Port: s.Port()})
	r.until("the way back", func(events []channel.Event) bool { return has(events, "connected") == 2 })
	n := len(unitsOf(r.all(), of("1", media.Opus)))
	enter(t, again.URL(), "1", publish.Spec{Audio: clip})
	r.until("sound again", func(events []channel.Event) bool { return len(unitsOf(events, of("1", media.Opus))) > n+10 })
	r.stop()
	events := r.all()
	checkLife(t, events)
	uids := map[uint32]bool{}
	for _, ev := range events {
		if e, ok := ev.(channel.Joined); ok {
			uids[e.User.UID] = true
		}
	}
	if has(events, "started 1 opus") != 2 || len(uids) != 1 {
		t.Errorf("events: %s", summary(events))
	}
}

func TestAServerThatStaysAwayIsGivenUp(t *testing.T) {
	s := serve(t, embedded.Options{})
	cfg := configOf(t, s.URL())
	cfg.RejoinTimeout = 500 * time.Millisecond
	r := record(t, cfg)
	r.until("the join", func(events []channel.Event) bool { return has(events, "connected") == 1 })
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	endOf(t, r.end(), channel.EndUnreached)
	checkLife(t, r.all())
}

func rooms(s *embedded.Server) *lksdk.RoomServiceClient {
	return lksdk.NewRoomServiceClient(strings.Replace(s.URL(), "ws", "http", 1), key, secret)
}

func TestBeingRemovedIsTheEnd(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{})
	r := record(t, configOf(t, s.URL()))
	r.until("the join", func(events []channel.Event) bool { return has(events, "connected") == 1 })
	_, err := rooms(s).RemoveParticipant(context.Background(), &lk.RoomParticipantIdentity{Room: "room", Identity: "rec-1"})
	if err != nil {
		t.Fatal(err)
	}
	endOf(t, r.end(), channel.EndRemoved)
}

func TestASecondRecorderOfTheSameNameReplacesTheFirst(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{})
	r := record(t, configOf(t, s.URL()))
	r.until("the join", func(events []channel.Event) bool { return has(events, "connected") == 1 })
	r2 := record(t, configOf(t, s.URL()))
	r2.until("the join", func(events []channel.Event) bool { return has(events, "connected") == 1 })
	endOf(t, r.end(), channel.EndRemoved)
}

func TestADeletedRoomIsJoinedAgain(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{})
	enter(t, s.URL(), "1", publish.Spec{Audio: opus(12)})
	r := record(t, configOf(t, s.URL()))
	r.until("sound", func(events []channel.Event) bool { return len(unitsOf(events, of("1", media.Opus))) > 3 })
	if _, err := rooms(s).DeleteRoom(context.Background(), &lk.DeleteRoomRequest{Room: "room"}); err != nil {
		t.Fatal(err)
	}
	r.until("the way back", func(events []channel.Event) bool { return has(events, "connected") == 2 })
	enter(t, s.URL(), "2", publish.Spec{Audio: opus(13)})
	r.until("sound", func(events []channel.Event) bool { return len(unitsOf(events, of("2", media.Opus))) > 3 })
	r.stop()
	checkLife(t, r.all())
	if has(r.all(), "left 1 room-deleted") != 1 {
		t.Errorf("events: %s", summary(r.all()))
	}
}

func TestAnEmptyRoomThatTheServerClosesIsJoinedAgain(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{Change: func(c *config.Config) { c.Room.DepartureTimeout, c.Room.EmptyTimeout = 1, 1 }})
	p := enter(t, s.URL(), "1", publish.Spec{Audio: opus(15)})
	r := record(t, configOf(t, s.URL()))
	r.until("sound", func(events []channel.Event) bool { return len(unitsOf(events, of("1", media.Opus))) > 3 })
	p.Leave()
	r.until("the way back", func(events []channel.Event) bool { return has(events, "connected") >= 2 })
	enter(t, s.URL(), "2", publish.Spec{})
	r.until("another user", func(events []channel.Event) bool { return has(events, "joined 2") >= 1 })
	r.stop()
	checkLife(t, r.all())
}

func TestAFreshTokenSavesARejoin(t *testing.T) {
	s := serve(t, embedded.Options{})
	cfg := configOf(t, s.URL())
	fresh := cfg.Room.Token
	cfg.Room.Token = expiring(t, time.Now().Add(2*time.Second-leeway))
	r := record(t, cfg)
	r.until("the join", func(events []channel.Event) bool { return has(events, "connected") == 1 })
	joined := time.Now()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	<-time.After(time.Until(joined.Add(3 * time.Second))) // a token has to expire
	again := serve(t, embedded.Options{Port: s.Port()})
	other := configOf(t, again.URL())
	other.Room.Token = cfg.Room.Token
	endOf(t, record(t, other).end(), channel.EndRefused) // the old token is of no use any more
	r.src.SetToken(fresh)
	r.until("the way back", func(events []channel.Event) bool { return has(events, "connected") == 2 })
}

func TestStoppingWhileJoining(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	r := record(t, configOf(t, "ws://"+l.Addr().String()))
	r.stop()
	if r.err != nil || len(r.all()) != 0 {
		t.Errorf("Run returned %v after %s", r.err, summary(r.all()))
	}
}

func TestNoGoroutineIsLeftBehind(t *testing.T) {
	s := serve(t, embedded.Options{})
	enter(t, s.URL(), "1", publish.Spec{Audio: opus(14), Video: []*publish.Clip{h264(14)}})
	cycle := func() {
		r := record(t, configOf(t, s.URL()))
		r.until("media", func(events []channel.Event) bool {
			return len(unitsOf(events, of("1", media.Opus))) > 3 && len(unitsOf(events, of("1", media.H264))) > 0
		})
		r.stop()
	}
	cycle() // the first makes what the libraries keep
	// The server keeps some of its own for a participant for a while; ours are
	// those with our packages or the client library on the stack.
	ours := func() (n int, dump string) {
		buf := make([]byte, 4<<20)
		buf = buf[:runtime.Stack(buf, true)]
		for _, g := range strings.Split(string(buf), "\n\n") {
			if strings.Contains(g, "internal/channel/livekit.(*") && !strings.Contains(g, "_test.go") {
				n++
				dump += g + "\n\n"
			}
		}
		return n, dump
	}
	base := runtime.NumGoroutine()
	for range 3 {
		cycle()
	}
	if n, dump := ours(); n > 0 {
		t.Errorf("%d goroutines of ours are left:\n%s", n, dump)
	}
	limit := time.After(10 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for runtime.NumGoroutine() > base+5 {
		select {
		case <-limit:
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, there were %d:\n%s", runtime.NumGoroutine(), base, buf[:runtime.Stack(buf, true)])
		case <-tick.C:
		}
	}
}
