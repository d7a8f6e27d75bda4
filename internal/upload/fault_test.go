package upload_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/stores"
	"tapedeck/internal/upload"
	"tapedeck/internal/upload/local"
	"tapedeck/internal/upload/vendor"
)

// childEnv makes the test program a shipper: "<spool root>|<endpoint>".
const childEnv = "TAPEDECK_SHIP_CHILD"

func TestMain(m *testing.M) {
	if arg := os.Getenv(manyEnv); arg != "" {
		if err := liveMany(arg); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if arg := os.Getenv(powerEnv); arg != "" {
		fmt.Fprintln(os.Stderr, livePower(arg))
		os.Exit(1)
	}
	root, endpoint, ok := strings.Cut(os.Getenv(childEnv), "|")
	if !ok {
		os.Exit(m.Run())
	}
	if err := shipAlone(root, endpoint); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// shipAlone ships one recording the way a node does.
func shipAlone(root, endpoint string) error {
	if err := useNames(); err != nil {
		return err
	}
	dir, err := spool.Open(root, sid)
	if err != nil {
		return err
	}
	tgt := session.Target{
		Vendor: 1, Bucket: cmp.Or(os.Getenv("TAPEDECK_SHIP_BUCKET"), bucket),
		AccessKey: os.Getenv("TAPEDECK_SHIP_ACCESS"), SecretKey: os.Getenv("TAPEDECK_SHIP_SECRET"),
	}
	st, err := upload.OpenStore(tgt, upload.Rules{Endpoints: upload.Endpoints{"*": endpoint}})
	if err != nil {
		return err
	}
	cfg := upload.Config{
		Dir: dir, Store: st, Prefix: prefix, Backoff: quick(), Poll: time.Millisecond,
		Progress: func(p upload.Progress) { fmt.Println("uploaded", p.Uploaded) },
	}
	if folder := os.Getenv("TAPEDECK_SHIP_BACKUP"); folder != "" {
		backup, err := local.New(folder, "kept")
		if err != nil {
			return err
		}
		cfg.Backup = upload.Backup{Store: backup, Prefix: "kept/", After: 10 * time.Millisecond}
	}
	return upload.New(cfg).Run(context.Background())
}

// TestKill kills the shipper at 20 random moments while the recording goes on.
// After each, every closed file is in the spool or has a receipt; at the end
// everything is in the bucket.
func TestKill(t *testing.T) {
	t.Run("local", func(t *testing.T) {
		folder := t.TempDir()
		endpoint := "file://" + folder
		st, err := upload.OpenStore(session.Target{Bucket: bucket}, upload.Rules{Endpoints: upload.Endpoints{"*": endpoint}})
		if err != nil {
			t.Fatal(err)
		}
		kill(t, st, endpoint, nil)
		// What killed uploads left behind was used up by the next ones.
		left, err := filepath.Glob(filepath.Join(folder, bucket, "d1", "d2", ".tapedeck-*"))
		if err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
	t.Run("versitygw", func(t *testing.T) {
		server := stores.VersityGW(t)
		server.MakeBucket(bucket)
		kill(t, remoteStore(t, server, target(server)), server.Endpoint,
			[]string{"TAPEDECK_SHIP_ACCESS=" + server.AccessKey, "TAPEDECK_SHIP_SECRET=" + server.SecretKey})
	})
}

func kill(t *testing.T, st vendor.Store, endpoint string, env []string) {
	dir := newSpool(t)
	w := newWorker(t, dir)
	for range 20 {
		for range 3 {
			w.slice("1")
		}
		c := exec.Command(os.Args[0])
		c.Env = append(append(os.Environ(), childEnv+"="+filepath.Dir(dir.Path())+"|"+endpoint), env...)
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		// The first line comes before the first upload: the moment lies within
		// the uploads.
		buf := make([]byte, 64)
		if n, err := out.Read(buf); err != nil || !strings.HasPrefix(string(buf[:n]), "uploaded") {
			t.Fatalf("%q, %v", buf[:n], err)
		}
		timer := time.AfterFunc(time.Duration(rand.IntN(20_000))*time.Microsecond, func() { _ = c.Process.Kill() })
		_, _ = io.Copy(io.Discard, out)
		_ = c.Wait()
		timer.Stop()
		spoolOrReceipt(t, dir)
	}
	w.mp4(0, 2<<20)
	w.end()
	g := newGuard(t, st)
	start(t, dir, g, nil).finish()
	verify(t, dir, st)
}

func spoolOrReceipt(t *testing.T, dir *spool.Dir) {
	t.Helper()
	receipts, err := dir.ReadReceipts()
	if err != nil {
		t.Fatal(err)
	}
	sent := map[string]string{}
	for _, r := range receipts {
		sent[r.Name] = r.SHA256
	}
	facts, _, err := dir.ReadJournal(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range facts {
		if f.Type != spool.FactClosed || sent[f.Name] == f.SHA256 {
			continue
		}
		if _, err := os.Stat(dir.FilePath(f.Name)); err != nil {
			t.Fatalf("%s has no receipt and is not in the spool: %v", f.Name, err)
		}
	}
}

// flaky is a store that goes wrong in every way there is.
type flaky struct {
	vendor.Store
	mu   sync.Mutex
	rnd  *rand.Rand
	done int
}

func (f *flaky) Put(ctx context.Context, o vendor.Object, body io.ReaderAt) (string, error) {
	f.mu.Lock()
	way := f.rnd.IntN(10)
	f.mu.Unlock()
	fail := func(fault vendor.Fault, code string) (string, error) {
		return "", vendor.NewError("put", o.Key, fault, code, errors.New("made up"))
	}
	switch way {
	case 0:
		return fail(vendor.Destination, "InternalError")
	case 1:
		return fail(vendor.Caller, "AccessDenied")
	case 2:
		return fail(vendor.Ours, "")
	case 3:
		return fail(vendor.Destination, vendor.CodeBadDigest) // changed on the way
	case 4: // stored, and the answer is lost
		if _, err := f.Store.Put(ctx, o, body); err != nil {
			return "", err
		}
		return fail(vendor.Destination, "")
	}
	etag, err := f.Store.Put(ctx, o, body)
	if err == nil {
		f.mu.Lock()
		f.done++
		f.mu.Unlock()
	}
	return etag, err
}

// TestFlakyStore: half of all calls fail, in all ways; in the end everything is
// there, once.
func TestFlakyStore(t *testing.T) {
	st := &flaky{Store: localStore(t), rnd: rand.New(rand.NewPCG(3, 4))}
	g := newGuard(t, st)
	dir := newSpool(t)
	s := start(t, dir, g, nil)
	w := newWorker(t, dir)
	for range 30 {
		w.slice("1")
		w.slice("2")
	}
	w.mp4(0, 1<<20)
	w.end()
	p := s.finish()
	verify(t, dir, st)
	if p.Uploaded != 63 || p.Lost != 0 {
		t.Errorf("%+v", p)
	}
	stored := map[string]int{}
	for _, k := range g.order() {
		if stored[k]++; stored[k] > 1 && !strings.HasSuffix(k, ".m3u8") {
			t.Errorf("%s was stored again after its receipt", k)
		}
	}
}

// TestGate: all recordings of a node together do not send more files at once
// than the gate lets in.
func TestGate(t *testing.T) {
	const width = 3
	meter := &meter{Store: localStore(t), width: width, full: make(chan struct{})}
	gate := upload.NewGate(width)
	var ships []*shipping
	for range 4 {
		dir := newSpool(t)
		w := newWorker(t, dir)
		for range 10 {
			w.slice("1")
		}
		w.end()
		ships = append(ships, start(t, dir, meter, func(c *upload.Config) {
			c.Gate, c.Parallel, c.Prefix = gate, 5, fmt.Sprintf("r%d/", len(ships))
		}))
	}
	for _, s := range ships {
		s.finish()
	}
	if meter.most != width {
		t.Errorf("%d files at once, the gate has %d places", meter.most, width)
	}
}

// meter counts how many PUTs are under way. The first ones wait until as many
// are as should be.
type meter struct {
	vendor.Store
	width int
	full  chan struct{}

	mu        sync.Mutex
	now, most int
}

func (m *meter) Put(ctx context.Context, o vendor.Object, body io.ReaderAt) (string, error) {
	m.count(1)
	defer m.count(-1)
	select {
	case <-m.full:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	return m.Store.Put(ctx, o, body)
}

func (m *meter) count(d int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now += d
	if m.most = max(m.most, m.now); m.now == m.width && d > 0 {
		select {
		case <-m.full:
		default:
			close(m.full)
		}
	}
}
