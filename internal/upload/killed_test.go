package upload_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/upload"
)

// crew is a worker and the shipper of a node, as two processes.
type crew struct {
	t        *testing.T
	root     string
	endpoint string
	round    int
	running  map[string]*exec.Cmd
	read     map[string]chan struct{} // closed when a process has said all

	mu       sync.Mutex
	promised map[string]string // slices that were told closed
	more     chan struct{}
}

func (c *crew) start(part string) {
	c.t.Helper()
	c.round++
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%s|%d", powerEnv, c.root, c.endpoint, c.round*10_000), powerPartEnv+"="+part)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	read := make(chan struct{})
	c.running[part], c.read[part] = cmd, read
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			f := strings.Fields(lines.Text())
			if len(f) != 3 || f[0] != "closed" {
				continue
			}
			c.mu.Lock()
			c.promised[f[1]] = f[2]
			c.mu.Unlock()
			select {
			case c.more <- struct{}{}:
			default:
			}
		}
	}()
}

func (c *crew) kill(part string) {
	c.t.Helper()
	_ = c.running[part].Process.Kill()
	<-c.read[part]
	_ = c.running[part].Wait()
	delete(c.running, part)
}

// slices waits until so many more slices are closed.
func (c *crew) slices(n int) {
	c.t.Helper()
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	for ; n > 0; n-- {
		select {
		case <-c.more:
		case <-limit.C:
			c.t.Fatal("the worker closes no slices")
		}
	}
}

func (c *crew) count() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[string]string, len(c.promised))
	for k, v := range c.promised {
		all[k] = v
	}
	return all
}

// TestKilledProcesses kills the worker, the node's shipper, or both at 20 random
// moments each, while the other goes on. After each: every slice that was told
// closed is in the spool or in the store with its one content, receipts are true,
// the playlist in the store names what is there, no secret is on the disk.
func TestKilledProcesses(t *testing.T) {
	for _, who := range [][]string{{asWorker}, {asNode}, {asWorker, asNode}} {
		t.Run(strings.Join(who, "+"), func(t *testing.T) {
			rnd := seeded(t)
			folder := t.TempDir()
			c := &crew{
				t: t, root: filepath.Join(t.TempDir(), "spool"), endpoint: "file://" + folder,
				running: map[string]*exec.Cmd{}, read: map[string]chan struct{}{}, promised: map[string]string{}, more: make(chan struct{}, 1),
			}
			st, err := upload.OpenStore(session.Target{Bucket: bucket}, upload.Rules{Endpoints: upload.Endpoints{"*": c.endpoint}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := spool.Create(c.root, sid); err != nil {
				t.Fatal(err)
			}
			for range moments {
				for _, part := range []string{asWorker, asNode} {
					if c.running[part] == nil {
						c.start(part)
					}
				}
				c.slices(1 + rnd.IntN(4))
				moment := time.NewTimer(time.Duration(rnd.IntN(10_000)) * time.Microsecond)
				<-moment.C
				for _, part := range who {
					c.kill(part)
				}
				if slices.Contains(who, asNode) && c.running[asWorker] != nil {
					c.slices(1) // it goes on by itself
				}
				accounted(t, c.root, st, c.count())
				listsWhole(t, st, prefix, st)
				noSecret(t, c.root, powerSecret)
			}
			for part := range c.running {
				c.kill(part)
			}
			dir, err := spool.Open(c.root, sid)
			if err != nil {
				t.Fatal(err)
			}
			j, _, err := dir.OpenJournal(time.Now)
			if err == nil {
				err = errors.Join(j.Append(spool.Fact{Type: spool.FactEnded, Recorded: true}), j.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
			if p := start(t, dir, newGuard(t, st), nil).finish(); p.Lost != 0 {
				t.Errorf("%+v", p)
			}
			for name, sum := range c.count() {
				if got := read(t, st, prefix+name); got != sum {
					t.Errorf("%s is not in the store as it was closed", name)
				}
			}
		})
	}
}
