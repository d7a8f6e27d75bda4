package livekit

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/channel/embedded"
	"tapedeck/internal/media"
	"tapedeck/internal/media/timing"
	"tapedeck/internal/testkit/publish"
)

func TestUserIDs(t *testing.T) {
	n := names{byIdentity: map[string]channel.User{}, taken: map[uint32]bool{}}
	for _, c := range []struct {
		identity string
		uid      uint32 // 0: any but a collision
		mapped   bool
	}{
		{"1", 1, false},
		{"4294967295", 4294967295, false},
		{"alice", 0x2bd806c9, true}, // printf alice | sha256sum
		{"0", 0x5feceb66, true},
		{"4294967296", 0, true},
		{"007", 0, true},
		{"+7", 0, true},
		{"-1", 0, true},
		{"1.0", 0, true},
		{"", 0, true},
		{"１", 0, true}, // a full-width digit
	} {
		u := n.user(c.identity)
		if u.UID == 0 || c.uid != 0 && u.UID != c.uid || u.Mapped != c.mapped || u.Identity != c.identity {
			t.Errorf("%q is %+v", c.identity, u)
		}
		if again := n.user(c.identity); again != u {
			t.Errorf("%q is %+v, then %+v", c.identity, u, again)
		}
	}
	// Whoever comes later gives way.
	n = names{byIdentity: map[string]channel.User{}, taken: map[uint32]bool{0x2bd806c9: true}}
	if u := n.user("alice"); u.UID == 0x2bd806c9 || !u.Mapped {
		t.Errorf("a collision gives %+v", u)
	}
	if u := n.user(strconv.Itoa(0x2bd806c9)); u.UID == 0x2bd806c9 || !u.Mapped {
		t.Errorf("a collision of a number gives %+v", u)
	}
}

func TestExpiryOfTokens(t *testing.T) {
	now := time.Now()
	token, err := MintToken(key, secret, "room", "rec", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if expired(token, now) || !expired(token, now.Add(2*time.Minute)) {
		t.Error("the expiry is misread")
	}
	for _, s := range []string{"", "a.b", "a.b.c", "a.e30.c", "...."} {
		if expired(s, now) {
			t.Errorf("%q is taken for expired", s)
		}
	}
}

func TestAFullQueueDropsPicturesBeforeSoundAndNothingElse(t *testing.T) {
	q := newQueue()
	picture := &channel.Track{ID: "v", Codec: media.VP8}
	sound := &channel.Track{ID: "a", Codec: media.Opus}
	taken := 0
	for range maxVideo + 10 {
		if q.push(channel.Media{Track: picture, Unit: media.Unit{Data: make([]byte, 10)}}) {
			taken++
		}
	}
	if taken != maxVideo {
		t.Errorf("%d pictures are taken", taken)
	}
	if !q.push(channel.Media{Track: sound}) || !q.push(channel.Ended{Track: picture}) {
		t.Error("sound or news is dropped with the pictures")
	}
	if v, a := q.drops(); v != 10 || a != 0 {
		t.Errorf("%d and %d are counted", v, a)
	}
	if n := len(q.take()); n != maxVideo+2 {
		t.Errorf("%d events wait", n)
	}
	big := channel.Media{Track: picture, Unit: media.Unit{Data: make([]byte, maxBytes/4+1)}}
	for i := range 4 {
		if ok := q.push(big); ok != (i < 3) {
			t.Errorf("picture %d: %v", i, ok)
		}
	}
}

// A receiver that stands still for a while loses nothing that fits the queue,
// and goes on with a key frame.
func TestASlowReceiver(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{})
	clip, sound := h264(41), opus(41)
	enter(t, s.URL(), "1", publish.Spec{Video: []*publish.Clip{clip}, Audio: sound})
	r := record(t, configOf(t, s.URL()))
	pause, once := make(chan struct{}), false
	r.mu.Lock()
	r.slow = func(ev channel.Event) {
		if m, ok := ev.(channel.Media); ok && m.Unit.Codec == media.H264 && !once {
			once = true
			<-pause
		}
	}
	r.mu.Unlock()
	r.until("a picture", func(events []channel.Event) bool { return len(unitsOf(events, of("1", media.H264))) > 0 })
	<-time.After(time.Second) // the receiver has to stand still
	close(pause)
	r.until("the rest", func(events []channel.Event) bool { return len(unitsOf(events, of("1", media.H264))) > 40 })
	r.stop()
	checkLife(t, r.all())
	if missing := checkContent(t, clip, unitsOf(r.all(), of("1", media.H264))); missing > 0 {
		t.Errorf("%d frames are missing", missing)
	}
	if v, a := r.src.Dropped(); v+a > 0 {
		t.Errorf("%d pictures and %d packets of sound were dropped", v, a)
	}
}

func TestKeyFramesAreAskedForUntilOneComesOnceASecond(t *testing.T) {
	now := time.Now()
	asked := 0
	cfg := Config{Now: func() time.Time { return now }, Clock: timing.NewClock(now, time.Now)}
	s := New(cfg)
	tr := &track{
		v: &visit{s: s, joined: true}, person: &person{}, public: &channel.Track{Codec: media.H264},
		clock: timing.NewSender(cfg.Clock).Track(media.H264), pli: func() { asked++ },
	}
	for range 5 {
		tr.requestKey()
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	for range 40 { // the reader's loop: 10 s
		now = now.Add(250 * time.Millisecond)
		tr.askKey(now)
	}
	if asked != 11 {
		t.Errorf("asked %d times in ten seconds", asked)
	}
	tr.deliver(media.Unit{Codec: media.H264, Key: true, Data: []byte{1}})
	now = now.Add(10 * time.Second)
	tr.askKey(now)
	if asked != 11 {
		t.Error("a key frame came and another one is asked for")
	}
	tr.deliver(media.Unit{Codec: media.H264, Gap: 1, RTP: 3000, Data: []byte{1}})
	if asked != 12 {
		t.Error("none is asked for after a loss")
	}
	if got := len(s.queue.take()); got != 2 {
		t.Errorf("%d units were delivered", got)
	}
	sound := &track{v: tr.v, public: &channel.Track{Codec: media.Opus}, pli: func() { t.Error("a key frame of sound is asked for") }}
	sound.requestKey()
}

func TestAddressesAreShownWithoutSecrets(t *testing.T) {
	for in, want := range map[string]string{
		"wss://u:p@lk.example:7880/x?access_token=eyJhbGciOi.eyJ.x": "wss://lk.example:7880/x",
		"ws://127.0.0.1:7880": "ws://127.0.0.1:7880",
		"ws://%zz":            "(unreadable URL)",
	} {
		if got := redacted(in); got != want {
			t.Errorf("%s is shown as %s", in, got)
		}
	}
	if got := strings.Count(configOf(t, "ws://x").Room.Token, "."); got != 2 {
		t.Errorf("a token has %d dots", got)
	}
}
