package livekit

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/channel/embedded"
	"tapedeck/internal/link"
	"tapedeck/internal/media"
	"tapedeck/internal/media/timing"
	"tapedeck/internal/session"
	"tapedeck/internal/testkit/publish"
)

const (
	key     = "devkey"
	secret  = "0123456789abcdef0123456789abcdef"
	patient = 50 * time.Second // a leave that gets lost shows only after the server's own 20 s
)

func serve(t testing.TB, o embedded.Options) *embedded.Server {
	t.Helper()
	o.Key, o.Secret = key, secret
	s, err := embedded.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s
}

func enter(t testing.TB, url, identity string, spec publish.Spec) *publish.Publisher {
	t.Helper()
	token, err := publish.Token(key, secret, "room", identity, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	p, err := publish.Join(ctx, url, token, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Leave)
	return p
}

// recording runs a Source and keeps what it says.
type recording struct {
	t      testing.TB
	src    *Source
	clock  *timing.Clock
	cancel context.CancelFunc
	done   chan struct{}
	err    error

	mu     sync.Mutex
	events []channel.Event
	news   chan struct{}
	slow   func(channel.Event) // called for every event
}

func everybody() session.Subscription {
	return session.Subscription{Audio: session.UIDList{All: true}, Video: session.UIDList{All: true}}
}

func configOf(t testing.TB, url string) Config {
	t.Helper()
	token, err := MintToken(key, secret, "room", "rec-1", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Room:  link.Room{URL: url, Token: token, Identity: "rec-1"},
		Clock: timing.NewClock(time.Time{}, time.Now), Subscription: everybody(), Streams: session.Both,
	}
}

func record(t testing.TB, cfg Config) *recording {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &recording{t: t, src: New(cfg), clock: cfg.Clock, cancel: cancel, done: make(chan struct{}), news: make(chan struct{}, 1)}
	go func() {
		defer close(r.done)
		r.err = r.src.Run(ctx, r.handle)
	}()
	t.Cleanup(r.stop)
	return r
}

func (r *recording) handle(ev channel.Event) {
	r.mu.Lock()
	slow := r.slow
	r.events = append(r.events, ev)
	r.mu.Unlock()
	select {
	case r.news <- struct{}{}:
	default:
	}
	if slow != nil {
		slow(ev)
	}
}

func (r *recording) stop() {
	r.cancel()
	_ = r.end()
}

// end waits until Run has returned.
func (r *recording) end() error {
	r.t.Helper()
	select {
	case <-r.done:
	case <-time.After(patient):
		r.t.Fatal("Run does not return")
	}
	return r.err
}

func (r *recording) all() []channel.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[:len(r.events):len(r.events)]
}

// until waits for the events to fulfil something.
func (r *recording) until(what string, ok func([]channel.Event) bool) []channel.Event {
	r.t.Helper()
	limit := time.After(patient)
	for {
		if events := r.all(); ok(events) {
			return events
		}
		select {
		case <-r.news:
		case <-r.done:
			if events := r.all(); ok(events) {
				return events
			}
			r.t.Fatalf("Run returned %v while waiting for %s; events: %s", r.err, what, summary(r.all()))
		case <-limit:
			r.t.Fatalf("waited in vain for %s; events: %s", what, summary(r.all()))
		}
	}
}

// summary names events but for media, which it counts.
func summary(events []channel.Event) string {
	var out []string
	units := map[string]int{}
	for _, ev := range events {
		switch e := ev.(type) {
		case channel.Connected:
			out = append(out, "connected")
		case channel.Joined:
			out = append(out, "joined "+e.User.Identity)
		case channel.Left:
			out = append(out, "left "+e.User.Identity+" "+e.Reason)
		case channel.Hosting:
			out = append(out, map[bool]string{true: "hosting ", false: "not hosting "}[e.On]+e.User.Identity)
		case channel.Warned:
			out = append(out, fmt.Sprintf("warned %s %d", e.User.Identity, e.Code))
		case channel.Started:
			out = append(out, "started "+e.Track.User.Identity+" "+e.Track.Codec.String())
		case channel.Ended:
			out = append(out, "ended "+e.Track.User.Identity+" "+e.Track.Codec.String())
		case channel.Muted:
			out = append(out, map[bool]string{true: "muted ", false: "unmuted "}[e.Muted]+e.Track.User.Identity)
		case channel.Disconnected:
			out = append(out, "disconnected")
		case channel.Media:
			units[e.Track.ID]++
		}
	}
	for id, n := range units {
		out = append(out, id+": "+time.Duration(n).String()[:len(time.Duration(n).String())-2]+" units")
	}
	return strings.Join(out, ", ")
}

// has counts occurrences of an entry of summary.
func has(events []channel.Event, entry string) int {
	n := 0
	for _, e := range strings.Split(summary(events), ", ") {
		if e == entry {
			n++
		}
	}
	return n
}

// unitsOf collects the media of tracks that a filter selects, in order.
func unitsOf(events []channel.Event, want func(*channel.Track) bool) []media.Unit {
	var units []media.Unit
	for _, ev := range events {
		if m, ok := ev.(channel.Media); ok && want(m.Track) {
			units = append(units, m.Unit)
		}
	}
	return units
}

func of(identity string, c media.Codec) func(*channel.Track) bool {
	return func(t *channel.Track) bool { return t.User.Identity == identity && t.Codec == c }
}

