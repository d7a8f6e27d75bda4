package livekit

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	lk "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"

	"tapedeck/internal/channel"
	"tapedeck/internal/channel/embedded"
	"tapedeck/internal/channel/livekit/sdk"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
	"tapedeck/internal/testkit/publish"
)

func TestUsersLeaveAndReturn(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{})
	clip := opus(3)
	p := enter(t, s.URL(), "42", publish.Spec{Audio: clip})
	r := record(t, configOf(t, s.URL()))
	heard := func(n int) func([]channel.Event) bool {
		return func(events []channel.Event) bool { return len(unitsOf(events, of("42", media.Opus))) >= n }
	}
	r.until("sound", heard(20))
	p.Leave()
	events := r.until("the leaving", func(events []channel.Event) bool { return has(events, "left 42 client") == 1 })
	n := len(unitsOf(events, of("42", media.Opus)))
	enter(t, s.URL(), "42", publish.Spec{Audio: clip})
	r.until("sound again", heard(n+20))
	// And once more while the one before is still there, as after a crash.
	enter(t, s.URL(), "42", publish.Spec{Audio: clip})
	events = r.until("the one who was replaced", func(events []channel.Event) bool {
		return has(events, "joined 42") == 3 && has(events, "started 42 opus") == 3
	})
	n = len(unitsOf(events, of("42", media.Opus)))
	r.until("sound of the third", heard(n+20))
	r.stop()
	events = r.all()
	checkLife(t, events)
	if has(events, "left 42 replaced") != 1 || has(events, "ended 42 opus") != 3 {
		t.Errorf("events: %s", summary(events))
	}
	ids := map[string]bool{}
	for _, ev := range events {
		if e, ok := ev.(channel.Started); ok {
			ids[e.Track.ID] = true
			units := unitsOf(events, func(tr *channel.Track) bool { return tr == e.Track })
			if missing := checkContent(t, clip, units); missing > 0 {
				t.Errorf("%d frames are missing", missing)
			}
			if len(units) > 0 && units[0].PTS < e.At-500_000 {
				t.Errorf("the first unit lies at %d µs, the track began at %d µs", units[0].PTS, e.At)
			}
		}
	}
	if len(ids) != 3 {
		t.Errorf("track IDs are %v", ids)
	}
}

func TestMute(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{})
	video, sound := h264(4), opus(4)
	p := enter(t, s.URL(), "7", publish.Spec{Video: []*publish.Clip{video}, Audio: sound})
	r := record(t, configOf(t, s.URL()))
	count := func(c media.Codec) int { return len(unitsOf(r.all(), of("7", c))) }
	r.until("media", func([]channel.Event) bool { return count(media.H264) > 15 && count(media.Opus) > 30 })
	p.Mute(channel.Camera, true)
	p.Mute(channel.Microphone, true)
	r.until("the mute", func(events []channel.Event) bool { return has(events, "muted 7") == 2 })
	<-time.After(1500 * time.Millisecond) // a mute has to last
	before := count(media.H264)
	p.Mute(channel.Camera, false)
	p.Mute(channel.Microphone, false)
	r.until("media again", func(events []channel.Event) bool {
		return has(events, "unmuted 7") == 2 && count(media.H264) > before+15
	})
	r.until("sound again", func([]channel.Event) bool { return count(media.Opus) > 100 })
	r.stop()
	events := r.all()
	checkLife(t, events)
	for codec, clip := range map[media.Codec]*publish.Clip{media.H264: video, media.Opus: sound} {
		var units []media.Unit
		for _, u := range unitsOf(events, of("7", codec)) {
			if len(u.Data) != 80 || !bytes.HasPrefix(u.Data, []byte{0xf8, 0xff, 0xfe, 0}) { // the server's silence
				units = append(units, u)
			}
		}
		longest := media.Time(0)
		for i := 1; i < len(units); i++ {
			if d := units[i].PTS - units[i-1].PTS; d > longest {
				longest = d
				was, is := frameOf(clip, units[i-1].Data), frameOf(clip, units[i].Data)
				// The content went on meanwhile, so the gap in it must be the gap in time.
				period := clip.Ticks * int64(len(clip.Frames)) * 1_000_000 / int64(codec.ClockRate())
				content := int64(is-was) * clip.Ticks * 1_000_000 / int64(codec.ClockRate())
				off := ((int64(d)-content)%period + period) % period
				if off = min(off, period-off); off > 150_000 {
					t.Errorf("%v: a gap of %d µs in time leaves %d µs of content", codec, d, off)
				}
			}
		}
		if longest < 1_200_000 || longest > 4_000_000 {
			t.Errorf("%v: the longest gap is %d µs", codec, longest)
		}
	}
}

