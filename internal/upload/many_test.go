package upload_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/upload"
)

// manyEnv makes the test program a part of BenchmarkMany: "store" or
// "workers|<spool root>|<seconds>".
const manyEnv = "TAPEDECK_MANY_CHILD"

const (
	manyRecordings = 200
	manySlice      = 100_000 // bytes
	manyEvery      = 2 * time.Second
	manyLatency    = 300 * time.Millisecond
)

func liveMany(arg string) error {
	if arg == "store" {
		return slowStore()
	}
	f := strings.Split(arg, "|")
	seconds, err := strconv.Atoi(f[2])
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	for n := range manyRecordings {
		all.Go(func() {
			if err := recordMany(f[1], n, time.Duration(seconds)*time.Second); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		})
	}
	all.Wait()
	return nil
}

// slowStore answers every request of S3 after 300 ms and keeps sizes and tags.
func slowStore() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + l.Addr().String())
	type object struct {
		size int64
		etag string
	}
	var mu sync.Mutex
	kept := map[string]object{}
	return (&http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		late := time.NewTimer(manyLatency)
		defer late.Stop()
		<-late.C
		if r.URL.Query().Has("location") {
			_, _ = io.WriteString(w, "<LocationConstraint></LocationConstraint>")
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodPut {
			sum, _ := base64.StdEncoding.DecodeString(r.Header.Get("Content-Md5"))
			kept[r.URL.Path] = object{n, hex.EncodeToString(sum)}
		}
		o, ok := kept[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("ETag", `"`+o.etag+`"`)
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		if r.Method == http.MethodHead {
			w.Header().Set("Content-Length", strconv.FormatInt(o.size, 10))
		}
	})}).Serve(l)
}

// recordMany writes one recording: a slice each two seconds and its playlist.
func recordMany(root string, n int, long time.Duration) error {
	dir, err := spool.Open(root, fmt.Sprintf("%032d", n))
	if err != nil {
		return err
	}
	j, _, err := dir.OpenJournal(time.Now)
	if err != nil {
		return err
	}
	if err := j.Append(spool.Fact{Type: spool.FactOpened, Version: 1, SID: dir.SID(), Incarnation: 1, ZeroMicro: zero}); err != nil {
		return err
	}
	list, index := "#EXTM3U\n", dir.SID()+"_ch.m3u8"
	// Recordings do not begin at the same moment.
	first := time.NewTimer(manyEvery * time.Duration(n) / manyRecordings)
	<-first.C
	tick := time.NewTicker(manyEvery)
	defer tick.Stop()
	for k := range int(long / manyEvery) {
		name := fmt.Sprintf("%s_ch_%017d.ts", dir.SID(), k)
		p, err := dir.CreatePart(name)
		if err != nil {
			return err
		}
		b := make([]byte, manySlice)
		copy(b, name)
		if _, err := p.Write(b); err != nil {
			return err
		}
		info, err := p.Close()
		if err != nil {
			return err
		}
		f := spool.Fact{
			Type: spool.FactClosed, Name: name, Kind: spool.KindSlice, UID: "0", Track: session.TrackBoth, Index: index,
			Size: info.Size, SHA256: info.SHA256, MD5: info.MD5,
		}
		if err := j.Append(f); err != nil {
			return err
		}
		list += "#EXTINF:2.000\n" + name + "\n"
		if _, err := dir.Replace(index, []byte(list)); err != nil {
			return err
		}
		if err := j.Append(spool.Fact{Type: spool.FactIndex, Name: index, Kind: spool.KindPlaylist, UID: "0", Playable: true}); err != nil {
			return err
		}
		<-tick.C
	}
	return j.Append(spool.Fact{Type: spool.FactEnded, Note: spool.EndStop, Recorded: true})
}

// BenchmarkMany ships 200 recordings that close a slice each two seconds to a
// store that answers after 300 ms. TAPEDECK_MANY_SECONDS is how long (20).
// Workers and store are processes of their own: CPU and memory are the
// shipper's alone.
func BenchmarkMany(b *testing.B) {
	seconds, err := strconv.Atoi(os.Getenv("TAPEDECK_MANY_SECONDS"))
	if err != nil {
		seconds = 20
	}
	debug.SetGCPercent(100)
	for b.Loop() {
		many(b, seconds)
	}
}

