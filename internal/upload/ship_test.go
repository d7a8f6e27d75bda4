package upload_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/stores"
	"tapedeck/internal/upload"
	"tapedeck/internal/upload/vendor"
)

func target(s *stores.Server) session.Target {
	return session.Target{Vendor: 1, Bucket: bucket, AccessKey: s.AccessKey, SecretKey: s.SecretKey}
}

// remoteStore opens a real server the way the service does: vendor 1 with an
// endpoint of the app's configuration.
func remoteStore(t testing.TB, s *stores.Server, tgt session.Target) vendor.Store {
	t.Helper()
	st, err := upload.OpenStore(tgt, upload.Rules{Endpoints: upload.Endpoints{"1": s.Endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// TestShip follows a journal that grows, to its end.
func TestShip(t *testing.T) {
	run := func(t *testing.T, st vendor.Store) {
		dir := newSpool(t)
		g := newGuard(t, st)
		s := start(t, dir, g, nil) // before the worker has written anything
		w := newWorker(t, dir)
		for n := range 10 {
			w.slice("1")
			w.slice("2")
			if n == 4 {
				// 10 slices and 2 playlists; each playlist by its newest content.
				p := s.until("the first half", func(p upload.Progress) bool { return p.Uploaded == 12 && p.Waiting == 0 })
				if p.Done() || p.Ended || p.SliceStart != zero/1000 || len(p.Files) != 2 {
					t.Errorf("in the middle: %+v", p)
				}
			}
		}
		w.mp4(0, 3<<20)
		w.end()
		p := s.finish()
		verify(t, dir, g)
		if !p.Done() || p.Uploaded != 23 || p.Lost != 0 || p.LastError != nil {
			t.Errorf("at the end: %+v", p)
		}
		want := []session.File{
			{Name: prefix + sid + "_ch__uid_s_1__uid_e_video.m3u8", Track: "video", UID: "1", Playable: true, StartMilli: zero / 1000},
			{Name: prefix + sid + "_ch__uid_s_2__uid_e_video.m3u8", Track: "video", UID: "2", Playable: true, StartMilli: zero / 1000},
			{Name: prefix + sid + "_ch_0.mp4", Track: "audio_and_video", UID: "0", Mixed: true, Playable: true, StartMilli: zero / 1000},
		}
		if !slices.Equal(p.Files, want) {
			t.Errorf("files %+v", p.Files)
		}

		// Shipping what is shipped already touches nothing and tells the same.
		before := len(g.order())
		again := start(t, dir, g, nil).finish()
		if len(g.order()) != before || again.Uploaded != 23 || !slices.Equal(again.Files, want) {
			t.Errorf("shipped again: %d puts, %+v", len(g.order())-before, again)
		}
	}
	t.Run("local", func(t *testing.T) { run(t, localStore(t)) })
	t.Run("versitygw", func(t *testing.T) {
		server := stores.VersityGW(t)
		server.MakeBucket(bucket)
		run(t, remoteStore(t, server, target(server)))
	})
}

// TestStoreDown kills the store in the middle, lets it hang, and brings it back.
func TestStoreDown(t *testing.T) {
	server := stores.VersityGW(t)
	server.MakeBucket(bucket)
	dir := newSpool(t)
	g := newGuard(t, remoteStore(t, server, target(server)))
	s := start(t, dir, g, nil)
	w := newWorker(t, dir)
	for range 5 {
		w.slice("1")
	}
	s.until("the first slices", func(p upload.Progress) bool { return p.Uploaded >= 2 })
	server.Kill()
	for range 5 {
		w.slice("1")
	}
	p := s.until("a failure", func(p upload.Progress) bool { return p.LastError != nil && p.Waiting > 0 })
	if p.Fault != vendor.Destination {
		t.Errorf("fault of %s: %v", p.Fault, p.LastError)
	}
	for range 5 {
		w.slice("2")
	}
	server.Start()
	s.until("the way back", func(p upload.Progress) bool { return p.LastError == nil && p.Uploaded >= 10 })
	server.Hang()
	w.mp4(0, 20<<20)
	w.end()
	server.Resume()
	s.finish()
	verify(t, dir, g)
}

// TestCallersFault: a wrong key is told at once, without the key, is tried
// again, and mended by new credentials.
func TestCallersFault(t *testing.T) {
	server := stores.VersityGW(t)
	server.MakeBucket(bucket)
	wrong := target(server)
	wrong.SecretKey = "a-wrong-secret-0123456789"
	wrong.STSToken = "a-session-token-0123456789"
	dir := newSpool(t)
	w := newWorker(t, dir)
	w.slice("1")
	w.end()
	var log bytes.Buffer
	s := start(t, dir, remoteStore(t, server, wrong), func(c *upload.Config) {
		c.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	p := s.until("the fault", func(p upload.Progress) bool { return p.LastError != nil })
	if p.Fault != vendor.Caller || len(p.Files) != 0 || p.Uploaded != 0 {
		t.Errorf("fault of %s: %+v", p.Fault, p)
	}
	s.SetStore(remoteStore(t, server, target(server)))
	done := s.finish()
	verify(t, dir, remoteStore(t, server, target(server)))
	if done.LastError != nil {
		t.Errorf("after it was mended: %v", done.LastError)
	}
	for _, secret := range []string{wrong.SecretKey, wrong.STSToken} {
		if strings.Contains(log.String(), secret) || strings.Contains(p.LastError.Error(), secret) {
			t.Errorf("a credential was told: %v\n%s", p.LastError, log.String())
		}
	}
	if !strings.Contains(log.String(), `"fault":"caller"`) {
		t.Errorf("the log does not say whose fault it is: %s", log.String())
	}
}

// TestPatientPlaylist: a playlist's content is put as soon as its own slices
// are there, even while later slices wait.
func TestPatientPlaylist(t *testing.T) {
	dir := newSpool(t)
	slow := hold(localStore(t), "00000001.ts")
	g := newGuard(t, slow)
	w := newWorker(t, dir)
	w.slice("1")
	s := start(t, dir, g, nil)
	s.until("the first slice and its playlist", func(p upload.Progress) bool { return p.Uploaded == 2 })
	w.slice("1") // its slice does not get through
	<-slow.held
	w.slice("1")
	s.until("the third slice", func(p upload.Progress) bool { return p.Uploaded >= 2 && p.Waiting == 2 })
	if n := count(g.order(), ".m3u8"); n != 1 {
		t.Errorf("%d playlists were put while a slice was missing", n)
	}
	close(slow.release)
	w.end()
	s.finish()
	verify(t, dir, g)
}

func count(keys []string, suffix string) (n int) {
	for _, k := range keys {
		if strings.HasSuffix(k, suffix) {
			n++
		}
	}
	return n
}

// holding delays the PUTs of one file.
type holding struct {
	vendor.Store
	match   string
	held    chan struct{}
	release chan struct{}
}

func hold(st vendor.Store, match string) *holding {
	return &holding{Store: st, match: match, held: make(chan struct{}, 100), release: make(chan struct{})}
}

func (h *holding) Put(ctx context.Context, o vendor.Object, body io.ReaderAt) (string, error) {
	if strings.HasSuffix(o.Key, h.match) {
		h.held <- struct{}{}
		select {
		case <-h.release:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	return h.Store.Put(ctx, o, body)
}

// TestOrder: when everything waits, slices go first and MP4s last, one by one.
func TestOrder(t *testing.T) {
	dir := newSpool(t)
	w := newWorker(t, dir)
	w.mp4(0, 100)
	w.mp4(1, 100)
	w.slice("1")
	w.slice("1")
	w.end()
	g := newGuard(t, localStore(t))
	start(t, dir, g, func(c *upload.Config) { c.Parallel = 1 }).finish()
	var got []string
	for _, k := range g.order() {
		got = append(got, filepath.Ext(k))
	}
	if want := []string{".ts", ".ts", ".m3u8", ".mp4", ".mp4"}; !slices.Equal(got, want) {
		t.Errorf("order %v", got)
	}
}

// TestLostAndDamaged: a file that the disk lost or damaged does not keep the
// rest, and is told.
func TestLostAndDamaged(t *testing.T) {
	dir := newSpool(t)
	w := newWorker(t, dir)
	for range 4 {
		w.slice("1")
	}
	name := func(n int) string {
		return sid + "_ch__uid_s_1__uid_e_video_0000000000000000" + string(rune('0'+n)) + ".ts"
	}
	if err := os.Remove(dir.FilePath(name(1))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir.FilePath(name(2)), []byte("shorter"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(dir.FilePath(name(3)))
	if err != nil {
		t.Fatal(err)
	}
	b[500] ^= 1
	if err := os.WriteFile(dir.FilePath(name(3)), b, 0o600); err != nil {
		t.Fatal(err)
	}
	w.end()
	g := newGuard(t, localStore(t))
	g.lost[name(1)] = true
	p := start(t, dir, g, nil).finish()
	if p.Lost != 1 || p.Uploaded != 4 || !p.Done() {
		t.Errorf("%+v", p)
	}
	receipts, err := dir.ReadReceipts()
	if err != nil {
		t.Fatal(err)
	}
	state := map[string]string{}
	for _, r := range receipts {
		state[r.Name] = r.State + " " + r.Note
		if r.State == spool.ReceiptUploaded && read(t, g, r.Key) != r.SHA256 {
			t.Errorf("%s: the receipt is for other content", r.Name)
		}
	}
	damaged := "uploaded the file in the spool is not what was closed"
	for n, want := range []string{"uploaded ", "refused not in the spool", damaged, damaged} {
		if state[name(n)] != want {
			t.Errorf("slice %d: %q", n, state[name(n)])
		}
	}
	// The next start knows it all.
	if p := start(t, dir, g, nil).finish(); p.Lost != 1 || p.Uploaded != 4 {
		t.Errorf("again: %+v", p)
	}
}

// TestUnhashedMP4: a file too large to be hashed when it was closed.
func TestUnhashedMP4(t *testing.T) {
	dir := newSpool(t)
	w := newWorker(t, dir)
	f := w.file(sid+"_ch_0.mp4", 1<<20)
	sum := f.SHA256
	f.Kind, f.UID, f.SHA256, f.MD5 = spool.KindMP4, "0", "", ""
	w.append(f)
	w.end()
	st := localStore(t)
	for range 2 {
		if p := start(t, dir, st, nil).finish(); p.Uploaded != 1 {
			t.Errorf("%+v", p)
		}
	}
	if got := read(t, st, prefix+f.Name); got != sum {
		t.Errorf("SHA-256 %s, want %s", got, sum)
	}
}

// TestHostileJournal: a journal is written by a process that decodes foreign
// media. Names that are none and files that are links ship nothing.
func TestHostileJournal(t *testing.T) {
	dir := newSpool(t)
	w := newWorker(t, dir)
	if err := dir.WriteSession("the sealed credentials"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../session.json", dir.FilePath("link.ts")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../session.json", "/etc/hostname", "", "a/b", "link.ts", ".."} {
		w.append(spool.Fact{Type: spool.FactClosed, Name: name, Kind: spool.KindSlice, Size: 5, SHA256: "aa"})
		w.append(spool.Fact{Type: spool.FactIndex, Name: name, Kind: spool.KindPlaylist})
	}
	w.slice("1")
	g := newGuard(t, localStore(t))
	s := start(t, dir, g, nil)
	s.until("the only real slice", func(p upload.Progress) bool { return p.Uploaded == 2 && p.LastError != nil })
	s.cancel()
	if err := <-s.done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
	for _, k := range g.order() {
		if !strings.HasPrefix(k, prefix+sid) {
			t.Errorf("%s was shipped", k)
		}
	}
}

// TestStop: Run ends with its context, in the middle of an upload too, and the
// receipts are free for the next.
func TestStop(t *testing.T) {
	dir := newSpool(t)
	w := newWorker(t, dir)
	w.slice("1")
	st := localStore(t)
	slow := hold(st, ".ts")
	s := start(t, dir, slow, nil)
	<-slow.held
	other := start(t, dir, slow, nil)
	if err := <-other.done; !errors.Is(err, spool.ErrBusy) {
		t.Errorf("a second shipper: %v", err)
	}
	s.cancel()
	if err := <-s.done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
	w.end()
	start(t, dir, st, nil).finish()
	verify(t, dir, st)
}
