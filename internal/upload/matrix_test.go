package upload_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/outbound"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/stores"
	"tapedeck/internal/upload"
	"tapedeck/internal/upload/local"
	"tapedeck/internal/upload/vendor"
)

// way is what is wrong between us and a store.
type way string

const (
	well       way = "well"
	broken     way = "500"
	forbidden  way = "403"
	hanging    way = "hangs"
	cutting    way = "cuts mid-body"
	corrupting way = "changes a byte"
	deaf       way = "stores and loses the answer"
)

// line is the way to a real store, with faults.
type line struct {
	*httptest.Server

	next http.Handler
	mu   sync.Mutex
	now  way
}

func newLine(t *testing.T, to *stores.Server) *line {
	t.Helper()
	target, err := url.Parse(to.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	l := &line{now: well, next: &httputil.ReverseProxy{
		// The host stays as it was signed.
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", target.Host, r.In.Host
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}}
	l.Server = httptest.NewServer(l)
	t.Cleanup(l.Close)
	return l
}

func (l *line) set(w way) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = w
}

func (l *line) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	now := l.now
	l.mu.Unlock()
	refuse := func(status int, code string) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>made up</Message></Error>", code)
	}
	switch now {
	case broken:
		refuse(http.StatusInternalServerError, "InternalError")
	case forbidden:
		refuse(http.StatusForbidden, "AccessDenied")
	case hanging:
		hang := time.NewTimer(200 * time.Millisecond)
		defer hang.Stop()
		select {
		case <-hang.C:
		case <-r.Context().Done():
		}
		hangUp(w)
	case cutting:
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
		hangUp(w)
	case corrupting:
		b, _ := io.ReadAll(r.Body)
		if len(b) > 0 && r.Method == http.MethodPut {
			b[len(b)/2] ^= 0x40
		}
		r.Body = io.NopCloser(bytes.NewReader(b))
		l.next.ServeHTTP(w, r)
	case deaf:
		l.next.ServeHTTP(httptest.NewRecorder(), r)
		hangUp(w)
	default:
		l.next.ServeHTTP(w, r)
	}
}

func hangUp(w http.ResponseWriter) {
	if h, ok := w.(http.Hijacker); ok {
		if c, _, err := h.Hijack(); err == nil {
			_ = c.Close()
		}
	}
}

// TestMatrix breaks the way to the store at random moments, in every way, and
// kills the shipper while it is broken. After each: every closed slice is in
// the bucket, in the backup store or in the spool. At the end all of it is in
// the bucket, each with its one content, no playlist has ever named a slice
// that was not there, and no secret is on the disk.
func TestMatrix(t *testing.T) {
	server := stores.VersityGW(t)
	for n, w := range []way{broken, forbidden, hanging, cutting, corrupting, deaf} {
		t.Run(string(w), func(t *testing.T) {
			bucketOf := fmt.Sprintf("matrix-%d", n)
			server.MakeBucket(bucketOf)
			matrix(t, server, bucketOf, w)
		})
	}
}

func matrix(t *testing.T, server *stores.Server, bucketOf string, w way) {
	l := newLine(t, server)
	tgt := target(server)
	tgt.Bucket = bucketOf
	direct, err := upload.OpenStore(tgt, upload.Rules{Endpoints: upload.Endpoints{"1": server.Endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	backup, err := local.New(folder, "kept")
	if err != nil {
		t.Fatal(err)
	}
	dir := newSpool(t)
	worker := newWorker(t, dir)
	for range rounds(3) {
		for range 3 {
			worker.slice("1")
			worker.slice("2")
		}
		l.set(well)
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), childEnv+"="+filepath.Dir(dir.Path())+"|"+l.URL, "TAPEDECK_SHIP_BUCKET="+bucketOf,
			"TAPEDECK_SHIP_BACKUP="+folder, "TAPEDECK_SHIP_ACCESS="+server.AccessKey, "TAPEDECK_SHIP_SECRET="+server.SecretKey)
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 64)
		if n, err := out.Read(buf); err != nil || !strings.HasPrefix(string(buf[:n]), "uploaded") {
			t.Fatalf("%q, %v", buf[:n], err)
		}
		fault := time.AfterFunc(time.Duration(rand.IntN(20_000))*time.Microsecond, func() { l.set(w) })
		kill := time.AfterFunc(time.Duration(20_000+rand.IntN(100_000))*time.Microsecond, func() { _ = c.Process.Kill() })
		_, _ = io.Copy(io.Discard, out)
		_ = c.Wait()
		fault.Stop()
		kill.Stop()
		inAPlace(t, dir, direct, backup)
	}
	l.set(well)
	worker.mp4(0, 1<<20)
	worker.end()
	g := newGuard(t, direct)
	start(t, dir, g, func(c *upload.Config) { c.Backup = upload.Backup{Store: backup, Prefix: "kept/"} }).finish()
	allHome(t, dir, direct, false)
	verify(t, dir, direct)
	if left := keysOf(t, backup); len(left) != 0 {
		t.Errorf("left in the backup store: %q", left)
	}
	noSecret(t, filepath.Dir(dir.Path()), server.SecretKey)
}