func many(b *testing.B, seconds int) {
	store := exec.Command(os.Args[0])
	store.Env = append(os.Environ(), manyEnv+"=store")
	store.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said, err := store.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := store.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Process.Kill(); _ = store.Wait() }()
	line := make([]byte, 100)
	n, err := said.Read(line)
	if err != nil {
		b.Fatal(err)
	}
	endpoint := strings.TrimSpace(string(line[:n]))

	root := filepath.Join(b.TempDir(), "spool")
	m := &manyMeter{waiting: map[int]int{}}
	gate := upload.NewGate(128)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var ships sync.WaitGroup
	for n := range manyRecordings {
		dir, err := spool.Create(root, fmt.Sprintf("%032d", n))
		if err != nil {
			b.Fatal(err)
		}
		st, err := upload.OpenStore(session.Target{Vendor: 1, Bucket: "bucket", AccessKey: "key", SecretKey: "secret"},
			upload.Rules{Endpoints: upload.Endpoints{"1": endpoint}})
		if err != nil {
			b.Fatal(err)
		}
		s := upload.New(upload.Config{
			Dir: dir, Store: st, Gate: gate, Lane: fmt.Sprint(n % 4), Progress: func(p upload.Progress) { m.note(n, p) },
		})
		ships.Go(func() {
			if err := s.Run(ctx); err != nil {
				b.Error(err)
			}
		})
	}
	workers := exec.Command(os.Args[0])
	workers.Env = append(os.Environ(), fmt.Sprintf("%s=workers|%s|%d", manyEnv, root, seconds))
	workers.Stderr = os.Stderr
	workers.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	before := cpu(b)
	if err := workers.Start(); err != nil {
		b.Fatal(err)
	}
	stop := make(chan struct{})
	var sampling sync.WaitGroup
	sampling.Go(func() { m.sample(stop) })
	if err := workers.Wait(); err != nil {
		b.Error(err)
	}
	ended := time.Now()
	ships.Wait()
	close(stop)
	sampling.Wait()
	m.tell(b, cpu(b)-before, time.Since(ended))
}

// manyMeter watches backlog and memory.
type manyMeter struct {
	mu      sync.Mutex
	waiting map[int]int
	bytes   map[int]int64
	retries int

	backlog, rss []int
}

func (m *manyMeter) note(n int, p upload.Progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bytes == nil {
		m.bytes = map[int]int64{}
	}
	m.waiting[n], m.bytes[n] = p.Waiting, p.Bytes
	m.retries += p.Retries
}

func (m *manyMeter) sample(stop <-chan struct{}) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
		}
		m.mu.Lock()
		sum := 0
		for _, w := range m.waiting {
			sum += w
		}
		m.backlog, m.rss = append(m.backlog, sum), append(m.rss, rss())
		m.mu.Unlock()
	}
}

func (m *manyMeter) tell(b *testing.B, cpu, last time.Duration) {
	total := int64(0)
	for _, n := range m.bytes {
		total += n
	}
	third := max(len(m.backlog)/3, 1)
	b.ReportMetric(float64(total)/1e6, "MB")
	b.ReportMetric(cpu.Seconds()*1e3/(float64(total)/1e6), "cpu-ms/MB")
	b.ReportMetric(float64(most(m.backlog[:third])), "backlog-first")
	b.ReportMetric(float64(most(m.backlog[len(m.backlog)-third:])), "backlog-last")
	b.ReportMetric(float64(most(m.rss[:third])), "rss-MB-first")
	b.ReportMetric(float64(most(m.rss[len(m.rss)-third:])), "rss-MB-last")
	b.ReportMetric(last.Seconds(), "s-to-finish")
	b.ReportMetric(float64(m.retries), "retries")
	b.ReportMetric(0, "ns/op")
}

func most(v []int) (m int) {
	for _, n := range v {
		m = max(m, n)
	}
	return m
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// rss is the resident memory in MB (proc(5), statm: pages).
func rss() int {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(text))
	pages, _ := strconv.Atoi(f[1])
	return pages * os.Getpagesize() / 1e6
}
