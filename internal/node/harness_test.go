package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/ledger"
	"tapedeck/internal/link"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/upload"
)

// bench is a ledger, a destination, a spool and, mostly, a node.
type bench struct {
	t      *testing.T
	ledger *ledger.Ledger
	dest   string
	cfg    Config
	node   *Node
	log    *logBuffer
	clock  *clock
	closed atomic.Bool // the store takes nothing
	mintOK atomic.Bool
	count  int
}

// clock is the real one moved by hand.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), s)
}

// Room implements Minter.
func (b *bench) Room(plan session.Plan, _ time.Duration) (link.Room, error) {
	if !b.mintOK.Load() {
		return link.Room{}, errors.New("no key")
	}
	return link.Room{URL: "ws://rooms.test", Token: "tok-" + plan.CName, Identity: "rec-" + plan.SID}, nil
}

// gatedShipper is the real one behind a door.
type gatedShipper struct {
	*upload.Ship
	b *bench
}

func (g gatedShipper) Run(ctx context.Context) error {
	if g.b.closed.Load() {
		return errors.New("the store is closed")
	}
	return g.Ship.Run(ctx)
}

func (b *bench) ship(dir *spool.Dir, rec ledger.Record, report func(ShipProgress)) (Shipper, error) {
	if string(rec.Storage) == "bad" {
		return nil, errors.New("bad storage")
	}
	store, err := upload.OpenStore(session.Target{Vendor: 1, Bucket: "bucket"}, upload.Rules{Endpoints: upload.Endpoints{"*": "file://" + b.dest}})
	if err != nil {
		return nil, err
	}
	return gatedShipper{upload.New(upload.Config{
		Dir: dir, Store: store, Prefix: rec.Plan.FilePrefix, Poll: 20 * time.Millisecond,
		Progress: func(p upload.Progress) {
			report(ShipProgress{Uploaded: p.Uploaded, Waiting: p.Waiting, LastError: p.LastError})
		},
	}), b}, nil
}

func newBench(t *testing.T, way string) *bench {
	t.Helper()
	b := &bench{t: t, dest: t.TempDir(), log: &logBuffer{}, clock: &clock{}}
	b.mintOK.Store(true)
	e, err := ledger.StartEmbedded(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	nc, err := e.Conn()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if b.ledger, err = ledger.Open(t.Context(), nc, ledger.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.ledger.Close)
	data := t.TempDir()
	b.cfg = Config{
		Data: data, Spool: filepath.Join(data, "spool"), Worker: []string{os.Args[0]}, Env: []string{programEnv + "=" + way},
		Ledger: b.ledger, Rooms: b, Shipper: b.ship, Now: b.clock.now, Cores: 4,
		Log: slog.New(slog.NewTextHandler(b.log, nil)),
		times: times{
			poll: 20 * time.Millisecond, exit: 300 * time.Millisecond, stop: 2 * time.Second, retry: 20 * time.Millisecond,
			sweep: time.Hour, unplaced: time.Minute, lost: time.Hour,
		},
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the node:\n%s", b.log.b.String())
		}
	})
	t.Cleanup(b.killAll)
	return b
}

