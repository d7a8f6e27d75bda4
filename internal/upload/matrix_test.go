package upload_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
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
	"tapedeck/internal/testkit/mounts"
	"tapedeck/internal/testkit/stores"
	"tapedeck/internal/upload"
	"tapedeck/internal/upload/local"
	"tapedeck/internal/upload/vendor"
)

// moments is how often each fault is made.
const moments = 20

// seeded returns random numbers whose seed the test prints.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// TestMatrix breaks the way to the store at 20 random moments, in every way, and
// kills the shipper while it is broken. After each: every closed slice is in
// the bucket, in the backup store or in the spool; no slice has ever been accepted
// with two contents; no playlist has ever named a slice that was not there; no
// secret is on the disk. At the end all of it is in the bucket.
func TestMatrix(t *testing.T) {
	server := stores.VersityGW(t)
	for n, w := range []way{broken, forbidden, hanging, cutting, corrupting, deaf, nameless} {
		t.Run(string(w), func(t *testing.T) {
			bucketOf := fmt.Sprintf("matrix-%d", n)
			server.MakeBucket(bucketOf)
			matrix(t, server, bucketOf, w)
		})
	}
}

func matrix(t *testing.T, server *stores.Server, bucketOf string, w way) {
	rnd := seeded(t)
	l := newLine(t, server)
	endpoint, spoil, env := l.URL, func(is bool) { l.set(map[bool]way{true: w, false: well}[is]) }, []string(nil)
	if w == nameless {
		names := newNames(t)
		endpoint, env = strings.Replace(l.URL, "127.0.0.1", storeName, 1), names.env()
		spoil = names.gone.Store
		l.Config.SetKeepAlivesEnabled(false) // each request looks the name up
	}
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
	for range moments {
		for range 2 {
			worker.slice("1")
			worker.slice("2")
		}
		spoil(false)
		c := exec.Command(os.Args[0])
		c.Env = append(append(os.Environ(), childEnv+"="+filepath.Dir(dir.Path())+"|"+endpoint, "TAPEDECK_SHIP_BUCKET="+bucketOf,
			"TAPEDECK_SHIP_BACKUP="+folder, "TAPEDECK_SHIP_ACCESS="+server.AccessKey, "TAPEDECK_SHIP_SECRET="+server.SecretKey), env...)
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if w == nameless {
			mounts.Isolate(c)
		}
		fault := time.Duration(rnd.IntN(20_000)) * time.Microsecond
		killed(t, c, time.Duration(20_000+rnd.IntN(100_000))*time.Microsecond, func() { time.AfterFunc(fault, func() { spoil(true) }) })
		inAPlace(t, dir, direct, backup)
		listsWhole(t, backup, "kept/", direct)
		l.check(t)
		noSecret(t, filepath.Dir(dir.Path()), server.SecretKey)
	}
	spoil(false)
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

// killed runs a shipper, calls begun when it has begun to upload, and kills it
// after that long.
func killed(t *testing.T, c *exec.Cmd, after time.Duration, begun func()) {
	t.Helper()
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 256)
	if n, err := out.Read(buf); err != nil || !strings.HasPrefix(string(buf[:n]), "uploaded") {
		_ = c.Wait()
		if strings.Contains(string(buf[:n]), mounts.ErrNone.Error()) {
			t.Skipf("no mounts here: %s", buf[:n])
		}
		t.Fatalf("%q, %v", buf[:n], err)
	}
	begun()
	kill := time.AfterFunc(after, func() { _ = c.Process.Kill() })
	_, _ = io.Copy(io.Discard, out)
	_ = c.Wait()
	kill.Stop()
}

