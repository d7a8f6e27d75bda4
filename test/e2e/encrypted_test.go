package e2e

import (
	"context"
	"crypto/sha256"
	be "encoding/binary"
	"fmt"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/publish"
	"tapedeck/internal/testkit/visitor"
)

// TestIndividualOfAnEncryptedRoom records what LiveKit's own client library
// encrypts in a real browser, together with pictures at an interval. Two of the
// three have names and not numbers, and one has another key.
func TestIndividualOfAnEncryptedRoom(t *testing.T) {
	s := serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	b, err := visitor.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	const salt = "thirty-two bytes, all of them ok"
	for _, v := range []visitor.Visitor{
		{Name: "alice", Codec: "h264", Passphrase: "the room's secret"},
		{Name: "102", Codec: "vp8", Passphrase: "the room's secret"},
		{Name: "mallory", Codec: "vp8", Passphrase: "something else"},
	} {
		v.URL, v.Encrypted, v.Salt, v.KeySize = s.Creds.LiveKitURL, true, salt, 256
		if v.Token, err = publish.Token(s.Creds.LiveKitKey, s.Creds.LiveKitSecret, "room", v.Name, time.Hour); err != nil {
			t.Fatal(err)
		}
		sends, err := b.Join(v)
		if err != nil {
			t.Fatal(err)
		}
		if len(sends) != 2 || !strings.HasSuffix(sends[0], "encrypted") || !strings.HasSuffix(sends[1], "encrypted") {
			t.Fatalf("%s sends %q", v.Name, sends)
		}
	}
	options := individualOptions("b", session.StreamStandard)
	options["recordingFileConfig"] = map[string]any{"avFileType": []string{"hls"}}
	options["snapshotConfig"] = map[string]any{"captureInterval": 5, "fileType": []string{"jpg"}}
	options["recordingConfig"].(map[string]any)["decryptionMode"] = 8
	options["recordingConfig"].(map[string]any)["secret"] = "the room's secret"
	options["recordingConfig"].(map[string]any)["salt"] = "dGhpcnR5LXR3byBieXRlcywgYWxsIG9mIHRoZW0gb2s="
	task := s.begin(session.Individual, "room", "900002", options)
	journal := filepath.Join(s.data, "spool", task.SID, "journal.log")
	s.eventually("the journal tells of the wrong key", 90*time.Second, func() bool {
		return strings.Count(journalOf(journal), `"status":1005`) == 2
	})
	if err := wait(ctx, 7*time.Second); err != nil {
		t.Fatal(err)
	}
	told := journalOf(journal)
	if _, err := s.Stop(ctx, task, false); err != nil {
		t.Fatal(err)
	}
	s.noWorkers()

	alice, mallory := numberOf("alice"), numberOf("mallory")
	for _, name := range []string{"alice", "mallory"} {
		if !strings.Contains(told, fmt.Sprintf(`"uid":"%d","identity":%q`, numberOf(name), name)) {
			t.Errorf("the journal does not say who %d is:\n%s", numberOf(name), told)
		}
	}
	dir := s.store("b")
	if left := filesOf(t, dir, mallory); len(left) > 0 {
		t.Errorf("of somebody with another key there are %v", left)
	}
	for _, uid := range []uint32{alice, 102} {
		visited(t, dir, uid)
	}
}

func journalOf(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// numberOf is the uid of an identity that is no number (docs/formats/identities.md).
func numberOf(identity string) uint32 {
	sum := sha256.Sum256([]byte(identity))
	return be.BigEndian.Uint32(sum[:])
}

// filesOf lists the stored files of a user.
func filesOf(t *testing.T, dir string, uid uint32) []string {
	t.Helper()
	var names []string
	for _, path := range stored(t, dir) {
		if strings.Contains(path, fmt.Sprintf("__uid_s_%d__", uid)) {
			names = append(names, path)
		}
	}
	return names
}

// visited judges the files of a visitor by what they show and sound like.
func visited(t *testing.T, dir string, uid uint32) {
	t.Helper()
	var pictures, sounds, shots []string
	for _, path := range filesOf(t, dir, uid) {
		switch {
		case strings.HasSuffix(path, ".jpg"):
			shots = append(shots, path)
		case strings.Contains(path, "uid_e_video_"):
			pictures = append(pictures, path)
		case strings.Contains(path, "uid_e_audio_"):
			sounds = append(sounds, path)
		}
	}
	if len(pictures) == 0 || len(sounds) == 0 || len(shots) < 2 {
		t.Fatalf("%d: %d slices of picture, %d of sound, %d pictures", uid, len(pictures), len(sounds), len(shots))
	}
	flashes, frames := 0, 0
	for _, path := range pictures {
		w, err := probe.Watch(t.Context(), []probe.Segment{{Path: path}})
		if err != nil {
			t.Fatal(err)
		}
		if len(w.Warnings) > 0 {
			t.Errorf("%s: %v", filepath.Base(path), w.Warnings)
		}
		flashes += len(w.Flashes(0))
		frames += len(w.Frames)
		coloured := 0
		for _, f := range w.Frames {
			if r, g, b := f.Sight[0].RGB(); close3(r, g, b) {
				coloured++
			}
			if f.Sight[0].Void > 0.01 {
				t.Errorf("%s: a green picture at %v", filepath.Base(path), f.At)
			}
		}
		if coloured*10 < len(w.Frames)*7 {
			t.Errorf("%s: %d of %d pictures have the visitor's colour", filepath.Base(path), coloured, len(w.Frames))
		}
	}
	w, err := probe.Watch(t.Context(), []probe.Segment{probe.Concat(sounds)})
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Warnings) > 0 {
		t.Errorf("sound of %d: %v", uid, w.Warnings)
	}
	beeps := len(w.Beeps(visitor.Tone))
	t.Logf("%d: %d pictures, %d flashes, %d beeps, %d snapshots", uid, frames, flashes, beeps, len(shots))
	if flashes < 1 || beeps < 2 || frames < 15 { // a busy machine's browser sends few pictures
		t.Errorf("%d: %d pictures, %d flashes, %d beeps", uid, frames, flashes, beeps)
	}
	for _, path := range shots {
		snapped(t, path)
	}
}

// close3 tells the visitors' colour.
func close3(r, g, b float64) bool {
	const limit = 25
	return math.Abs(r-visitor.Red) < limit && math.Abs(g-visitor.Green) < limit && math.Abs(b-visitor.Blue) < limit
}

// snapped judges a snapshot: the colour, or the white of a flash.
func snapped(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	img, err := jpeg.Decode(f)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	size := img.Bounds().Size()
	r, g, b, _ := img.At(size.X/2, size.Y/2).RGBA()
	white := r>>8 > 225 && g>>8 > 225 && b>>8 > 225
	if !white && !close3(float64(r>>8), float64(g>>8), float64(b>>8)) || size.X*9 != size.Y*16 {
		t.Errorf("%s is %v and shows %d %d %d", filepath.Base(path), size, r>>8, g>>8, b>>8)
	}
}
