package node

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"tapedeck/internal/keyring"
	"tapedeck/internal/ledger"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// testKeys are SpoolKeys that note each key they gave out.
func testKeys(t *testing.T) (keys SpoolKeys, drawn func() []byte) {
	t.Helper()
	ring, err := keyring.LoadOrCreate(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	var last atomic.Pointer[[]byte]
	return SpoolKeys{
		Draw: func(sid string) []byte {
			key := make([]byte, spool.KeyLen)
			_, _ = rand.Read(key)
			last.Store(&key)
			return ring.Seal([]byte(sid), key)
		},
		Open: func(sid string, sealed []byte) ([]byte, error) { return ring.Open([]byte(sid), sealed) },
	}, func() []byte { return *last.Load() }
}

// TestEncryptedSpool: the worker gets the key, the next one the same, the disk
// and the ledger never, and the store what was recorded.
func TestEncryptedSpool(t *testing.T) {
	b := newBench(t, sane)
	keys, drawn := testKeys(t)
	b.cfg.Keys = keys
	ship := b.cfg.Shipper
	b.cfg.Shipper = func(dir *spool.Dir, rec ledger.Record, report func(ShipProgress)) (Shipper, error) {
		key, err := keys.open(rec)
		if err == nil {
			dir, err = dir.WithKey(key)
		}
		if err != nil {
			return nil, err
		}
		return ship(dir, rec, report)
	}
	b.closed.Store(true) // everything stays in the spool until it was looked at
	b.open()
	sid := b.place()
	pid := b.incarnation(sid, 1)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.incarnation(sid, 2)
	b.stop(sid, true)
	b.eventually("the recording has ended", func() bool {
		facts := b.facts(sid)
		return len(facts) > 0 && facts[len(facts)-1].Type == spool.FactEnded
	})
	closed := nothingPlain(t, filepath.Join(b.cfg.Spool, sid), drawn())
	if closed == 0 {
		t.Fatal("no slice was there to be looked at")
	}
	if rec, _ := b.get(sid).Encode(); bytes.Contains(rec, drawn()) || len(b.get(sid).SpoolKey) == 0 {
		t.Error("the ledger has not the key sealed")
	}
	b.closed.Store(false)
	b.untilState(sid, session.Done)
	arrived := 0
	err := filepath.WalkDir(b.dest, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil && !bytes.HasPrefix(content, []byte("slice ")) && !bytes.HasPrefix(content, []byte("#EXTM3U")) {
			t.Errorf("%s arrived encrypted", path)
		}
		arrived++
		return err
	})
	if err != nil || arrived < closed {
		t.Errorf("%d files arrived, %d were closed: %v", arrived, closed, err)
	}
}

// nothingPlain looks at every file of a spool folder and returns how many
// slices there are.
func nothingPlain(t *testing.T, folder string, key []byte) (slices int) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if bytes.Contains(content, key) {
			t.Errorf("%s has the data key", path)
		}
		if filepath.Base(filepath.Dir(path)) != "files" {
			return err
		}
		if bytes.Contains(content, []byte("slice ")) || bytes.Contains(content, []byte("#EXTM3U")) {
			t.Errorf("%s is in the clear", path)
		}
		if strings.HasSuffix(path, ".ts") {
			slices++
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return slices
}

// TestEncryptedSpoolRefused: a node that cannot open the key does not take the
// recording.
func TestEncryptedSpoolRefused(t *testing.T) {
	b := newBench(t, sane)
	b.open()
	sid := b.claim(func(r *ledger.Record) { r.SpoolKey = []byte("sealed elsewhere") })
	var refused *ledger.ErrRefused
	if err := b.ledger.Place(t.Context(), sid); !errors.As(err, &refused) || b.get(sid).Node != "" {
		t.Errorf("%v, on node %q", err, b.get(sid).Node)
	}
}
