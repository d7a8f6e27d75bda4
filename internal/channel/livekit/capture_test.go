package livekit

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"tapedeck/internal/channel/embedded"
	"tapedeck/internal/channel/livekit/e2ee"
	"tapedeck/internal/channel/livekit/sdk"
	"tapedeck/internal/media"
	"tapedeck/internal/media/codec"
	"tapedeck/internal/media/depacket"
	"tapedeck/internal/testkit/publish"
	"tapedeck/internal/testkit/visitor"
)

//nolint:gochecknoglobals // how the testing package takes flags
var capture = flag.Bool("capture", false, "let LiveKit's client library in a browser encrypt the frames of testdata/frames anew")

// specimen is what a browser sent, encrypted.
type specimen struct {
	Codec   string   `json:"codec"`
	Mode    int      `json:"mode"`
	Secret  string   `json:"secret"`
	Salt    string   `json:"salt,omitempty"`
	Trailer string   `json:"trailer"` // hex
	Frames  []string `json:"frames"`  // hex
}

const testSalt = "0123456789abcdefghijklmnopqrstuv" // 32 bytes

// specimens are the ways to encrypt that are captured.
func specimens() map[string]visitor.Visitor {
	raw := []byte("sixteen or more random bytes")
	return map[string]visitor.Visitor{
		"h264":    {Codec: "h264", Passphrase: "correct horse battery staple"},
		"vp8":     {Codec: "vp8", Passphrase: "correct horse battery staple"},
		"vp9":     {Codec: "vp9", Passphrase: "correct horse battery staple"},
		"aes256":  {Codec: "vp8", Passphrase: "geheim: ü", KeySize: 256},
		"salt":    {Codec: "vp8", Passphrase: "secret", Salt: testSalt},
		"salt256": {Codec: "h264", Passphrase: "secret", Salt: testSalt, KeySize: 256},
		"hkdf":    {Codec: "vp8", RawKey: raw},
		"ratchet": {Codec: "vp8", Passphrase: "secret"},
	}
}

func (s *specimen) of(v visitor.Visitor) {
	s.Mode, s.Secret, s.Salt = e2ee.AES128GCM, v.Passphrase, v.Salt
	if v.KeySize == 256 {
		s.Mode = e2ee.AES256GCM
	}
	if v.Salt != "" {
		s.Mode += 2
	}
	if v.RawKey != nil {
		s.Secret = string(v.RawKey)
	}
}

// TestFramesOfTheClientLibraryOpen opens frames that LiveKit's client library
// encrypted in a browser, and decodes them.
func TestFramesOfTheClientLibraryOpen(t *testing.T) {
	if *capture {
		captureAll(t)
	}
	paths, err := filepath.Glob("testdata/frames/*.json")
	if err != nil || len(paths) < 9 {
		t.Fatalf("%d captures: %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var s specimen
			if err := json.Unmarshal(b, &s); err != nil {
				t.Fatal(err)
			}
			s.check(t)
		})
	}
}

func (s *specimen) check(t *testing.T) {
	kind := codecOf(s.Codec)
	keys, err := e2ee.NewKeys(s.Mode, s.Secret, []byte(s.Salt))
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := e2ee.NewKeys(s.Mode, s.Secret+"x", []byte(s.Salt))
	if err != nil {
		t.Fatal(err)
	}
	o, other := e2ee.NewOpener(keys, kind, unhex(s.Trailer)), e2ee.NewOpener(wrong, kind, unhex(s.Trailer))
	var frames [][]byte
	for i, f := range s.Frames {
		sealed := unhex(f)
		before := bytes.Clone(sealed)
		var plain []byte
		for range 5 { // a ratcheted key is found step by step
			if plain, err = o.Open(sealed); err == nil {
				break
			}
		}
		if err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
		if !bytes.Equal(before, sealed) {
			t.Errorf("frame %d was changed", i)
		}
		frames = append(frames, plain)
		if i > 0 {
			continue
		}
		if _, err := other.Open(sealed); err == nil {
			t.Errorf("frame %d opens with another secret", i)
		}
		for _, at := range []int{0, len(sealed) / 2, len(sealed) - 5} {
			broken := bytes.Clone(sealed)
			broken[at] ^= 0x40
			if got, err := o.Open(broken); err == nil && !bytes.Equal(got, broken) {
				t.Errorf("frame %d opens with byte %d changed", i, at)
			}
		}
	}
	decodes(t, kind, frames)
}

