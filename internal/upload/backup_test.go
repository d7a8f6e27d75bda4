package upload_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/spool"
	"tapedeck/internal/upload"
	"tapedeck/internal/upload/vendor"
)

// ill is a store that can be out of order.
type ill struct {
	vendor.Store

	mu   sync.Mutex
	how  vendor.Fault
	is   bool
	lies bool // answers well and keeps nothing
}

func (s *ill) set(is bool, how vendor.Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.is, s.how = is, how
}

func (s *ill) err(op, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.is {
		return nil
	}
	return vendor.NewError(op, key, s.how, "MadeUp", errors.New("out of order"))
}

func (s *ill) Put(ctx context.Context, o vendor.Object, body io.ReaderAt) (string, error) {
	if err := s.err("put", o.Key); err != nil {
		return "", err
	}
	s.mu.Lock()
	lies := s.lies
	s.mu.Unlock()
	if lies {
		return o.MD5, nil
	}
	return s.Store.Put(ctx, o, body)
}

func (s *ill) Stat(ctx context.Context, key string) (vendor.Info, error) {
	if err := s.err("stat", key); err != nil {
		return vendor.Info{}, err
	}
	return s.Store.Stat(ctx, key)
}

// withBackup lets files go to the backup store quickly.
func withBackup(st vendor.Store) func(*upload.Config) {
	return func(c *upload.Config) {
		c.Backup = upload.Backup{Store: st, Prefix: "kept/" + sid + "/", After: 30 * time.Millisecond, AfterEnd: 10 * time.Millisecond}
	}
}

