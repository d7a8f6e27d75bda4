package link

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/session"
)

var update = flag.Bool("update", false, "write the golden files")

func messages() []Message {
	plan := session.Plan{
		SID: "38f8e3cfdc474cd56fc1ceba380d7e1a", AppID: "app1", CName: "room 1", UID: 527841, Mode: session.Mix,
		Streams: session.Both, MaxIdle: 30 * time.Second, SliceLength: 15 * time.Second, MP4: true, FilePrefix: "d1/",
		Subscription: session.Subscription{Audio: session.UIDList{All: true}, Video: session.UIDList{All: true, Deny: []uint32{3}}},
		Mixing:       &session.Mixing{Width: 360, Height: 640, FPS: 15, Bitrate: 500, Layout: session.Layout{Kind: 1, Background: "#000000"}},
	}
	sub := session.Subscription{Audio: session.UIDList{Allow: []uint32{1, 2}}}
	layout := session.Layout{Kind: 3, Background: "#FF0000", Regions: []session.CustomRegion{{UID: 1, W: 0.5, H: 1, Alpha: 1}, {X: 0.5, W: 0.5, H: 1, Alpha: 0.5, Fit: true}}}
	return []Message{
		{Type: Hello, Version: Version, PID: 4711},
		{Type: Run, Job: &Job{Plan: plan, Room: Room{URL: "ws://127.0.0.1:7880", Token: "a.b.c", Identity: "rec-1"}, Private: &session.Private{ContentKey: []byte("0123456789abcdef"), SpoolKey: []byte("0123456789abcdef0123456789abcdef")}}},
		{Type: Token, Token: "d.e.f"},
		{Type: Subscribe, Subscription: &sub},
		{Type: Layout, Layout: &layout},
		{Type: Stop},
		{Type: Done},
		{Type: Status, Status: int(session.StatusStopped), Note: "stop"},
	}
}

// A node and a worker of different builds talk to each other while a node is
// restarted: a change here needs a new Version.
func TestGolden(t *testing.T) {
	const path = "testdata/messages.jsonl"
	ours, theirs := net.Pipe()
	var got bytes.Buffer
	done := make(chan error, 1)
	go func() { _, err := io.Copy(&got, theirs); done <- err }()
	c := NewConn(ours)
	for _, m := range messages() {
		if err := c.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("wire form changed:\n%s\nwant\n%s", got.Bytes(), want)
	}
	r := receiver(t, string(want))
	for _, m := range messages() {
		if back, err := r.Receive(); err != nil || !reflect.DeepEqual(back, m) {
			t.Errorf("received %+v, %v", back, err)
		}
	}
	if _, err := r.Receive(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("at the end: %v", err)
	}
}

// receiver reads what the other side sent before it went.
func receiver(t testing.TB, sent string) *Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = ours.Close() })
	go func() {
		_, _ = io.WriteString(theirs, sent)
		_ = theirs.Close()
	}()
	return NewConn(ours)
}

func TestReceive(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     Message
		fails    bool
	}{
		{name: "unknown type and member", in: `{"type":"fly","height":3}` + "\n", want: Message{Type: "fly"}},
		{name: "no newline at the end", in: `{"type":"stop"}`, want: Message{Type: Stop}},
		{name: "not JSON", in: "stop\n", fails: true},
		{name: "wrong kind", in: `{"type":5}` + "\n", fails: true},
		{name: "nothing", in: "", fails: true},
		{name: "endless line", in: strings.Repeat("x", maxLine+1), fails: true},
	} {
		m, err := receiver(t, c.in).Receive()
		if (err != nil) != c.fails || !reflect.DeepEqual(m, c.want) {
			t.Errorf("%s: %+v, %v", c.name, m, err)
		}
	}
}

func FuzzReceive(f *testing.F) {
	for _, m := range messages() {
		b, err := json.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b) + "\n")
	}
	f.Fuzz(func(t *testing.T, in string) {
		c := receiver(t, in)
		for range 1 + strings.Count(in, "\n") {
			if _, err := c.Receive(); err != nil {
				return
			}
		}
	})
}

func TestHandshakeRefusesOtherVersion(t *testing.T) {
	for name, hello := range map[string]string{"newer": `{"type":"hello","v":2}`, "no hello": `{"type":"stop","v":1}`} {
		ours, theirs := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		go func() { _, _ = io.WriteString(theirs, hello+"\n") }()
		if _, err := NewConn(ours).Handshake(1); !errors.Is(err, ErrVersion) {
			t.Errorf("%s: %v", name, err)
		}
		_ = ours.Close()
		_ = theirs.Close()
	}
}

// The folder's path is longer than a socket address may be (unix(7)).
func TestSocket(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 200))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(t.Context(), dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a worker: %v", err)
	}
	for range 2 { // the second takes the place of a worker that died
		l, err := Listen(dir)
		if err != nil {
			t.Fatal(err)
		}
		meet(t, l, dir)
		_ = l.Close()
		if _, err := Dial(t.Context(), dir); err == nil {
			t.Error("somebody answers for a dead worker")
		}
	}
	st, err := os.Stat(filepath.Join(dir, SocketName))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v", st.Mode(), err)
	}
}

func meet(t *testing.T, l net.Listener, dir string) {
	t.Helper()
	worker := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = NewConn(c).Handshake(2)
		}
		worker <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := Dial(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	m, err := c.Handshake(1)
	if werr := <-worker; err != nil || werr != nil || m.PID != 2 {
		t.Errorf("handshake: %+v, %v, %v", m, err, werr)
	}
	if pid, uid, err := c.Peer(); err != nil || pid != os.Getpid() || int(uid) != os.Getuid() {
		t.Errorf("peer: %d %d %v", pid, uid, err)
	}
}