// decodes lets a real decoder judge the frames.
func decodes(t *testing.T, kind media.Codec, frames [][]byte) {
	t.Helper()
	if !kind.Video() {
		d, err := codec.NewOpusDecoder(1)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		for i, f := range frames {
			if codec.OpusSamples(f) != 960 {
				t.Errorf("frame %d is no packet of 20 ms", i)
			}
			if _, err := d.Decode(f); err != nil {
				t.Errorf("frame %d: %v", i, err)
			}
		}
		return
	}
	d, err := codec.NewVideoDecoder(kind)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for i, f := range frames {
		if fresh, err := d.Decode(f); err != nil || !fresh {
			t.Errorf("frame %d of %d bytes: a picture: %v, %v", i, len(f), fresh, err)
		}
	}
	if w, h := d.Size(); w != 320 || h != 180 {
		t.Errorf("the pictures are %dx%d", w, h)
	}
}

// captureAll writes the captures. It needs a browser.
func captureAll(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	s := serve(t, embedded.Options{})
	b, err := visitor.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for name, v := range specimens() {
		v.Name, v.URL, v.Encrypted = name, s.URL(), true
		if v.Token, err = publish.Token(key, secret, "room", name, time.Hour); err != nil {
			t.Fatal(err)
		}
		sends, err := b.Join(v)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s sends %v", name, sends)
		if name == "ratchet" {
			for range 3 {
				if err := b.Ratchet(name); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second) //nolint:forbidigo // the worker of the library says nothing when it is done
			}
		}
		for kind, got := range listen(ctx, t, s.URL(), name) {
			if kind == "audio/opus" && name != "h264" {
				continue // once is enough
			}
			got.of(v)
			got.Codec = kind
			file := name
			if kind == "audio/opus" {
				file = "opus"
			}
			text, err := json.MarshalIndent(got, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join("testdata", "frames", file+".json"), append(text, '\n'), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Leave(name); err != nil {
			t.Fatal(err)
		}
	}
}

// listen takes some frames of a participant as they are sent: a key frame and
// what follows.
func listen(ctx context.Context, t *testing.T, url, from string) map[string]*specimen {
	t.Helper()
	const enough = 4
	sdk.Prepare()
	token, err := publish.Token(key, secret, "room", "listener", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	got := map[string]*specimen{}
	news := make(chan struct{}, 100)
	cb := lksdk.NewRoomCallback()
	cb.OnTrackSubscribed = func(remote *webrtc.TrackRemote, _ *lksdk.RemoteTrackPublication, rp *lksdk.RemoteParticipant) {
		if rp.Identity() != from {
			return
		}
		mime := strings.ToLower(remote.Codec().MimeType)
		stream, err := depacket.New(codecOf(mime), depacket.DefaultWait)
		if err != nil {
			return
		}
		stream.Encrypted(func(frame []byte) ([]byte, bool) {
			mu.Lock()
			defer mu.Unlock()
			s := got[mime]
			if s == nil {
				s = &specimen{}
				got[mime] = s
			}
			if len(s.Frames) < enough {
				s.Frames = append(s.Frames, hex.EncodeToString(frame))
				news <- struct{}{}
			}
			return nil, true
		})
		go func() {
			buf := make([]byte, 1600)
			for n, _, err := remote.Read(buf); err == nil; n, _, err = remote.Read(buf) {
				var p rtp.Packet
				if p.Unmarshal(bytes.Clone(buf[:n])) != nil {
					continue
				}
				now := time.Now()
				stream.Push(&p, now)
				for _, ok := stream.Next(now); ok; _, ok = stream.Next(now) {
				}
			}
		}()
	}
	room, err := lksdk.ConnectToRoomWithToken(url, token, cb, lksdk.WithLogger(sdk.Logger(nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer room.Disconnect()
	for {
		mu.Lock()
		done := len(got) == 2
		for _, s := range got {
			done = done && len(s.Frames) == enough
		}
		mu.Unlock()
		if done {
			break
		}
		select {
		case <-news:
		case <-ctx.Done():
			t.Fatal("no frames")
		}
	}
	for _, s := range got {
		s.Trailer = hex.EncodeToString(room.SifTrailer())
	}
	return got
}
