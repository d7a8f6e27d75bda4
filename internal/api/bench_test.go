package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/account"
	"tapedeck/internal/ledger"
)

// The server of a benchmark is this test binary in a process of its own, so that
// its processor time can be told from the client's.
const benchServerEnv = "TAPEDECK_BENCH_SERVER"

// maxRatio is the bound on what acquire may cost, in empty POST handlers.
const maxRatio = 1.6

func TestMain(m *testing.M) {
	if kind := os.Getenv(benchServerEnv); kind != "" {
		if err := serveBench(kind); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveBench serves until its standard input ends. It prints its address, and for
// every line that comes in the processor time it has used, in microseconds.
func serveBench(kind string) error {
	handler, stop, err := benchHandler(kind)
	if err != nil {
		return err
	}
	defer stop()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: handler}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	fmt.Println(l.Addr())
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			return err
		}
		fmt.Println(u.Utime.Nano()/1e3 + u.Stime.Nano()/1e3)
	}
	return errors.Join(srv.Close(), ignoreClosed(<-served))
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// benchHandler is the empty handler of net/http, or the whole API on a real
// ledger, with its rate limit raised and counted by the cluster.
func benchHandler(kind string) (http.Handler, func(), error) {
	if kind == "empty" {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), func() {}, nil
	}
	dir, err := os.MkdirTemp("", "tapedeck-bench-")
	if err != nil {
		return nil, nil, err
	}
	log := slog.New(slog.DiscardHandler)
	l, stop, err := openLedger(dir, log)
	if err != nil {
		return nil, nil, err
	}
	acc := testAccount("app-1")
	acc.Rate = 2_000_000
	d, err := account.NewDirectory([]account.Account{acc})
	if err != nil {
		return nil, nil, err
	}
	s := New(Deps{
		Accounts: d, Limiter: account.NewLimiter(d, l.Counter(), time.Now, log), Ledger: l,
		Ring: testRing(), Now: time.Now, Log: log,
	})
	return s, func() { stop(); removeTree(dir) }, nil
}

func openLedger(dir string, log *slog.Logger) (*ledger.Ledger, func(), error) {
	e, err := ledger.StartEmbedded(dir, log)
	if err != nil {
		return nil, nil, err
	}
	nc, err := e.Conn()
	if err != nil {
		return nil, nil, err
	}
	l, err := ledger.Open(context.Background(), nc, ledger.Options{Log: log})
	if err != nil {
		return nil, nil, err
	}
	return l, func() { l.Close(); nc.Close(); e.Stop() }, nil
}

// benchServer is the other process.
type benchServer struct {
	addr string
	in   io.WriteCloser
	out  *bufio.Scanner
	cmd  *exec.Cmd
}

func startBenchServer(b *testing.B, kind string) *benchServer {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), benchServerEnv+"="+kind, "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	s := &benchServer{in: in, out: bufio.NewScanner(out), cmd: cmd}
	if !s.out.Scan() {
		b.Fatal("the server did not start")
	}
	s.addr = s.out.Text()
	b.Cleanup(func() {
		if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
			b.Error(err)
		}
	})
	return s
}

// used is the processor time of the server so far.
func (s *benchServer) used(b *testing.B) time.Duration {
	b.Helper()
	if _, err := io.WriteString(s.in, "\n"); err != nil {
		b.Fatal(err)
	}
	var micros int64
	if !s.out.Scan() {
		b.Fatal("the server ended")
	}
	if _, err := fmt.Sscan(s.out.Text(), &micros); err != nil {
		b.Fatal(err)
	}
	return time.Duration(micros) * time.Microsecond
}

const benchConns = 16

// load makes n requests over keep-alive connections and returns what they cost
// the server.
func (s *benchServer) load(b *testing.B, n int) time.Duration {
	b.Helper()
	before := s.used(b)
	errs := make([]error, benchConns)
	var wg sync.WaitGroup
	for i := range benchConns {
		share := n / benchConns
		if i < n%benchConns {
			share++
		}
		wg.Go(func() { errs[i] = s.talk(share) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		b.Fatal(err)
	}
	return s.used(b) - before
}

func (s *benchServer) talk(n int) error {
	body := `{"cname":"httpClient463224","uid":"527841","clientRequest":{"region":"CN","resourceExpiredHour":24}}`
	request := fmt.Appendf(nil, "POST /v1/apps/app-1/cloud_recording/acquire HTTP/1.1\r\nHost: %s\r\n"+
		"User-Agent: bench\r\nContent-Type: application/json;charset=utf-8\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s",
		s.addr, basicAuth(testUser, testSecret), len(body), body)
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	for range n {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		if err := readAnswer(r); err != nil {
			return err
		}
	}
	return nil
}

// readAnswer reads a 200 with a Content-Length.
func readAnswer(r *bufio.Reader) error {
	length := -1
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		text := strings.TrimSpace(string(line))
		if first && text != "HTTP/1.1 200 OK" {
			return fmt.Errorf("answer %q", text)
		}
		if rest, ok := strings.CutPrefix(text, "Content-Length: "); ok {
			if _, err := fmt.Sscan(rest, &length); err != nil {
				return err
			}
		}
		if text == "" {
			_, err := r.Discard(max(0, length))
			return err
		}
	}
}

// median keeps a turn that a busy machine spoilt from counting.
func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// BenchmarkAcquire compares acquire with an empty POST handler, both fed the same
// requests in turns, by the processor time of their servers.
func BenchmarkAcquire(b *testing.B) {
	acquire, empty := startBenchServer(b, "acquire"), startBenchServer(b, "empty")
	const turn, least = 1000, 16000
	acquire.load(b, turn) // warm both up
	empty.load(b, turn)
	var costly, cheap, ratios []float64
	b.ResetTimer()
	for n := 0; n < max(b.N, least); n += turn {
		costly = append(costly, float64(acquire.load(b, turn).Microseconds())/turn)
		cheap = append(cheap, float64(empty.load(b, turn).Microseconds())/turn)
		ratios = append(ratios, costly[len(costly)-1]/cheap[len(cheap)-1])
	}
	ratio := median(ratios)
	b.ReportMetric(median(costly), "cpu-µs/acquire")
	b.ReportMetric(median(cheap), "cpu-µs/empty")
	b.ReportMetric(ratio, "acquire/empty")
	b.ReportMetric(0, "ns/op")
	if ratio > maxRatio {
		b.Errorf("acquire costs %.2f empty POST handlers, at most %.1f are allowed", ratio, maxRatio)
	}
}

// BenchmarkEmptyPost is the yardstick alone.
func BenchmarkEmptyPost(b *testing.B) {
	empty := startBenchServer(b, "empty")
	empty.load(b, 1000)
	b.ResetTimer()
	used := empty.load(b, b.N)
	b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-µs/empty")
}