func TestTheRecorderIsInvisible(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{})
	sdk.Prepare()
	seen := make(chan string, 10)
	recording := make(chan bool, 10)
	cb := lksdk.NewRoomCallback()
	cb.OnParticipantConnected = func(rp *lksdk.RemoteParticipant) { seen <- rp.Identity() }
	cb.OnRecordingStatusChanged = func(on bool) { recording <- on }
	token, err := publish.Token(key, secret, "room", "watcher", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	room, err := lksdk.ConnectToRoomWithToken(s.URL(), token, cb, lksdk.WithLogger(sdk.Logger(nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer room.Disconnect()
	r := record(t, configOf(t, s.URL()))
	r.until("the watcher", func(events []channel.Event) bool { return has(events, "joined watcher") == 1 })
	other := configOf(t, s.URL())
	if other.Room.Token, err = MintToken(key, secret, "room", "rec-2", time.Hour); err != nil {
		t.Fatal(err)
	}
	r2 := record(t, other)
	r2.until("the watcher", func(events []channel.Event) bool { return has(events, "joined watcher") == 1 })
	enter(t, s.URL(), "5", publish.Spec{})
	r.until("a user", func(events []channel.Event) bool { return has(events, "joined 5") == 1 })
	select {
	case on := <-recording:
		if !on {
			t.Error("clients are told that nothing is recorded")
		}
	case <-time.After(patient):
		t.Error("clients are not told that the room is recorded")
	}
	if who := <-seen; who != "5" {
		t.Errorf("the watcher sees %s", who)
	}
	for _, rp := range room.GetRemoteParticipants() {
		if rp.Identity() != "5" {
			t.Errorf("the watcher finds %s", rp.Identity())
		}
	}
	r.stop()
	if has(r.all(), "joined rec-2")+has(r.all(), "joined rec-1") != 0 {
		t.Errorf("recorders see each other: %s", summary(r.all()))
	}
}

// visibleRecorder joins as a recorder of somebody else that is not hidden.
func TestOtherRecordersAreNoUsers(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{})
	sdk.Prepare()
	token, err := auth.NewAccessToken(key, secret).SetIdentity("egress").SetKind(lk.ParticipantInfo_EGRESS).
		SetVideoGrant(&auth.VideoGrant{RoomJoin: true, Room: "room"}).ToJWT()
	if err != nil {
		t.Fatal(err)
	}
	p, err := publish.Join(context.Background(), s.URL(), token, publish.Spec{Audio: opus(5)})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Leave()
	r := record(t, configOf(t, s.URL()))
	enter(t, s.URL(), "5", publish.Spec{Audio: opus(6)})
	r.until("a user", func(events []channel.Event) bool { return len(unitsOf(events, of("5", media.Opus))) > 5 })
	r.stop()
	if has(r.all(), "joined egress")+has(r.all(), "started egress opus") != 0 {
		t.Errorf("events: %s", summary(r.all()))
	}
}

func TestSubscriptionFollowsTheLists(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{})
	one, two := opus(7), opus(8)
	enter(t, s.URL(), "1", publish.Spec{Audio: one, Video: []*publish.Clip{h264(7)}})
	enter(t, s.URL(), "2", publish.Spec{Audio: two})
	cfg := configOf(t, s.URL())
	cfg.Streams = session.AudioOnly
	cfg.Subscription.Audio = session.UIDList{Allow: []uint32{1}}
	r := record(t, cfg)
	r.until("sound of 1", func(events []channel.Event) bool { return len(unitsOf(events, of("1", media.Opus))) > 10 })
	if events := r.all(); has(events, "joined 2") != 1 || has(events, "started 2 opus") != 0 || has(events, "started 1 h264") != 0 {
		t.Errorf("events: %s", summary(events))
	}
	r.src.SetSubscription(session.Subscription{Audio: session.UIDList{All: true, Deny: []uint32{1}}})
	r.until("the change", func(events []channel.Event) bool {
		return has(events, "ended 1 opus") == 1 && len(unitsOf(events, of("2", media.Opus))) > 10
	})
	r.src.SetSubscription(everybody())
	r.until("sound of 1 again", func(events []channel.Event) bool {
		return has(events, "started 1 opus") == 2 && has(events, "ended 1 opus") == 1
	})
	n := len(unitsOf(r.all(), of("1", media.Opus)))
	r.until("more sound of 1", func(events []channel.Event) bool { return len(unitsOf(events, of("1", media.Opus))) > n+10 })
	r.stop()
	checkLife(t, r.all())
	if has(r.all(), "started 1 h264") != 0 {
		t.Error("pictures were subscribed")
	}
}

func TestSimulcastLayersFollowTheSize(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{})
	layers := []*publish.Clip{vp8(1, 160, 90), vp8(2, 320, 180), vp8(3, 640, 360)}
	enter(t, s.URL(), "1", publish.Spec{Video: layers})
	r := record(t, configOf(t, s.URL()))
	low := configOf(t, s.URL())
	low.LowStream = true
	var err error
	if low.Room.Token, err = MintToken(key, secret, "room", "rec-low", time.Hour); err != nil {
		t.Fatal(err)
	}
	r2 := record(t, low)
	widthIs := func(r *recording, w int) {
		t.Helper()
		from := len(r.all())
		r.until("a key frame of another size", func(events []channel.Event) bool {
			units := unitsOf(events[from:], of("1", media.VP8))
			for i := len(units) - 1; i >= 0; i-- {
				if units[i].Key {
					return units[i].W == w
				}
			}
			return false
		})
	}
	widthIs(r, 640)
	widthIs(r2, 160)
	var tr *channel.Track
	for _, ev := range r.all() {
		if e, ok := ev.(channel.Started); ok {
			tr = e.Track
		}
	}
	r.src.SetSize(tr, 160, 90)
	widthIs(r, 160)
	r.src.SetSize(tr, 300, 170)
	widthIs(r, 320)
	r.src.SetSize(tr, 0, 0)
	widthIs(r, 640)
	r.stop()
	r2.stop()
	checkLife(t, r.all())
	for _, u := range unitsOf(r2.all(), of("1", media.VP8)) {
		if u.Key && u.W != 160 {
			t.Errorf("the low stream is %d pixels wide", u.W)
		}
	}
	for _, st := range r.src.Stats() {
		if st.Lost != 0 {
			t.Errorf("stats %+v", st)
		}
	}
}