// listsWhole: whatever a playlist in a store names is there, or at home.
func listsWhole(t *testing.T, st vendor.Store, at string, home vendor.Store) {
	t.Helper()
	there := map[string]bool{}
	for _, k := range keysOf(t, st) {
		there[k] = true
	}
	for k := range there {
		if !strings.HasSuffix(k, ".m3u8") {
			continue
		}
		r, err := st.Get(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		_ = r.Close()
		if err != nil {
			t.Fatal(err)
		}
		for name := range strings.Lines(string(b)) {
			if name = strings.TrimSpace(name); name == "" || strings.HasPrefix(name, "#") || there[at+name] {
				continue
			}
			if _, err := home.Stat(t.Context(), prefix+name); err != nil {
				t.Errorf("%s names %s, which is in neither store: %v", k, name, err)
			}
		}
	}
}

// inAPlace: every closed file is in one of the three places with its content. A
// shipper may be at work: what has left the spool has its receipt by then.
func inAPlace(t *testing.T, dir *spool.Dir, home, backup vendor.Store) {
	t.Helper()
	facts, _, err := dir.ReadJournal(0)
	if err != nil {
		t.Fatal(err)
	}
	here := map[string]bool{}
	for _, f := range facts {
		_, err := os.Stat(dir.FilePath(f.Name))
		here[f.Name] = err == nil
	}
	all, err := dir.ReadReceipts()
	if err != nil {
		t.Fatal(err)
	}
	settled, content := spool.Settled(all), map[string]string{}
	for _, f := range facts {
		if f.Type != spool.FactClosed {
			continue
		}
		if sum, ok := content[f.Name]; ok && sum != f.SHA256 {
			t.Fatalf("%s was closed with two contents", f.Name)
		}
		content[f.Name] = f.SHA256
		r := settled[f.Name]
		switch {
		case r.State == spool.ReceiptUploaded:
			if read(t, home, r.Key) != f.SHA256 {
				t.Fatalf("%s: the bucket has other content than the receipt says", f.Name)
			}
		case here[f.Name]:
		case r.State != spool.ReceiptBackuped:
			t.Fatalf("%s is in no place", f.Name)
		case !kept(t, dir, home, backup, r, f.SHA256):
			t.Fatalf("%s: neither store has what the receipt says", f.Name)
		}
	}
}

// kept reports whether the copy of a receipt is in the backup store, or has come
// home meanwhile.
func kept(t *testing.T, dir *spool.Dir, home, backup vendor.Store, r spool.Receipt, sum string) bool {
	t.Helper()
	if in, err := backup.Get(t.Context(), r.Backup); err == nil {
		h := sha256.New()
		_, err = io.Copy(h, in)
		_ = in.Close()
		return err == nil && hex.EncodeToString(h.Sum(nil)) == sum
	}
	all, err := dir.ReadReceipts()
	return err == nil && spool.Settled(all)[r.Name].State == spool.ReceiptUploaded && read(t, home, r.Key) == sum
}

// noSecret looks through every file below root.
func noSecret(t *testing.T, root string, secrets ...string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went meanwhile
		}
		files++
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

// TestClockJump: the wall clock jumps 20 times, by seconds, hours or years, back
// and forth, while a store is out of order or not. Nothing waits for ever and
// nothing is lost, nor told.
func TestClockJump(t *testing.T) {
	server := stores.VersityGW(t)
	server.MakeBucket(bucket)
	home, backup := &ill{Store: remoteStore(t, server, target(server))}, localStore(t)
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
	rnd, g := seeded(t), newGuard(t, home)
	total := time.Duration(0)
	s := start(t, dir, g, func(c *upload.Config) {
		withBackup(backup)(c)
		c.Now = now
	})
	for n := range moments {
		home.set(n%2 == 0, vendor.Destination)
		w.slice("1")
		if n == 0 {
			s.until("failures", func(p upload.Progress) bool { return p.Retries > 0 })
		}
		leap := time.Duration(rnd.Int64N(int64(10*365*24*time.Hour))) - 5*365*24*time.Hour
		switch rnd.IntN(3) {
		case 0:
			leap = leap % time.Minute
		case 1:
			leap = leap % (24 * time.Hour)
		}
		moment := time.NewTimer(time.Duration(rnd.IntN(15_000)) * time.Microsecond)
		<-moment.C
		jump(leap)
		total += leap
		w.slice("2")
		inAPlace(t, dir, home.Store, backup)
		listsWhole(t, backup, "kept/", home.Store)
		noSecret(t, filepath.Dir(dir.Path()), server.SecretKey)
	}
	jump(-total)
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
