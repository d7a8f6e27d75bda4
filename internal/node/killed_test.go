package node

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/ledger"
	"tapedeck/internal/notify"
	"tapedeck/internal/outbound"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/webhook"
)

// nodeEnv makes this test binary a whole node: an embedded ledger, a node with
// real workers, and the deliveries. Its value is the data folder; hookEnv is where
// the events go.
const (
	nodeEnv = "TAPEDECK_TEST_NODE"
	hookEnv = "TAPEDECK_TEST_HOOK"
	goalEnv = "TAPEDECK_TEST_GOAL" // how many recordings have to end

	hookSecret  = "between us"
	killedEvery = 3       // of them at a time
	sidsFile    = "sids"  // those that were begun, one a line
	ledgerFile  = "ended" // what became of them, written when all have ended
)

func endpointOf(url string) notify.Endpoint {
	return notify.Endpoint{App: "app1", URL: url, Secrets: []string{hookSecret}, AllowHTTP: true}
}

// runNode is what the process does that is killed again and again: it begins
// recordings and stops them until enough have ended.
func runNode(data, hook string) error {
	time.AfterFunc(2*time.Minute, func() { os.Exit(9) })
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
	defer cancel()
	e, err := ledger.StartEmbedded(filepath.Join(data, "nats"), slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	nc, err := e.Conn()
	if err != nil {
		return err
	}
	l, err := ledger.Open(ctx, nc, ledger.Options{})
	if err != nil {
		return err
	}
	box, err := l.OpenOutbox(ctx, ledger.OutboxOptions{})
	if err != nil {
		return err
	}
	id, err := ID(data)
	if err != nil {
		return err
	}
	ep := endpointOf(hook)
	if _, err := notify.Start(ctx, notify.Config{
		Store: box, Node: id, Endpoints: func() []notify.Endpoint { return []notify.Endpoint{ep} },
		Policy: outbound.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	}); err != nil {
		return err
	}
	b := &bench{ledger: l, dest: filepath.Join(data, "store"), log: &logBuffer{}, clock: &clock{}}
	b.mintOK.Store(true)
	n, err := Open(ctx, Config{
		Data: data, Spool: filepath.Join(data, "spool"), Worker: []string{os.Args[0]}, Env: []string{programEnv + "=" + sane},
		Ledger: l, Rooms: b, Shipper: b.ship, Cores: 8,
		Events: Events{
			Outbox: box, Wanted: func(string) (bool, bool) { return true, false },
			Seal: func(_ string, b []byte) ([]byte, error) { return b, nil },
		},
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		times: times{
			poll: 20 * time.Millisecond, exit: time.Second, stop: 5 * time.Second, retry: 20 * time.Millisecond, sweep: 100 * time.Millisecond, unplaced: 300 * time.Millisecond,
		},
	})
	if err != nil {
		return err
	}
	defer func() { _ = n.Close(ctx, false) }()
	goal, err := strconv.Atoi(os.Getenv(goalEnv))
	if err != nil {
		return err
	}
	return (&killed{data: data, goal: goal, l: l, box: box, ep: ep.ID()}).work(ctx)
}

// killed drives the recordings of runNode.
type killed struct {
	data, ep string
	goal     int
	l        *ledger.Ledger
	box      *ledger.Outbox
}

func (k *killed) sids() []string {
	b, _ := os.ReadFile(filepath.Join(k.data, sidsFile))
	return strings.Fields(string(b))
}

func (k *killed) work(ctx context.Context) error {
	for {
		live, ended, err := k.count(ctx)
		if err != nil {
			return err
		}
		switch {
		case len(live) == 0 && len(ended) >= k.goal:
			return k.finish(ctx, ended)
		case len(live) < killedEvery && len(live)+len(ended) < k.goal:
			if err := k.begin(ctx); err != nil {
				return err
			}
		default:
			for _, r := range live {
				if r.State == session.Recording && len(r.Files) > 0 && time.Since(r.Started) > 300*time.Millisecond {
					_, _ = k.l.Ask(ctx, r.SID, ledger.Command{Kind: ledger.CommandStop, Async: true})
				}
			}
		}
		if !wait(ctx, 30*time.Millisecond) {
			return ctx.Err()
		}
	}
}

func (k *killed) count(ctx context.Context) (live []ledger.Record, ended []string, err error) {
	for _, sid := range k.sids() {
		r, _, err := k.l.Get(ctx, sid)
		switch {
		case errors.Is(err, ledger.ErrNotFound): // killed before it was claimed
		case err != nil:
			return nil, nil, err
		case r.State.Ended():
			ended = append(ended, sid+" "+string(r.State))
		default:
			live = append(live, r)
		}
	}
	return live, ended, nil
}

func (k *killed) begin(ctx context.Context) error {
	sid := fmt.Sprintf("%032x", len(k.sids())+1)
	f, err := os.OpenFile(filepath.Join(k.data, sidsFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(sid + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	now := time.Now()
	r := ledger.Record{
		SID: sid, RID: "r" + sid, App: "app1", CName: "room" + sid, UID: 9, Mode: session.Mix,
		State: session.Starting, Status: session.StatusInit, Created: now, ExpiresAt: now.Add(time.Hour),
		Plan: session.Plan{SID: sid, AppID: "app1", CName: "room" + sid, UID: 9, Mode: session.Mix, Streams: session.Both, FilePrefix: "d1/",
			Mixing: &session.Mixing{Width: 360, Height: 640, FPS: 15}},
	}
	if err := k.l.Claim(ctx, r); err != nil {
		return err
	}
	_ = k.l.Place(ctx, sid) // the sweep does it otherwise
	return nil
}

// finish waits until everything is delivered.
func (k *killed) finish(ctx context.Context, ended []string) error {
	for {
		tail, err := k.box.Tail(ctx, "")
		if err != nil {
			return err
		}
		if p, _, err := k.box.Position(ctx, k.ep); err == nil && p.Head == tail && len(p.Open) == 0 {
			break
		}
		if !wait(ctx, 30*time.Millisecond) {
			return ctx.Err()
		}
	}
	return os.WriteFile(filepath.Join(k.data, ledgerFile), []byte(strings.Join(ended, "\n")), 0o600)
}

// hookLog is what arrived.
type hookLog struct {
	mu  sync.Mutex
	all []webhook.Notice
}

func (h *hookLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, err := webhook.Read(r, hookSecret)
	if err != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, n)
}

// TestKilledNode kills a whole node, one of its workers, or both, at 20 random
// moments each. After each moment every closed slice is in the store or in the
// spool with its one content. At the end every recording that the ledger says has
// ended has told all its events, each with one id and one number, in order.
func TestKilledNode(t *testing.T) {
	const moments = 20
	h := &hookLog{}
	srv := httptest.NewServer(h)
	defer srv.Close()
	data := t.TempDir()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	b := &bench{t: t, cfg: Config{Spool: filepath.Join(data, "spool")}}
	t.Cleanup(b.killAll)
	run := func(goal int) (*exec.Cmd, *logBuffer) {
		cmd, log := exec.Command(os.Args[0]), &logBuffer{}
		cmd.Env = append(os.Environ(), nodeEnv+"="+data, hookEnv+"="+srv.URL, goalEnv+"="+strconv.Itoa(goal))
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, log
	}
	var cmd *exec.Cmd
	workers := 0
	for m := range 3 * moments {
		if cmd == nil {
			cmd, _ = run(1 << 20)
		}
		moment := time.NewTimer(time.Duration(100+r.IntN(500)) * time.Millisecond)
		<-moment.C
		if m%3 != 0 && b.killOne(r) {
			workers++
		}
		if m%3 != 1 {
			_ = cmd.Process.Signal(syscall.SIGKILL)
			_ = cmd.Wait()
			cmd = nil
		}
		placed(t, data)
	}
	if cmd != nil {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
	}
	goal := len((&killed{data: data}).sids())
	last, log := run(goal)
	if err := last.Wait(); err != nil {
		t.Fatalf("the node failed: %v\n%s", err, log.b.String())
	}
	t.Logf("%d nodes and %d workers killed", 2*moments, workers)
	if workers < moments {
		t.Errorf("only %d workers were there to be killed", workers)
	}
	judgeKilled(t, data, goal, h.all)
}

// killOne kills one living worker, if there is one.
func (b *bench) killOne(r *rand.Rand) bool {
	sids, _ := spool.List(b.cfg.Spool)
	r.Shuffle(len(sids), func(i, j int) { sids[i], sids[j] = sids[j], sids[i] })
	for _, sid := range sids {
		for _, pid := range b.pids(sid) {
			cmd, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			if err == nil && strings.Contains(string(cmd), sid) && living(pid) {
				return syscall.Kill(pid, syscall.SIGKILL) == nil
			}
		}
	}
	return false
}

// placed: every closed slice of every recording that still has a spool folder is
// there, or in the store, as it was closed.
func placed(t *testing.T, data string) {
	t.Helper()
	root := filepath.Join(data, "spool")
	sids, err := spool.List(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, sid := range sids {
		dir, err := spool.Open(root, sid)
		if err != nil {
			continue // everything of it was done meanwhile
		}
		facts, _, err := dir.ReadJournal(0)
		if err != nil {
			continue
		}
		content := map[string]string{}
		for _, f := range facts {
			if f.Type != spool.FactClosed {
				continue
			}
			if sum, ok := content[f.Name]; ok && sum != f.SHA256 {
				t.Errorf("%s was closed with two contents", f.Name)
			}
			content[f.Name] = f.SHA256
			b, err := os.ReadFile(dir.FilePath(f.Name))
			if errors.Is(err, os.ErrNotExist) {
				b, err = os.ReadFile(filepath.Join(data, "store", "bucket", "d1", f.Name))
			}
			if sum := sha256.Sum256(b); err != nil || hex.EncodeToString(sum[:]) != f.SHA256 {
				t.Errorf("%s is in neither place as it was closed: %v", f.Name, err)
			}
		}
	}
}

func judgeKilled(t *testing.T, data string, goal int, all []webhook.Notice) {
	t.Helper()
	f, err := os.Open(filepath.Join(data, ledgerFile))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	recordings, repeated := 0, 0
	for s := bufio.NewScanner(f); s.Scan(); recordings++ {
		sid, state, _ := strings.Cut(s.Text(), " ")
		if state != string(session.Done) {
			t.Errorf("%s is %s", sid, state)
		}
		var types []int
		ids := map[int64]string{}
		for _, n := range all {
			p := n.Payload
			if p.SID != sid {
				continue
			}
			if id, ok := ids[p.Sequence]; ok {
				repeated++
				if id != n.NoticeID {
					t.Errorf("%s: number %d is %s and %s", sid, p.Sequence, id, n.NoticeID)
				}
				continue
			}
			if p.Sequence != int64(len(ids)) {
				t.Errorf("%s: number %d came after %d", sid, p.Sequence, len(ids)-1)
			}
			if slices.Contains(mapValues(ids), n.NoticeID) {
				t.Errorf("%s: %s has two numbers", sid, n.NoticeID)
			}
			ids[p.Sequence] = n.NoticeID
			types = append(types, n.EventType)
			if n.EventType == 31 {
				checkFiles(t, n)
			}
		}
		sorted := slices.Sorted(slices.Values(types))
		if want := []int{4, 11, 30, 31, 40, 41, 43}; !slices.Equal(sorted, want) || types[len(types)-1] != 11 {
			t.Errorf("%s told %v", sid, types)
		}
	}
	t.Logf("%d recordings, %d requests, %d of them repetitions", recordings, len(all), repeated)
	if recordings < goal {
		t.Errorf("%d recordings ended, want %d", recordings, goal)
	}
}

func mapValues(m map[int64]string) []string {
	var out []string
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

func checkFiles(t *testing.T, n webhook.Notice) {
	t.Helper()
	var d struct{ FileList []notify.File }
	if err := json.Unmarshal(n.Payload.Details, &d); err != nil || len(d.FileList) != 1 || d.FileList[0].FileName != "d1/"+n.Payload.SID+"_room.m3u8" {
		t.Errorf("%s, %v", n.Payload.Details, err)
	}
}
