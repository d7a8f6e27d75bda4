package livekit

import (
	"strings"
	"testing"
	"time"

	lksdk "github.com/livekit/server-sdk-go/v2"
	sdke2ee "github.com/livekit/server-sdk-go/v2/e2ee"

	"tapedeck/internal/channel"
	"tapedeck/internal/channel/embedded"
	"tapedeck/internal/channel/livekit/e2ee"
	"tapedeck/internal/media"
	"tapedeck/internal/testkit/publish"
)

// sealer encrypts with LiveKit's own Go library.
func sealer(t testing.TB, passphrase string) func(media.Codec, []byte) ([]byte, error) {
	t.Helper()
	k, err := lksdk.DeriveKeyFromString(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	return func(c media.Codec, frame []byte) ([]byte, error) {
		if c == media.H264 {
			return sdke2ee.EncryptGCMH264Sample(frame, k, 0)
		}
		return lksdk.EncryptGCMAudioSample(frame, k, 0)
	}
}

func TestEncryptedRooms(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{})
	video, sound := h264(1), opus(1)
	enter(t, s.URL(), "1", publish.Spec{Video: []*publish.Clip{video}, Audio: sound, Seal: sealer(t, "room key")})
	enter(t, s.URL(), "2", publish.Spec{Video: []*publish.Clip{h264(2)}, Audio: opus(2), Seal: sealer(t, "their own key")})
	open := opus(3)
	enter(t, s.URL(), "3", publish.Spec{Audio: open}) // not encrypted
	cfg := configOf(t, s.URL())
	cfg.Encryption = Encryption{Mode: e2ee.AES128GCM, Secret: "room key"}
	without := configOf(t, s.URL())
	var err error
	if without.Room.Token, err = MintToken(key, secret, "room", "rec-2", time.Hour); err != nil {
		t.Fatal(err)
	}
	r, r2 := record(t, cfg), record(t, without)
	r.until("everything that can be opened, and the word about the rest", func(events []channel.Event) bool {
		return len(unitsOf(events, of("1", media.H264))) > 60 && len(unitsOf(events, of("1", media.Opus))) > 100 &&
			sends(events, 0, "3", 50) && has(events, "warned 2 1005") == 2
	})
	r2.until("what is not encrypted", func(events []channel.Event) bool {
		return sends(events, 0, "3", 50) && has(events, "warned 1 1006") == 2 && has(events, "warned 2 1006") == 2
	})
	r.stop()
	r2.stop()
	events := r.all()
	checkLife(t, events)
	for codec, clip := range map[media.Codec]*publish.Clip{media.H264: video, media.Opus: sound} {
		if missing := checkContent(t, clip, unitsOf(events, of("1", codec))); missing > 0 {
			t.Errorf("%v: %d frames are missing", codec, missing)
		}
	}
	checkContent(t, open, unitsOf(events, of("3", media.Opus)))
	if n := len(unitsOf(events, func(tr *channel.Track) bool { return tr.User.Identity == "2" })); n > 0 {
		t.Errorf("%d units of somebody with another key are garbage", n)
	}
	for _, ev := range r2.all() {
		if e, ok := ev.(channel.Started); ok && e.Track.User.Identity != "3" {
			t.Errorf("without a key a track of %s was started", e.Track.User.Identity)
		}
	}
}

func TestAKeyThatCannotBeEndsAtOnce(t *testing.T) {
	cfg := configOf(t, "ws://127.0.0.1:1")
	cfg.Encryption = Encryption{Mode: 1, Secret: "x"}
	err := record(t, cfg).end()
	if err == nil || !strings.Contains(err.Error(), "decryptionMode 5") || !strings.Contains(err.Error(), string(channel.EndRefused)) {
		t.Errorf("Run returned %v", err)
	}
}
