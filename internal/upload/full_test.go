package upload_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/mounts"
	"tapedeck/internal/upload"
	"tapedeck/internal/upload/vendor"
)

// fullEnv has TestSmallDisk fill a small disk: "<folder to mount it on>|<folder of
// the store>".
const fullEnv = "TAPEDECK_FULL_CHILD"

// TestFullDisk: a disk runs full at 20 random moments, in the middle of a slice, a
// playlist or a fact. It needs a file system of its own, in a process of its own.
func TestFullDisk(t *testing.T) {
	c := exec.Command(os.Args[0], "-test.run=^TestSmallDisk$", "-test.v")
	c.Env = append(os.Environ(), fullEnv+"="+t.TempDir()+"|"+t.TempDir())
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	t.Log(mounts.Run(t, c, "moments: 20"))
}

// small is a disk of 3 MB with a recording on it.
type small struct {
	t      *testing.T
	mnt    string
	dir    *spool.Dir
	rnd    *rand.Rand
	n      int
	list   string
	closed map[string]string
}

// TestSmallDisk is what TestFullDisk runs. Each time the disk is full, the
// recording can still note so; what was closed before is in the spool or in the
// store with its one content; it can be shipped, which makes room; playlists in
// the store name what is there; no secret is on the disk.
func TestSmallDisk(t *testing.T) {
	mnt, folder, ok := strings.Cut(os.Getenv(fullEnv), "|")
	if !ok {
		t.Skip("TestFullDisk runs it")
	}
	if err := mounts.Disk(mnt, 3<<20); err != nil {
		t.Fatal(err)
	}
	s := &small{t: t, mnt: mnt, rnd: seeded(t), list: "#EXTM3U\n", closed: map[string]string{}}
	var err error
	if s.dir, err = spool.Create(mnt, sid); err != nil {
		t.Fatal(err)
	}
	st, err := upload.OpenStore(session.Target{Bucket: bucket, AccessKey: "key", SecretKey: powerSecret}, upload.Rules{Endpoints: upload.Endpoints{"*": "file://" + folder}})
	if err != nil {
		t.Fatal(err)
	}
	for range moments {
		s.fill(40_000 + s.rnd.IntN(1_000_000))
		s.record()
		accounted(t, mnt, st, s.closed)
		noSecret(t, mnt, powerSecret)
		s.ship(st)
		accounted(t, mnt, st, s.closed)
		listsWhole(t, st, prefix, st)
		noSecret(t, mnt, powerSecret)
		if err := os.Remove(filepath.Join(mnt, "filler")); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.closed) < moments {
		t.Errorf("only %d slices were closed", len(s.closed))
	}
	fmt.Println("moments:", moments, "slices:", len(s.closed))
}

// fill leaves so many bytes of the disk, and what the logs have reserved.
func (s *small) fill(room int) {
	s.t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(s.mnt, &st); err != nil {
		s.t.Fatal(err)
	}
	size := max(int64(st.Bavail)*int64(st.Bsize)-int64(room), 1)
	if err := os.WriteFile(filepath.Join(s.mnt, "filler"), make([]byte, size), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// record goes on until the disk is full.
func (s *small) record() {
	s.t.Helper()
	j, _, err := s.dir.OpenJournal(time.Now)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	parts, err := s.dir.Parts()
	for _, name := range parts { // what was being written when the disk was full
		p, perr := s.dir.ResumePart(name)
		if perr == nil {
			perr = p.Discard()
		}
		err = errors.Join(err, perr)
	}
	if err == nil {
		err = j.Append(spool.Fact{Type: spool.FactOpened, Version: 1, SID: sid, Incarnation: 1, ZeroMicro: zero})
	}
	for err == nil {
		err = s.slice(j)
	}
	if !errors.Is(err, spool.ErrFull) {
		s.t.Fatalf("after %d slices: %v", len(s.closed), err)
	}
	if err := j.Append(spool.Fact{Type: spool.FactGap, Note: "full"}); err != nil {
		s.t.Fatalf("nothing can be noted on a full disk: %v", err)
	}
}

func (s *small) slice(j *spool.Journal) error {
	s.n++
	p, err := s.dir.CreatePart(fmt.Sprintf("%s_ch_%017d.ts", sid, s.n))
	if err != nil {
		return err
	}
	b := make([]byte, 10_000+s.rnd.IntN(140_000))
	for i := range b {
		b[i] = byte(s.rnd.Uint32())
	}
	if _, err := p.Write(b); err != nil {
		return err // the .part stays, as after a crash
	}
	info, err := p.Close()
	if err != nil {
		return err
	}
	if err := j.Append(spool.Fact{
		Type: spool.FactClosed, Name: p.Name(), Kind: spool.KindSlice, UID: "0", Index: sid + "_ch.m3u8",
		Size: info.Size, SHA256: info.SHA256, MD5: info.MD5,
	}); err != nil {
		return err
	}
	s.closed[p.Name()] = info.SHA256
	s.list += p.Name() + "\n"
	if _, err := s.dir.Replace(sid+"_ch.m3u8", []byte(s.list)); err != nil {
		return err
	}
	return j.Append(spool.Fact{Type: spool.FactIndex, Name: sid + "_ch.m3u8", Kind: spool.KindPlaylist, UID: "0", Playable: true})
}

// ship brings everything away from the full disk, and ends as a node that is
// killed does.
func (s *small) ship(st vendor.Store) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	slices := len(s.closed)
	err := upload.New(upload.Config{
		Dir: s.dir, Store: newGuard(s.t, st), Prefix: prefix, Backoff: quick(), Poll: time.Millisecond,
		Progress: func(p upload.Progress) {
			if p.Waiting == 0 && p.Uploaded >= slices {
				cancel()
			}
		},
	}).Run(ctx)
	if !errors.Is(err, context.Canceled) {
		s.t.Fatalf("shipped from a full disk: %v", err)
	}
}