// checkLife verifies the order in which a Source may tell things.
func checkLife(t testing.TB, events []channel.Event) {
	t.Helper()
	here, hosts, running := map[uint32]bool{}, map[uint32]bool{}, map[*channel.Track]bool{}
	last := map[*channel.Track]media.Time{}
	connected := false
	for i, ev := range events {
		ok := true
		switch e := ev.(type) {
		case channel.Connected:
			ok, connected = !connected, true
		case channel.Disconnected:
			ok, connected = connected && len(here) == 0 && len(running) == 0, false
		case channel.Joined:
			ok = connected && !here[e.User.UID]
			here[e.User.UID] = true
		case channel.Left:
			ok = here[e.User.UID]
			delete(here, e.User.UID)
			delete(hosts, e.User.UID)
			for tr := range running {
				ok = ok && tr.User.UID != e.User.UID
			}
		case channel.Hosting:
			ok = here[e.User.UID] && hosts[e.User.UID] != e.On
			hosts[e.User.UID] = e.On
		case channel.Started:
			ok = here[e.Track.User.UID] && !running[e.Track]
			running[e.Track] = true
		case channel.Ended:
			ok = running[e.Track]
			delete(running, e.Track)
		case channel.Muted:
			ok = running[e.Track]
		case channel.Media:
			before, seen := last[e.Track]
			ok = running[e.Track] && (!seen || e.Unit.PTS > before) && (seen || e.Unit.Key)
			last[e.Track] = e.Unit.PTS
		}
		if !ok {
			t.Fatalf("event %d, %T, is out of order: %s", i, ev, summary(events[:i+1]))
		}
	}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func noise(r *rand.Rand, b []byte, n int) []byte {
	for range n {
		b = append(b, byte(1+r.IntN(255)))
	}
	return b
}

// h264 is two seconds of video as an encoder packs it: every frame is unique,
// and nothing on the way looks into the pictures.
func h264(seed uint64) *publish.Clip {
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // repeatable
	var stream []byte
	for i := range 60 {
		stream = append(stream, 0, 0, 0, 1)
		if i%10 == 0 {
			stream = append(stream, unhex("6742c00dd901419f9f0110000003001000000303c8f142a4800000000168cb83cb2000000001")...)
			stream = noise(r, append(stream, 0x65, 0x88), 5000+r.IntN(3000))
		} else {
			stream = noise(r, append(stream, 0x41, 0x9a), 300+r.IntN(3000))
		}
	}
	return publish.H264(stream, 30)
}

// vp8 is two seconds of video of a size.
func vp8(seed uint64, w, h int) *publish.Clip {
	r := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // repeatable
	ivf := make([]byte, 32)
	copy(ivf, "DKIF\x00\x00\x20\x00VP80")
	binary.LittleEndian.PutUint16(ivf[12:], uint16(w)) //nolint:gosec // small
	binary.LittleEndian.PutUint16(ivf[14:], uint16(h)) //nolint:gosec // small
	ivf[16], ivf[20] = 30, 1
	for i := range 60 {
		frame := []byte{0x31, 0, 0}
		if i%10 == 0 {
			frame = []byte{0x10, 0, 0, 0x9d, 1, 0x2a, byte(w), byte(w >> 8), byte(h), byte(h >> 8)}
		}
		frame = noise(r, frame, 300+r.IntN(w*4))
		head := make([]byte, 12)
		binary.LittleEndian.PutUint32(head, uint32(len(frame))) //nolint:gosec // small
		head[4] = byte(i)
		ivf = append(append(ivf, head...), frame...)
	}
	c, err := publish.IVF(ivf)
	if err != nil {
		panic(err)
	}
	return c
}

// opus is two seconds of sound, 20 ms packets (configuration 31, mono).
func opus(seed uint64) *publish.Clip {
	r := rand.New(rand.NewPCG(seed, 3)) //nolint:gosec // repeatable
	c := &publish.Clip{Codec: media.Opus, Ticks: 960, Lead: 312}
	for range 100 {
		c.Frames = append(c.Frames, publish.Frame{Data: noise(r, []byte{0xf8}, 60+r.IntN(60)), Key: true})
	}
	return c
}

// checkContent verifies that units are frames of the clip in their order, apart
// from gaps that are told, at their distance. It returns how many frames are
// missing.
func checkContent(t testing.TB, c *publish.Clip, units []media.Unit) int {
	t.Helper()
	index := map[[32]byte]int{}
	for i, f := range c.Frames {
		index[sha256.Sum256(f.Data)] = i
	}
	missing, at := 0, 0
	for i, u := range units {
		n, ok := index[sha256.Sum256(u.Data)]
		if !ok {
			t.Fatalf("unit %d of %d is no frame of the clip (%d bytes, key %v)", i, len(units), len(u.Data), u.Key)
		}
		if u.Key != c.Frames[n].Key || u.Key && (u.W != c.W || u.H != c.H) {
			t.Errorf("unit %d: key %v, %dx%d", i, u.Key, u.W, u.H)
		}
		if i > 0 {
			skipped := (n - at - 1 + len(c.Frames)) % len(c.Frames)
			ticks := u.RTP - units[i-1].RTP
			if ticks != int64(skipped+1)*c.Ticks {
				t.Errorf("unit %d comes %d ticks after the one before, and %d frames of %d", i, ticks, skipped+1, c.Ticks)
			}
			if skipped > 0 && u.Gap == 0 {
				t.Errorf("%d frames are missing before unit %d and nothing is said", skipped, i)
			}
			missing += skipped
		}
		at = n
	}
	return missing
}
