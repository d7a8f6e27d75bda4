package upload_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/upload"
	"tapedeck/internal/upload/local"
	"tapedeck/internal/upload/vendor"
)

const (
	sid    = "0123456789abcdef0123456789abcdef"
	bucket = "recordings"
	prefix = "d1/d2/"
	zero   = int64(1_700_000_000_000_000) // Unix µs
)

// quick is a backoff for tests.
func quick() upload.Backoff {
	return upload.Backoff{First: time.Millisecond, FirstCaller: 2 * time.Millisecond, Max: 20 * time.Millisecond}
}

// worker writes a recording the way a worker does: slice, fact, playlist, fact.
type worker struct {
	t     testing.TB
	dir   *spool.Dir
	j     *spool.Journal
	n     int
	lists map[string]string // playlist → content so far
	rnd   *rand.Rand
}

func newWorker(t testing.TB, dir *spool.Dir) *worker {
	t.Helper()
	j, _, err := dir.OpenJournal(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{t: t, dir: dir, j: j, lists: map[string]string{}, rnd: rand.New(rand.NewPCG(1, 2))}
	t.Cleanup(func() { _ = j.Close() })
	w.append(spool.Fact{Type: spool.FactOpened, Version: 1, SID: sid, Incarnation: 1, ZeroMicro: zero})
	return w
}

func newSpool(t testing.TB) *spool.Dir {
	t.Helper()
	d, err := spool.Create(filepath.Join(t.TempDir(), "spool"), sid)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (w *worker) append(f spool.Fact) {
	w.t.Helper()
	if err := w.j.Append(f); err != nil {
		w.t.Fatal(err)
	}
}

func (w *worker) file(name string, size int) spool.Fact {
	w.t.Helper()
	p, err := w.dir.CreatePart(name)
	if err != nil {
		w.t.Fatal(err)
	}
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(w.rnd.Uint32())
	}
	if _, err := p.Write(b); err != nil {
		w.t.Fatal(err)
	}
	info, err := p.Close()
	if err != nil {
		w.t.Fatal(err)
	}
	return spool.Fact{Type: spool.FactClosed, Name: name, Size: info.Size, SHA256: info.SHA256, MD5: info.MD5}
}

// slice closes one slice of a user's track and lists it.
func (w *worker) slice(uid string) {
	w.t.Helper()
	list := sid + "_ch__uid_s_" + uid + "__uid_e_video.m3u8"
	name := fmt.Sprintf("%s_ch__uid_s_%s__uid_e_video_%017d.ts", sid, uid, w.n)
	f := w.file(name, 1000+w.rnd.IntN(200_000))
	f.Kind, f.UID, f.Track, f.Index = spool.KindSlice, uid, session.TrackVideo, list
	f.StartMicro, f.DurMicro = int64(w.n)*15_000_000, 15_000_000
	w.n++
	w.append(f)
	w.lists[list] += "#EXTINF:15.000\n" + name + "\n"
	w.index(list, uid, false)
}

func (w *worker) index(list, uid string, final bool) {
	w.t.Helper()
	content := "#EXTM3U\n" + w.lists[list]
	if final {
		content += "#EXT-X-ENDLIST\n"
	}
	if _, err := w.dir.Replace(list, []byte(content)); err != nil {
		w.t.Fatal(err)
	}
	w.append(spool.Fact{
		Type: spool.FactIndex, Name: list, Kind: spool.KindPlaylist, UID: uid, Track: session.TrackVideo, Playable: true, Final: final,
	})
}

func (w *worker) mp4(index, size int) {
	w.t.Helper()
	f := w.file(fmt.Sprintf("%s_ch_%d.mp4", sid, index), size)
	f.Kind, f.UID, f.Track, f.Playable, f.StartMicro = spool.KindMP4, "0", session.TrackBoth, true, int64(index)*1_000_000
	w.append(f)
}

func (w *worker) end() {
	w.t.Helper()
	for list := range w.lists {
		w.index(list, uidOf(list), true)
	}
	w.append(spool.Fact{Type: spool.FactEnded, Note: spool.EndStop, Recorded: true})
}

func uidOf(name string) string {
	_, rest, _ := strings.Cut(name, "__uid_s_")
	uid, _, _ := strings.Cut(rest, "__uid_e_")
	return uid
}

// guard is a store that checks the order of uploads: at every PUT of a playlist
// all slices it names are in the store.
type guard struct {
	vendor.Store
	t testing.TB

	mu   sync.Mutex
	puts []string // keys in the order they were stored
	lost map[string]bool
}

func newGuard(t testing.TB, st vendor.Store) *guard {
	return &guard{Store: st, t: t, lost: map[string]bool{}}
}

func (g *guard) Put(ctx context.Context, o vendor.Object, body io.ReaderAt) (string, error) {
	if strings.HasSuffix(o.Key, ".m3u8") {
		g.checkSlices(ctx, o, body)
	}
	etag, err := g.Store.Put(ctx, o, body)
	if err == nil {
		g.mu.Lock()
		g.puts = append(g.puts, o.Key)
		g.mu.Unlock()
	}
	return etag, err
}

func (g *guard) checkSlices(ctx context.Context, o vendor.Object, body io.ReaderAt) {
	lines := bufio.NewScanner(io.NewSectionReader(body, 0, o.Size))
	for lines.Scan() {
		name := lines.Text()
		if strings.HasPrefix(name, "#") || g.lost[name] {
			continue
		}
		if _, err := g.Stat(ctx, prefix+name); err != nil && ctx.Err() == nil && errors.Is(err, vendor.ErrNoObject) {
			g.t.Errorf("playlist %s names %s, which is not in the store", o.Key, name)
		}
	}
}

func (g *guard) order() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.puts...)
}

