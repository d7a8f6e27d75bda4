package recorder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/samples"
	"tapedeck/internal/upload"
	"tapedeck/internal/upload/local"
)

// TestEncryptedSpool records into an encrypted folder, is killed, goes on and
// is shipped. At no moment a file of the folder has a byte of the media in the
// clear, and what arrives is what a plain folder would have given.
func TestEncryptedSpool(t *testing.T) {
	t.Parallel()
	key := []byte("0123456789abcdef0123456789abcdef")
	set := samples.H264(t)
	root := t.TempDir()
	before := sealedDeck(t, root, shortPlan(session.StreamDefault), key)
	var s scene
	s.user(7, "a", set, 1*sec, 30*sec)
	before.play(&s, 0, 10*sec)
	before.await(before.index(7, typeVideo), 9*sec, 4096+16+bytesOf(set.Video, 9*sec, 10*sec-network))
	before.await(before.index(7, typeAudio), 4_900_000, 4096+16+14_000)
	noMedia(t, before.dir.Path(), set)
	dir, err := snapshot(t, before.dir).WithKey(key)
	if err != nil {
		t.Fatal(err)
	}
	noMedia(t, dir.Path(), set)
	before.drop()

	after := before.resume(dir)
	var again scene
	again.user(7, "c", set, 13*sec, 20*sec)
	after.play(&again, 10*sec, 21*sec)
	after.finish()
	noMedia(t, dir.Path(), set)

	arrived := shipAll(t, dir)
	noMedia(t, dir.Path(), set)
	found := false
	for _, f := range after.facts() {
		if f.Type != spool.FactClosed {
			continue
		}
		b, err := os.ReadFile(filepath.Join(arrived, f.Name))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		if f.SHA256 != hex.EncodeToString(sum[:]) || f.Size != int64(len(b)) {
			t.Errorf("%s arrived as other bytes than were closed", f.Name)
		}
		found = found || hasMedia(b, set)
	}
	if !found {
		t.Error("the search finds no media where there is some")
	}
	judge(t, after, dir, arrived)
}

// judge looks at what arrived as at any recording.
func judge(t *testing.T, d *deck, from *spool.Dir, arrived string) {
	t.Helper()
	plain, err := spool.Create(t.TempDir(), from.SID())
	if err != nil {
		t.Fatal(err)
	}
	journal, err := os.ReadFile(filepath.Join(from.Path(), "journal.log"))
	if err == nil {
		err = os.WriteFile(filepath.Join(plain.Path(), "journal.log"), journal, 0o600)
	}
	if err == nil {
		err = os.CopyFS(filepath.Join(plain.Path(), "files"), os.DirFS(arrived))
	}
	if err != nil {
		t.Fatal(err)
	}
	d.dir = plain
	d.check()
	video := d.playlist(d.index(7, typeVideo))
	times(t, "pictures begin", d.starts(video), time.Second, 13*time.Second)
	inSync(t, d.watch(d.index(7, typeVideo), d.index(7, typeAudio)), samples.ToneH264, 12)
}

func sealedDeck(t *testing.T, root string, plan session.Plan, key []byte) *deck {
	t.Helper()
	dir, err := spool.Create(root, plan.SID)
	if err == nil {
		dir, err = dir.WithKey(key)
	}
	if err != nil {
		t.Fatal(err)
	}
	d := &deck{t: t, plan: plan, tape: newTape(), dir: dir}
	d.start()
	return d
}

// shipAll uploads a recording into a folder and returns it.
func shipAll(t *testing.T, dir *spool.Dir) string {
	t.Helper()
	root := t.TempDir()
	store, err := local.New(root, "bucket")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := upload.New(upload.Config{Dir: dir, Store: store, Poll: 10 * time.Millisecond}).Run(ctx); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "bucket")
}

// noMedia fails the test when a file of the folder has media, or lists it, in
// the clear.
func noMedia(t *testing.T, folder string, set samples.Set) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "files", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		f, err := os.Open(path)
		if os.IsNotExist(err) {
			continue // it got its final name
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		if hasMedia(b, set) || strings.Contains(string(b), "#EXT") {
			t.Errorf("%s is in the clear", filepath.Base(path))
		}
	}
}

// hasMedia reports whether b has a piece of one of the pictures, or the sync
// bytes of three packets of a transport stream.
func hasMedia(b []byte, set samples.Set) bool {
	if len(b) > 2*188 && b[0] == 0x47 && b[188] == 0x47 && b[2*188] == 0x47 {
		return true
	}
	for _, u := range set.Video {
		if n := len(u.Data); n > 64 && bytes.Contains(b, u.Data[n-32:n-8]) {
			return true
		}
	}
	return false
}
