package node

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/upload"
	"tapedeck/internal/upload/local"
)

// withBackup gives the node a backup store, which is a folder.
func (b *bench) withBackup(folder string) {
	b.cfg.Shipper = func(dir *spool.Dir, rec ledger.Record, report func(ShipProgress)) (Shipper, error) {
		store, err := upload.OpenStore(session.Target{Vendor: 1, Bucket: "bucket"}, upload.Rules{Endpoints: upload.Endpoints{"*": "file://" + b.dest}})
		if err != nil {
			return nil, err
		}
		backup, err := local.New(folder, "kept")
		if err != nil {
			return nil, err
		}
		return upload.New(upload.Config{
			Dir: dir, Store: store, Prefix: rec.Plan.FilePrefix, Poll: 20 * time.Millisecond,
			Backoff: upload.Backoff{First: time.Millisecond, FirstCaller: time.Millisecond, Max: 20 * time.Millisecond},
			Backup:  upload.Backup{Store: backup, Prefix: rec.SID + "/", After: 20 * time.Millisecond, AfterEnd: 10 * time.Millisecond},
			Progress: func(p upload.Progress) {
				report(ShipProgress{Uploaded: p.Uploaded, Waiting: p.Waiting, Backuped: p.Backuped > 0, LastError: p.LastError})
			},
		}), nil
	}
}

func filesBelow(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !strings.HasPrefix(d.Name(), ".") {
			names = append(names, d.Name())
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return names
}

// TestBackupIsForwarded: a recording whose destination is out of order ends as
// "backuped". Its files are moved home later, by a schedule that a restart does
// not forget, and the copies are removed.
func TestBackupIsForwarded(t *testing.T) {
	b := newBench(t, sane)
	backup := t.TempDir()
	b.withBackup(backup)
	blocked := filepath.Join(b.dest, "bucket")
	if err := os.WriteFile(blocked, []byte("in the way"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.open()
	sid := b.place()
	b.incarnation(sid, 1)
	b.eventually("slices", func() bool { return len(b.slices(sid)) > 2 })
	r := b.stop(sid, false)
	if r.Code != 0 || r.Record.Uploading != session.UploadBackuped || r.Record.State != session.Done || len(r.Record.Files) == 0 {
		t.Fatalf("stop: %+v", r)
	}
	if len(filesBelow(t, backup)) < 3 || len(filesBelow(t, b.dest)) != 1 {
		t.Fatalf("backup %q, destination %q", filesBelow(t, backup), filesBelow(t, b.dest))
	}
	dir, err := spool.Open(b.cfg.Spool, sid)
	if err != nil {
		t.Fatal(err)
	}
	schedule := func() *spool.Forwarding {
		f, err := dir.ReadForwarding()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	b.eventually("a schedule", func() bool { return schedule() != nil })
	step := func() {
		b.node.forwardDue(t.Context(), b.clock.now())
		b.node.homeward.jobs.Wait()
	}
	if step(); schedule().Tries != 0 {
		t.Error("tried before its time")
	}
	b.clock.ahead.Add(int64(2 * time.Minute))
	if step(); schedule().Tries != 1 {
		t.Errorf("after one try: %+v", schedule())
	}
	b.close(false)
	b.open() // the schedule is in the spool
	if step(); schedule().Tries != 1 {
		t.Errorf("a restart forgot when: %+v", schedule())
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	if err := dir.AskRetry(); err != nil { // an operator does not want to wait
		t.Fatal(err)
	}
	if step(); schedule() != nil || len(filesBelow(t, backup)) != 0 {
		t.Errorf("%+v, backup %q", schedule(), filesBelow(t, backup))
	}
	slices := 0
	for _, name := range filesBelow(t, b.dest) {
		if strings.HasSuffix(name, ".ts") {
			slices++
		}
	}
	if slices < 3 {
		t.Errorf("at home: %q", filesBelow(t, b.dest))
	}
	b.clock.ahead.Add(int64(25 * time.Hour))
	b.node.sweep(t.Context())
	if sids, _ := spool.List(b.cfg.Spool); len(sids) != 0 {
		t.Errorf("never removed: %v", sids)
	}
}

// TestForwardGivesUp: after a day the copies stay in the backup store until an
// operator asks for another try.
func TestForwardGivesUp(t *testing.T) {
	b := newBench(t, sane)
	b.open()
	dir, err := spool.Create(b.cfg.Spool, "0123456789abcdef0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	old := &spool.Forwarding{Since: b.clock.now().Add(-25 * time.Hour).Unix(), Tries: 12}
	b.node.forwardLater(dir, old, 3, context.DeadlineExceeded)
	f, err := dir.ReadForwarding()
	if err != nil || !f.Ended {
		t.Fatalf("%+v, %v", f, err)
	}
	if b.node.forwardStep(dir, b.clock.now().Add(1000*time.Hour)) != nil {
		t.Error("tried again by itself")
	}
	if err := dir.AskRetry(); err != nil {
		t.Fatal(err)
	}
	if b.node.forwardStep(dir, b.clock.now()) == nil {
		t.Error("not tried although somebody asked")
	}
	// A clock that was set back by years does not stop the schedule.
	if err := dir.WriteForwarding(&spool.Forwarding{Next: b.clock.now().Add(10000 * time.Hour).Unix()}); err != nil {
		t.Fatal(err)
	}
	if b.node.forwardStep(dir, b.clock.now()) == nil {
		t.Error("waits for the clock")
	}
}

// TestQuota: a spool that holds too much takes no new recording.
func TestQuota(t *testing.T) {
	b := newBench(t, sane)
	dir, err := spool.Create(b.cfg.Spool, "0123456789abcdef0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Replace("waiting.ts", make([]byte, 64<<10)); err != nil {
		t.Fatal(err)
	}
	if err := checkQuota(b.cfg.Spool, 32<<10); err == nil || !strings.Contains(err.Error(), "spool.max_mb") {
		t.Errorf("over the quota: %v", err)
	}
	if err := checkQuota(b.cfg.Spool, 1<<20); err != nil {
		t.Errorf("below: %v", err)
	}
	if err := checkQuota(b.cfg.Spool, 0); err != nil {
		t.Errorf("no quota: %v", err)
	}
}