func keysOf(t testing.TB, st vendor.Store) (all []string) {
	t.Helper()
	err := st.List(context.Background(), "", func(i vendor.Info) bool {
		all = append(all, i.Key)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// allHome compares the caller's store with the journal. Playlists may be there
// under their own names or, forwarded, under later ones; no stored one names a
// slice that is not there.
func allHome(t testing.TB, dir *spool.Dir, st vendor.Store, forwarded bool) {
	t.Helper()
	facts, _, err := dir.ReadJournal(0)
	if err != nil {
		t.Fatal(err)
	}
	stored := map[string]bool{}
	for _, k := range keysOf(t, st) {
		stored[strings.TrimPrefix(k, prefix)] = true
	}
	for _, f := range facts {
		if f.Type != spool.FactClosed {
			continue
		}
		if got := read(t, st, prefix+f.Name); got != f.SHA256 {
			t.Errorf("%s has other content at home", f.Name)
		}
	}
	complete := 0
	for name := range stored {
		if !strings.HasSuffix(name, ".m3u8") {
			continue
		}
		r, err := st.Get(context.Background(), prefix+name)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(r)
		_ = r.Close()
		for line := range strings.SplitSeq(string(b), "\n") {
			if strings.HasSuffix(line, ".ts") && !stored[line] {
				t.Errorf("playlist %s names %s, which is not there", name, line)
			}
		}
		if bytes.Contains(b, []byte("ENDLIST")) {
			complete++
		}
		isForwarded := regexp.MustCompile(`_\d{11}_0\.m3u8$`).MatchString(name)
		if forwarded && bytes.Contains(b, []byte("ENDLIST")) != isForwarded {
			t.Errorf("%s: a forwarded playlist is <name>_<tick>_<index>.m3u8", name)
		}
	}
	if complete == 0 {
		t.Error("no final playlist is at home")
	}
}

func away(t testing.TB, dir *spool.Dir) (n int) {
	t.Helper()
	all, err := dir.ReadReceipts()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range spool.Settled(all) {
		if r.Backup != "" {
			n++
		}
	}
	return n
}

// TestBackup: the caller's store goes out of order and stays so beyond the end.
// What it does not take goes to the backup store, playlists at last; later all
// of it is moved home and the copies are removed.
func TestBackup(t *testing.T) {
	home := &ill{Store: localStore(t)}
	backup := localStore(t)
	dir := newSpool(t)
	w := newWorker(t, dir)
	w.slice("1")
	s := start(t, dir, newGuard(t, home), withBackup(backup))
	s.until("the first slice", func(p upload.Progress) bool { return p.Uploaded == 2 })
	home.set(true, vendor.Destination)
	w.slice("1")
	w.slice("1")
	p := s.until("the backup", func(p upload.Progress) bool { return p.Backuped == 2 })
	if p.Retries == 0 || p.Bytes > p.Total {
		t.Errorf("%+v", p)
	}
	if got := keysOf(t, backup); len(got) != 2 || !strings.HasPrefix(got[0], "kept/"+sid+"/") {
		t.Errorf("in the backup store: %q", got)
	}
	w.mp4(0, 1<<20)
	w.end()
	p = s.finish()
	if p.Backuped != 4 || p.Waiting != 0 || !p.Done() || len(p.Files) != 2 || p.Bytes != p.Total {
		t.Errorf("at the end: %+v", p)
	}
	spoolIsEmptyOf(t, dir, ".ts", ".mp4")

	// Still out of order: nothing is lost by trying.
	if p := start(t, dir, home, withBackup(backup)).finish(); p.Backuped != 4 || away(t, dir) != 4 {
		t.Errorf("tried too early: %+v", p)
	}
	// Restarted without the backup store's address: nothing is lost either.
	if p := start(t, dir, home, nil).finish(); p.Backuped != 4 {
		t.Errorf("without a backup store: %+v", p)
	}
	home.set(false, 0)
	p = start(t, dir, newGuard(t, home), withBackup(backup)).finish()
	if p.Backuped != 0 || p.Uploaded != 5 || away(t, dir) != 0 {
		t.Errorf("moved home: %+v", p)
	}
	allHome(t, dir, home, true)
	if got := keysOf(t, backup); len(got) != 0 {
		t.Errorf("left in the backup store: %q", got)
	}
}

func spoolIsEmptyOf(t testing.TB, dir *spool.Dir, suffixes ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir.Path() + "/files")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		for _, s := range suffixes {
			if strings.HasSuffix(e.Name(), s) {
				t.Errorf("%s is still in the spool", e.Name())
			}
		}
	}
}

// TestBackupComesHomeEarly: the store is back before the recording ends. All is
// moved home meanwhile and the recording closes as if nothing had been.
func TestBackupComesHomeEarly(t *testing.T) {
	home := &ill{Store: localStore(t)}
	backup := localStore(t)
	dir := newSpool(t)
	w := newWorker(t, dir)
	home.set(true, vendor.Destination)
	s := start(t, dir, newGuard(t, home), withBackup(backup))
	w.slice("1")
	w.slice("1")
	s.until("the backup", func(p upload.Progress) bool { return p.Backuped == 2 })
	home.set(false, 0)
	w.slice("1")
	s.until("the way home", func(p upload.Progress) bool { return p.Backuped == 0 && p.Uploaded == 4 })
	w.end()
	p := s.finish()
	if p.Uploaded != 4 || away(t, dir) != 0 || len(keysOf(t, backup)) != 0 {
		t.Errorf("%+v, backup has %q", p, keysOf(t, backup))
	}
	allHome(t, dir, home, false)
	verify(t, dir, home)
}

// TestNoBackupForCallersFaults: a wrong key is told and waited for.
func TestNoBackupForCallersFaults(t *testing.T) {
	home := &ill{Store: localStore(t)}
	backup := localStore(t)
	home.set(true, vendor.Caller)
	dir := newSpool(t)
	w := newWorker(t, dir)
	w.slice("1")
	w.end()
	s := start(t, dir, home, withBackup(backup))
	p := s.until("several failures", func(p upload.Progress) bool { return p.Retries >= 8 })
	if p.Fault != vendor.Caller || p.Backuped != 0 || len(keysOf(t, backup)) != 0 {
		t.Errorf("%+v", p)
	}
	home.set(false, 0)
	s.finish()
	verify(t, dir, home)
}

// TestBackupDownToo: neither store takes anything; the spool keeps it all.
func TestBackupDownToo(t *testing.T) {
	home, backup := &ill{Store: localStore(t)}, &ill{Store: localStore(t)}
	home.set(true, vendor.Destination)
	backup.set(true, vendor.Caller) // the operator's key is wrong
	dir := newSpool(t)
	w := newWorker(t, dir)
	w.slice("1")
	w.mp4(0, 1000)
	w.end()
	s := start(t, dir, home, withBackup(backup))
	p := s.until("failures of both", func(p upload.Progress) bool { return p.Retries >= 3 && p.BackupRetries >= 3 })
	if p.Waiting != 3 || p.Backuped+p.Uploaded != 0 {
		t.Errorf("%+v", p)
	}
	spoolOrReceipt(t, dir)
	backup.set(false, 0)
	if p = s.finish(); p.Backuped != 3 {
		t.Errorf("%+v", p)
	}
	home.set(false, 0)
	start(t, dir, home, withBackup(backup)).finish()
	allHome(t, dir, home, true)
}

// TestLiar: a store that acknowledges and keeps nothing gets no receipt, and
// the last copy stays, in the spool or in the backup store.
func TestLiar(t *testing.T) {
	home := &ill{Store: localStore(t), lies: true}
	backup := localStore(t)
	dir := newSpool(t)
	w := newWorker(t, dir)
	w.slice("1")
	w.end()
	s := start(t, dir, home, nil)
	p := s.until("doubts", func(p upload.Progress) bool { return p.Retries >= 3 })
	if vendor.Code(p.LastError) != vendor.CodeNotKept || p.Uploaded != 0 {
		t.Errorf("%+v", p)
	}
	s.cancel()
	if err := <-s.done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
	spoolOrReceipt(t, dir)
	if p := start(t, dir, home, withBackup(backup)).finish(); p.Backuped != 2 {
		t.Errorf("%+v", p)
	}
	start(t, dir, home, withBackup(backup)).finish()
	if len(keysOf(t, backup)) != 2 {
		t.Error("the last copy is gone")
	}
	home.lies = false
	start(t, dir, home, withBackup(backup)).finish()
	allHome(t, dir, home, true)
}

// TestDamagedBackup: what the backup store gives back is compared with what was
// recorded; other bytes never come home.
func TestDamagedBackup(t *testing.T) {
	home, backup := &ill{Store: localStore(t)}, localStore(t)
	home.set(true, vendor.Destination)
	dir := newSpool(t)
	w := newWorker(t, dir)
	w.slice("1")
	w.end()
	start(t, dir, home, withBackup(backup)).finish()
	var slice string
	for _, k := range keysOf(t, backup) {
		if strings.HasSuffix(k, ".ts") {
			slice = k
		}
	}
	r, err := backup.Get(t.Context(), slice)
	if err != nil {
		t.Fatal(err)
	}
	good, _ := io.ReadAll(r)
	_ = r.Close()
	bad := bytes.Clone(good)
	bad[len(bad)/2] ^= 1
	replaceObject(t, backup, slice, bad)
	home.set(false, 0)
	if p := start(t, dir, home, withBackup(backup)).finish(); p.Backuped == 0 {
		t.Errorf("%+v", p)
	}
	for _, k := range keysOf(t, home) {
		if strings.HasSuffix(k, ".ts") {
			t.Error("damaged bytes came home")
		}
	}
	replaceObject(t, backup, slice, good)
	start(t, dir, home, withBackup(backup)).finish()
	allHome(t, dir, home, true)
}

func replaceObject(t testing.TB, st vendor.Store, key string, b []byte) {
	t.Helper()
	sum := sha256.Sum256(b)
	if _, err := st.Put(context.Background(), vendor.Object{Key: key, Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:])}, bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
}