// open starts the node. When the test ends it ends its recordings.
func (b *bench) open() {
	b.t.Helper()
	n, err := Open(b.t.Context(), b.cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	b.node = n
	b.t.Cleanup(func() {
		b.closed.Store(false)
		b.close(true)
	})
}

func (b *bench) close(finish bool) {
	b.t.Helper()
	if b.node == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	if err := b.node.Close(ctx, finish); err != nil {
		b.t.Error(err)
	}
	b.node = nil
}

// claim stores a new recording and returns its sid.
func (b *bench) claim(change ...func(*ledger.Record)) string {
	b.t.Helper()
	b.count++
	sid := fmt.Sprintf("%032x", b.count)
	now := b.clock.now()
	r := ledger.Record{
		SID: sid, RID: "r" + sid, App: "app1", CName: "room" + strconv.Itoa(b.count), UID: 9, Mode: session.Mix,
		State: session.Starting, Status: session.StatusInit, Created: now, ExpiresAt: now.Add(time.Hour),
	}
	r.Plan = session.Plan{SID: sid, AppID: r.App, CName: r.CName, UID: 9, Mode: r.Mode, Streams: session.Both, FilePrefix: "d1/",
		Mixing: &session.Mixing{Width: 360, Height: 640, FPS: 15}}
	for _, c := range change {
		c(&r)
	}
	if err := b.ledger.Claim(b.t.Context(), r); err != nil {
		b.t.Fatal(err)
	}
	return sid
}

// place claims and places a recording.
func (b *bench) place(change ...func(*ledger.Record)) string {
	b.t.Helper()
	sid := b.claim(change...)
	if err := b.ledger.Place(b.t.Context(), sid); err != nil {
		b.t.Fatal(err)
	}
	return sid
}

func (b *bench) get(sid string) ledger.Record {
	b.t.Helper()
	r, _, err := b.ledger.Get(b.t.Context(), sid)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *bench) stop(sid string, async bool) ledger.Reply {
	b.t.Helper()
	r, err := b.ledger.Ask(b.t.Context(), sid, ledger.Command{Kind: ledger.CommandStop, Async: async})
	if err != nil {
		b.t.Fatalf("stop: %v", err)
	}
	return r
}

func (b *bench) eventually(what string, ok func() bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			b.t.Fatalf("never: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (b *bench) untilState(sid string, s session.State) ledger.Record {
	b.t.Helper()
	b.eventually("recording "+sid+" is "+string(s), func() bool { return b.get(sid).State == s })
	return b.get(sid)
}

// facts returns the journal of sid.
func (b *bench) facts(sid string) []spool.Fact {
	dir, err := spool.Open(b.cfg.Spool, sid)
	if err != nil {
		return nil
	}
	facts, _, _ := dir.ReadJournal(0)
	return facts
}

func (b *bench) notes(sid, prefix string) []string {
	var out []string
	for _, f := range b.facts(sid) {
		if rest, ok := strings.CutPrefix(f.Note, prefix); ok && f.Type == spool.FactGap {
			out = append(out, rest)
		}
	}
	return out
}

// pids returns the processes of all incarnations of sid.
func (b *bench) pids(sid string) []int {
	var out []int
	for _, n := range b.notes(sid, "pid=") {
		pid, _, _ := strings.Cut(n, " ")
		if v, err := strconv.Atoi(pid); err == nil {
			out = append(out, v)
		}
	}
	return out
}

// incarnation waits for the n-th worker of sid to record and returns its pid.
func (b *bench) incarnation(sid string, n int) int {
	b.t.Helper()
	b.eventually(fmt.Sprintf("worker %d records", n), func() bool { return len(b.pids(sid)) >= n && len(b.slices(sid)) > 0 })
	return b.pids(sid)[n-1]
}

func (b *bench) slices(sid string) []string {
	var out []string
	for _, f := range b.facts(sid) {
		if f.Type == spool.FactClosed {
			out = append(out, f.Name)
		}
	}
	return out
}

func living(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(stat, []byte(") Z"))
}

// killAll ends what a failed test left.
func (b *bench) killAll() {
	sids, _ := spool.List(b.cfg.Spool)
	for _, sid := range sids {
		for _, pid := range b.pids(sid) {
			cmd, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			if err == nil && bytes.Contains(cmd, []byte(sid)) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
}

// shippedAll checks that the destination has every slice and the final playlist.
func (b *bench) shippedAll(sid string) {
	b.t.Helper()
	dir := filepath.Join(b.dest, "bucket", "d1")
	slices := b.slices(sid)
	if len(slices) == 0 {
		b.t.Error("no slices")
	}
	for _, name := range slices {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			b.t.Error(err)
		}
	}
	if list, err := os.ReadFile(filepath.Join(dir, sid+"_room.m3u8")); err != nil || !strings.HasSuffix(string(list), "true") {
		b.t.Errorf("playlist %q, %v", list, err)
	}
}
