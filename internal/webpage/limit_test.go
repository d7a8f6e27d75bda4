package webpage

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tapedeck/internal/webpage/jail"
)

// groups lists the control groups of the browsers of a process.
func groups(pid int) string {
	var all []string
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), fmt.Sprintf("tapedeck-web-%d-", pid)) {
			all = append(all, path)
		}
		return nil
	})
	return strings.Join(all, " ")
}

// work keeps as many threads busy as there are processors and returns how much
// processor time they got.
func work(span time.Duration) time.Duration {
	var sum atomic.Int64
	var all sync.WaitGroup
	for range runtime.NumCPU() {
		all.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			used := func() int64 {
				var u unix.Rusage
				_ = unix.Getrusage(unix.RUSAGE_THREAD, &u)
				return u.Utime.Nano() + u.Stime.Nano()
			}
			before := used()
			for from := time.Now(); time.Since(from) < span; { //nolint:revive // the loop is the work
			}
			sum.Add(used() - before)
		})
	}
	all.Wait()
	return time.Duration(sum.Load())
}

// spent is the processor time of processes so far.
func spent(pids []int) (sum time.Duration) {
	for _, pid := range pids {
		b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(f) < 13 {
			continue
		}
		for _, ticks := range f[11:13] { // user and system, in hundredths
			n, _ := strconv.Atoi(ticks)
			sum += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return sum
}

// A page that keeps sixteen threads busy leaves those who record it most of the
// processor when they need it: with control groups, and with nothing but
// priorities. Were it our equal, it would have half or more of what both get.
func TestSpinningPage(t *testing.T) {
	srv := site(t, nil)
	for _, limit := range []string{"", jail.Nice} {
		t.Run("limit="+limit, func(t *testing.T) {
			cfg := config(srv.URL+"/spin.html", io.Discard)
			cfg.Limit = limit
			p := show(t, cfg)
			if err := p.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			if limit != "" && p.jail.Limit != limit {
				t.Errorf("limited by %s", p.jail.Limit)
			}
			pids := descendants(p.Pid())
			before := spent(pids)
			ours := work(3 * time.Second)
			theirs := spent(pids) - before
			share := float64(ours) / float64(ours+theirs)
			t.Logf("limited by %s: we got %v, the browser %v", p.jail.Limit, ours.Round(time.Millisecond), theirs)
			if share < 0.65 {
				t.Errorf("the page leaves us %.2f of what both get", share)
			}
		})
	}
	if g := groups(os.Getpid()); g != "" {
		t.Errorf("control groups are left: %s", g)
	}
}
