package postpone

import (
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/ledger"
	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/playlist"
	"tapedeck/internal/media/mux/ts"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/samples"
	"tapedeck/internal/transcode"
	"tapedeck/internal/upload"
	"tapedeck/internal/upload/vendor"
)

// The test binary is the worker program, too. With TAPEDECK_TEST_DIE it kills
// itself after so many milliseconds.
func TestMain(m *testing.M) {
	if i := slices.Index(os.Args, "-job"); i > 0 {
		if ms, err := strconv.Atoi(os.Getenv("TAPEDECK_TEST_DIE")); err == nil {
			time.AfterFunc(time.Duration(ms)*time.Millisecond, func() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL) })
		}
		if strings.Contains(strings.Join(append(os.Environ(), os.Args...), " "), spoolKeyText) {
			slog.Error("failed", "error", "others see the key")
			os.Exit(1)
		}
		if err := transcode.Worker(context.Background(), os.Args[i+1], os.Stdin, slog.New(slog.NewTextHandler(os.Stderr, nil)), time.Now); err != nil {
			slog.Error("failed", "error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	os.Exit(m.Run())
}

const sid = "38f8e3cfdc474cd56fc1ceba380d7e1a"

// world is a bucket with a recording of two users, a ledger and a runner.
type world struct {
	t      *testing.T
	bucket string
	data   string
	rec    ledger.Record
	jobs   *ledger.Jobs
	outbox *ledger.Outbox
	store  vendor.Store
	reads  atomic.Int64
}

func newWorld(t *testing.T, kind session.Postpone) *world {
	w := &world{t: t, data: t.TempDir()}
	root := t.TempDir()
	w.bucket = filepath.Join(root, "b", "d1")
	if err := os.MkdirAll(w.bucket, 0o755); err != nil {
		t.Fatal(err)
	}
	w.rec = ledger.Record{
		SID: sid, App: "app", CName: "room", UID: 5, Mode: session.Individual, State: session.Done, Recorded: true,
		Plan: session.Plan{SID: sid, AppID: "app", CName: "room", UID: 5, Mode: session.Individual, FilePrefix: "d1/", Postponed: &kind},
	}
	s := samples.H264(t)
	for _, uid := range []string{"101", "102"} {
		w.write(uid, "video", s.Video)
		w.write(uid, "audio", s.AAC[1:])
	}
	var err error
	if w.store, err = upload.OpenStore(session.Target{Vendor: 1, Bucket: "b"}, upload.Rules{Endpoints: upload.Endpoints{"*": "file://" + root}}); err != nil {
		t.Fatal(err)
	}
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
	l, err := ledger.Open(t.Context(), nc, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	if w.jobs, err = l.OpenJobs(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if w.outbox, err = l.OpenOutbox(t.Context(), ledger.OutboxOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"jobs", "spool"} {
		if err := os.Mkdir(filepath.Join(w.data, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// write puts one playlist with its slices into the bucket.
func (w *world) write(uid, kind string, units []media.Unit) {
	w.t.Helper()
	zero := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	base := sid + "_room__uid_s_" + uid + "__uid_e_" + kind
	list := playlist.List{}
	mux := ts.New(ts.Config{Video: kind == "video", Audio: kind == "audio", SampleRate: 48000, Channels: 1})
	step := units[1].PTS - units[0].PTS
	for part := range slices.Chunk(units, 150) {
		name := base + "_" + playlist.Stamp(zero.Add(time.Duration(part[0].PTS)*time.Microsecond)) + ".ts"
		f, err := os.Create(filepath.Join(w.bucket, name))
		if err == nil {
			err = mux.Begin(f, false)
		}
		for _, u := range part {
			if pts := ts.PTS(u.PTS); kind == "video" {
				err = errors.Join(err, mux.Video(pts, pts, u.Key, u.Data))
			} else {
				err = errors.Join(err, mux.Audio(pts, u.Data))
			}
		}
		if err = errors.Join(err, mux.End(), f.Close()); err != nil {
			w.t.Fatal(err)
		}
		list.Add(playlist.Entry{Name: name, Dur: part[len(part)-1].PTS + step - part[0].PTS})
	}
	if err := os.WriteFile(filepath.Join(w.bucket, base+".m3u8"), list.Render(true), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.rec.Files = append(w.rec.Files, session.File{Name: "d1/" + base + ".m3u8", UID: uid, Track: kind})
}

// Get counts what is read back.
func (w *world) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	w.reads.Add(1)
	return w.store.Get(ctx, key)
}

func (w *world) runner(env ...string) *Runner {
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	return New(Config{
		Root: filepath.Join(w.data, "jobs"), Spool: filepath.Join(w.data, "spool"), Worker: []string{self}, Env: env,
		Queue:   w.jobs,
		Records: func(context.Context, string) (ledger.Record, error) { return w.rec, nil },
		Open: func(ledger.Record) (Source, session.Target, error) {
			return w, session.Target{Vendor: 1, Region: 2, Bucket: "b", Prefix: "d1/"}, nil
		},
		Gone: func(err error) bool { return errors.Is(err, vendor.ErrNoObject) },
		Ship: func(dir *spool.Dir, rec ledger.Record) (Shipper, error) {
			return upload.New(upload.Config{Dir: dir, Store: w.store, Prefix: "d1/", Gate: upload.NewGate(4), Log: slog.New(slog.DiscardHandler)}), nil
		},
		Outbox: w.outbox, Wanted: func(string) bool { return true },
		Now: time.Now, Log: slog.New(slog.NewTextHandler(w.t.Output(), nil)), Tries: 1000,
	})
}

// once has a runner take the job one time.
func (w *world) once(r *Runner) (over bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	job, err := w.jobs.Take(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := r.do(ctx, job, false); err != nil {
		w.t.Log("failed:", err)
		if err := job.Later(0); err != nil {
			w.t.Fatal(err)
		}
		return false
	}
	if err := job.Done(ctx); err != nil {
		w.t.Fatal(err)
	}
	return true
}

func (w *world) told() (out []string) {
	w.t.Helper()
	entries, err := w.outbox.Events(w.t.Context(), "app", sid, 0, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, strconv.Itoa(int(e.Event.Type))+" "+string(e.Event.Details))
	}
	return out
}

func (w *world) empty() {
	w.t.Helper()
	if left, err := filepath.Glob(filepath.Join(w.data, "jobs", "*")); err != nil || len(left) > 0 {
		w.t.Errorf("left behind: %v, %v", left, err)
	}
}

// The whole way: input out of the bucket, MP4s into it, events in order.
func TestJobOutOfTheBucket(t *testing.T) {
	w := newWorld(t, session.Postpone{Kind: session.PostponeTranscode, Container: "mp4"})
	if err := w.jobs.Add(t.Context(), sid); err != nil {
		t.Fatal(err)
	}
	if !w.once(w.runner()) {
		t.Fatal("the job failed")
	}
	w.judge()
	want := []string{
		`80 {"msgName":"transcoder_started"}`,
		`81 {"msgName":"transcoder_completed","result":"all_success","uids":[` +
			`{"uid":"101","result":"success","fileList":[{"fileName":"d1/` + sid + `_room__uid_s_101__uid_e_0.mp4"}]},` +
			`{"uid":"102","result":"success","fileList":[{"fileName":"d1/` + sid + `_room__uid_s_102__uid_e_0.mp4"}]}]}`,
		`1001 {"msgName":"postpone_transcode_final_result","result":"total_success","fileList":[` +
			`{"fileName":"d1/` + sid + `_room__uid_s_101__uid_e_0.mp4"},{"fileName":"d1/` + sid + `_room__uid_s_102__uid_e_0.mp4"}]}`,
	}
	if got := w.told(); !slices.Equal(got, want) {
		t.Errorf("told:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	w.empty()
}

func (w *world) judge() {
	w.t.Helper()
	for _, uid := range []string{"101", "102"} {
		path := filepath.Join(w.bucket, sid+"_room__uid_s_"+uid+"__uid_e_0.mp4")
		if err := probe.Clean(w.t.Context(), path); err != nil {
			w.t.Error(err)
		}
		info, _, err := probe.Inspect(w.t.Context(), path)
		if err != nil {
			w.t.Fatal(err)
		}
		if d := (info.Duration - 10*time.Second).Abs(); d > 50*time.Millisecond {
			w.t.Errorf("%s lasts %v", uid, info.Duration)
		}
	}
}

// Killed at random moments, again and again, the job comes to the same end, and
// nobody is told twice.
func TestJobIsKilledAndGoesOn(t *testing.T) {
	w := newWorld(t, session.Postpone{Kind: session.PostponeTranscode, Container: "mp4"})
	if err := w.jobs.Add(t.Context(), sid); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 6 {
		if w.once(w.runner("TAPEDECK_TEST_DIE=" + strconv.Itoa(1+rng.IntN(120)))) {
			break
		}
	}
	reads := w.reads.Load()
	for n := 0; ; n++ {
		if waiting, err := w.jobs.Waiting(t.Context()); err != nil || waiting == 0 {
			break
		}
		if n > 3 {
			t.Fatal("the job does not come to an end")
		}
		w.once(w.runner())
	}
	if again := w.reads.Load() - reads; again > 0 {
		t.Errorf("%d files were read back once more", again)
	}
	w.judge()
	var types []string
	for _, e := range w.told() {
		types = append(types, strings.Fields(e)[0])
	}
	if !slices.Equal(types, []string{"80", "81", "1001"}) {
		t.Errorf("told %v", types)
	}
	w.empty()
}

// Slices that are gone are named once, and leave gaps; what the spool still has is
// not read back.
func TestMissingAndLocalInput(t *testing.T) {
	w := newWorld(t, session.Postpone{Kind: session.PostponeMix, Container: "mp3", SampleRate: 48000, Bitrate: 48000, Channels: 2})
	dir, err := spool.Create(filepath.Join(w.data, "spool"), sid)
	if err != nil {
		t.Fatal(err)
	}
	names, err := os.ReadDir(w.bucket)
	if err != nil {
		t.Fatal(err)
	}
	gone := ""
	for _, e := range names {
		if strings.Contains(e.Name(), "_101__uid_e_audio_") {
			gone = e.Name()
			continue
		}
		if err := os.Link(filepath.Join(w.bucket, e.Name()), dir.FilePath(e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(w.bucket, gone)); err != nil {
		t.Fatal(err)
	}
	if err := w.jobs.Add(t.Context(), sid); err != nil {
		t.Fatal(err)
	}
	if !w.once(w.runner()) {
		t.Fatal("the job failed")
	}
	if n := w.reads.Load(); n > 4 { // the slices of one playlist
		t.Errorf("%d files read back", n)
	}
	told := w.told()
	if len(told) != 4 || !strings.HasPrefix(told[1], "90 ") || !strings.Contains(told[1], gone) || !strings.Contains(told[1], `"bucket":"b"`) {
		t.Errorf("told %s", strings.Join(told, "\n"))
	}
	if !strings.Contains(told[len(told)-1], sid+"_room_0.mp3") {
		t.Errorf("told %s", told[len(told)-1])
	}
	w.empty()
}

// Without anything that can be used the job fails, is tried again, and says so in the end.
func TestHopelessJobIsGivenUp(t *testing.T) {
	w := newWorld(t, session.Postpone{Kind: session.PostponeTranscode, Container: "mp4"})
	for _, f := range w.rec.Files {
		if err := os.Remove(filepath.Join(filepath.Dir(w.bucket), f.Name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.jobs.Add(t.Context(), sid); err != nil {
		t.Fatal(err)
	}
	if w.once(w.runner()) {
		t.Fatal("a job without input succeeds")
	}
	job, err := w.jobs.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.runner().do(t.Context(), job, true); err != nil {
		t.Fatal(err)
	}
	told := w.told()
	if last := told[len(told)-1]; !strings.Contains(last, `"result":"failed"`) {
		t.Errorf("told %s", strings.Join(told, "\n"))
	}
}

var _ Outbox = (*ledger.Outbox)(nil)