// inAPlace: every closed file is in one of the three places with its content.
func inAPlace(t *testing.T, dir *spool.Dir, home, backup vendor.Store) {
	t.Helper()
	all, err := dir.ReadReceipts()
	if err != nil {
		t.Fatal(err)
	}
	facts, _, err := dir.ReadJournal(0)
	if err != nil {
		t.Fatal(err)
	}
	settled := spool.Settled(all)
	for _, f := range facts {
		if f.Type != spool.FactClosed {
			continue
		}
		r := settled[f.Name]
		switch r.State {
		case spool.ReceiptUploaded:
			if read(t, home, r.Key) != f.SHA256 {
				t.Fatalf("%s: the bucket has other content than the receipt says", f.Name)
			}
		case spool.ReceiptBackuped:
			if read(t, backup, r.Backup) != f.SHA256 {
				t.Fatalf("%s: the backup store has other content than the receipt says", f.Name)
			}
		default:
			if _, err := os.Stat(dir.FilePath(f.Name)); err != nil {
				t.Fatalf("%s is in no place: %v", f.Name, err)
			}
		}
	}
}

// noSecret looks through every file below root.
func noSecret(t *testing.T, root string, secrets ...string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		for _, s := range secrets {
			if bytes.Contains(b, []byte(s)) {
				t.Errorf("a secret is in %s", path)
			}
		}
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("%d files, %v", files, err)
	}
}

// TestNameGone: the store's name cannot be resolved. That is nobody's mistake
// here, so the files go to the backup store; a fresh target brings them home.
func TestNameGone(t *testing.T) {
	gone, err := upload.OpenStore(
		session.Target{Vendor: 11, Endpoint: "http://store.invalid", Bucket: bucket, AccessKey: "key", SecretKey: "a-secret-0123456789"},
		upload.Rules{Policy: outbound.Policy{}})
	if err != nil {
		t.Fatal(err)
	}
	home, backup := localStore(t), localStore(t)
	dir := newSpool(t)
	w := newWorker(t, dir)
	w.slice("1")
	s := start(t, dir, gone, withBackup(backup))
	p := s.until("the backup", func(p upload.Progress) bool { return p.Backuped == 1 })
	if p.Fault != vendor.Destination {
		t.Errorf("fault of %s: %v", p.Fault, p.LastError)
	}
	s.SetStore(home)
	s.until("the way home", func(p upload.Progress) bool { return p.Backuped == 0 && p.Uploaded >= 1 })
	w.end()
	s.finish()
	verify(t, dir, home)
}

// TestClockJump: the wall clock jumps by years, back and forth, while a store is
// out of order. Nothing waits for ever and nothing is lost.
func TestClockJump(t *testing.T) {
	home, backup := &ill{Store: localStore(t)}, localStore(t)
	home.set(true, vendor.Destination)
	var mu sync.Mutex
	var ahead time.Duration
	now := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Add(ahead).Round(0) // wall clock only
	}
	jump := func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		ahead += d
	}
	dir := newSpool(t)
	w := newWorker(t, dir)
	s := start(t, dir, home, func(c *upload.Config) {
		withBackup(backup)(c)
		c.Now = now
	})
	for range 3 {
		w.slice("1")
		s.until("failures", func(p upload.Progress) bool { return p.Retries > 0 })
		jump(-10 * 365 * 24 * time.Hour)
		w.slice("1")
		jump(20 * 365 * 24 * time.Hour)
		w.slice("1")
	}
	jump(-15 * 365 * 24 * time.Hour)
	home.set(false, 0)
	w.end()
	if p := s.finish(); p.Lost != 0 || p.Waiting != 0 {
		t.Errorf("%+v", p)
	}
	if away(t, dir) > 0 {
		start(t, dir, home, withBackup(backup)).finish()
	}
	allHome(t, dir, home, false)
}

// TestResume: a shipper that dies within a large file goes on behind the last
// part that arrived.
func TestResume(t *testing.T) {
	server := stores.VersityGW(t)
	server.MakeBucket(bucket)
	st := remoteStore(t, server, target(server))
	parts, ok := st.(vendor.Multipart)
	if !ok {
		t.Fatal("it takes no parts")
	}
	dir := newSpool(t)
	w := newWorker(t, dir)
	w.mp4(0, 50<<20) // four parts
	w.end()
	for range 3 {
		counted := &breaking{Store: st, Multipart: parts, after: 1, broke: make(chan struct{}, 100)}
		s := start(t, dir, counted, func(c *upload.Config) {
			c.Backoff = upload.Backoff{First: time.Hour, FirstCaller: time.Hour, Max: time.Hour}
		})
		<-counted.broke
		s.cancel()
		if err := <-s.done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	}
	start(t, dir, st, nil).finish()
	verify(t, dir, st)
	all, err := dir.ReadReceipts()
	if err != nil {
		t.Fatal(err)
	}
	sent, begun := map[int]int{}, 0
	for _, r := range all {
		switch r.State {
		case spool.ReceiptPart:
			sent[r.Part]++
		case spool.ReceiptBegun:
			begun++
		}
	}
	if begun != 1 || len(sent) != 4 || sent[1] != 1 || sent[4] != 1 {
		t.Errorf("begun %d times, parts %v", begun, sent)
	}
}

// breaking fails after so many parts of each attempt.
type breaking struct {
	vendor.Store
	vendor.Multipart

	after int
	broke chan struct{}
}

func (b *breaking) PutParts(ctx context.Context, o vendor.Object, body io.ReaderAt, up vendor.Upload, note vendor.Note) (string, error) {
	n := 0
	return b.Multipart.PutParts(ctx, o, body, up, func(up vendor.Upload, part int) error {
		if err := note(up, part); err != nil || part == 0 {
			return err
		}
		if n++; n >= b.after {
			b.broke <- struct{}{}
			return errors.New("the process ends here")
		}
		return nil
	})
}