func localStore(t testing.TB) vendor.Store {
	t.Helper()
	st, err := local.New(t.TempDir(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// shipping is a Ship that runs.
type shipping struct {
	*upload.Ship
	t      testing.TB
	cancel context.CancelFunc
	done   chan error

	mu   sync.Mutex
	last upload.Progress
	tell chan struct{}
}

func start(t testing.TB, dir *spool.Dir, st vendor.Store, change func(*upload.Config)) *shipping {
	t.Helper()
	s := &shipping{t: t, done: make(chan error, 1), tell: make(chan struct{}, 1)}
	cfg := upload.Config{
		Dir: dir, Store: st, Prefix: prefix, Backoff: quick(), Poll: 2 * time.Millisecond,
		Progress: func(p upload.Progress) {
			s.mu.Lock()
			s.last = p
			s.mu.Unlock()
			select {
			case s.tell <- struct{}{}:
			default:
			}
		},
	}
	if change != nil {
		change(&cfg)
	}
	s.Ship = upload.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	t.Cleanup(cancel)
	go func() { s.done <- s.Run(ctx) }()
	return s
}

// until waits for a progress that satisfies ok.
func (s *shipping) until(what string, ok func(upload.Progress) bool) upload.Progress {
	s.t.Helper()
	timeout := time.NewTimer(30 * time.Second)
	defer timeout.Stop()
	for {
		s.mu.Lock()
		p := s.last
		s.mu.Unlock()
		if ok(p) {
			return p
		}
		select {
		case <-s.tell:
		case err := <-s.done:
			s.t.Fatalf("Run ended (%v) before %s: %+v", err, what, p)
		case <-timeout.C:
			s.t.Fatalf("no %s: %+v", what, p)
		}
	}
}

// finish waits for Run to end well and returns the last progress.
func (s *shipping) finish() upload.Progress {
	s.t.Helper()
	select {
	case err := <-s.done:
		if err != nil {
			s.t.Fatal(err)
		}
	case <-time.After(60 * time.Second):
		s.t.Fatalf("Run does not end: %+v", s.last)
	}
	return s.last
}

// verify compares the store with the journal: every closed file and the final
// playlists are there with their content, the spool has let the files go.
func verify(t testing.TB, dir *spool.Dir, st vendor.Store) {
	t.Helper()
	facts, _, err := dir.ReadJournal(0)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range facts {
		switch f.Type {
		case spool.FactClosed:
			seen++
			if got := read(t, st, prefix+f.Name); got != f.SHA256 {
				t.Errorf("%s in the store has SHA-256 %s, closed with %s", f.Name, got, f.SHA256)
			}
			if _, err := os.Stat(dir.FilePath(f.Name)); err == nil {
				t.Errorf("%s is still in the spool", f.Name)
			}
		case spool.FactIndex:
			b, err := os.ReadFile(dir.FilePath(f.Name))
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(b)
			if got := read(t, st, prefix+f.Name); got != hex.EncodeToString(sum[:]) || !bytes.Contains(b, []byte("ENDLIST")) {
				t.Errorf("%s in the store is not the final one", f.Name)
			}
		}
	}
	if seen == 0 {
		t.Error("the journal has no closed file")
	}
}

func read(t testing.TB, st vendor.Store, key string) (sha string) {
	t.Helper()
	r, err := st.Get(context.Background(), key)
	if err != nil {
		t.Errorf("get: %v", err)
		return ""
	}
	defer func() { _ = r.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Errorf("get %s: %v", key, err)
	}
	return hex.EncodeToString(h.Sum(nil))
}
