package upload_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/mounts"
	"tapedeck/internal/upload"
	"tapedeck/internal/upload/vendor"
)

// powerEnv makes the test program a worker and a shipper at once: "<spool
// root>|<endpoint of the store>|<first number>", or one of the two.
const (
	powerEnv      = "TAPEDECK_POWER_CHILD"
	powerPartEnv  = "TAPEDECK_POWER_PART"
	powerAloneEnv = "TAPEDECK_POWER_ALONE" // has TestPowerCut run in mounts of its own
	asWorker      = "worker"
	asNode        = "node"
)

// powerSecret is a key that must not get onto a disk.
const powerSecret = "a-secret-0123456789"

// livePower records and ships until it is killed. It prints what it has promised:
// "closed <name> <sha256>" for a slice whose fact is durable.
func livePower(arg string) error {
	root, rest, _ := strings.Cut(arg, "|")
	endpoint, from, _ := strings.Cut(rest, "|")
	var n int
	if _, err := fmt.Sscan(from, &n); err != nil {
		return err
	}
	dir, err := spool.Create(root, sid)
	if err != nil {
		return err
	}
	st, err := upload.OpenStore(session.Target{Vendor: 1, Bucket: bucket, AccessKey: "key", SecretKey: powerSecret}, upload.Rules{Endpoints: upload.Endpoints{"*": endpoint}})
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	part := os.Getenv(powerPartEnv)
	go func() {
		if part == asWorker {
			return
		}
		ended <- upload.New(upload.Config{Dir: dir, Store: st, Prefix: prefix, Backoff: quick(), Poll: time.Millisecond}).Run(context.Background())
	}()
	if part != asNode {
		go func() { ended <- recordPower(dir, n) }()
	}
	return <-ended
}

func recordPower(dir *spool.Dir, n int) error {
	j, facts, err := dir.OpenJournal(time.Now)
	if err != nil {
		return err
	}
	list := "#EXTM3U\n"
	for _, f := range facts {
		if f.Type == spool.FactClosed {
			list += f.Name + "\n"
		}
	}
	parts, err := dir.Parts() // what the last incarnation left half done
	if err != nil {
		return err
	}
	for _, name := range parts {
		p, err := dir.ResumePart(name)
		if err == nil {
			err = p.Discard()
		}
		if err != nil {
			return err
		}
	}
	if err := j.Append(spool.Fact{Type: spool.FactOpened, Version: 1, SID: sid, Incarnation: 1, ZeroMicro: zero}); err != nil {
		return err
	}
	rnd := rand.New(rand.NewPCG(uint64(n), 7))
	for ; ; n++ {
		name := fmt.Sprintf("%s_ch_%017d.ts", sid, n)
		p, err := dir.CreatePart(name)
		if err != nil {
			return err
		}
		b := make([]byte, 500+rnd.IntN(60_000))
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		if _, err := p.Write(b); err != nil {
			return err
		}
		info, err := p.Close()
		if err != nil {
			return err
		}
		err = j.Append(spool.Fact{
			Type: spool.FactClosed, Name: name, Kind: spool.KindSlice, UID: "0", Track: session.TrackBoth, Index: sid + "_ch.m3u8",
			Size: info.Size, SHA256: info.SHA256, MD5: info.MD5,
		})
		if err != nil {
			return err
		}
		fmt.Println("closed", name, info.SHA256)
		list += name + "\n"
		if _, err := dir.Replace(sid+"_ch.m3u8", []byte(list)); err != nil {
			return err
		}
		if err := j.Append(spool.Fact{Type: spool.FactIndex, Name: sid + "_ch.m3u8", Kind: spool.KindPlaylist, UID: "0", Track: session.TrackBoth, Playable: true}); err != nil {
			return err
		}
	}
}

// ext4Shutdown ends a mounted ext4 without writing its log, as a power cut
// does (EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH).
func ext4Shutdown(mnt string) error {
	f, err := os.Open(mnt)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	const shutdown, noLogFlush = 0x8004587d, 2
	flag := uint32(noLogFlush)
	_, _, e := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), shutdown, uintptr(unsafe.Pointer(&flag)))
	runtime.KeepAlive(&flag)
	if e != 0 {
		return e
	}
	return nil
}

// disk is an ext4 in a file, mounted on a folder of its own.
type disk struct {
	t   *testing.T
	img string
	mnt string
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	if err := mounts.Private(); err != nil {
		t.Skip(err)
	}
	d := &disk{t: t, img: filepath.Join(t.TempDir(), "disk"), mnt: t.TempDir()}
	f, err := os.Create(d.img)
	if err == nil {
		err = errors.Join(f.Truncate(64<<20), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", d.img).CombinedOutput(); err != nil {
		t.Skipf("%v an ext4: %v %s", mounts.ErrNone, err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop", d.img, d.mnt).CombinedOutput(); err != nil {
		t.Skipf("%v a loop: %v %s", mounts.ErrNone, err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", d.mnt).Run() })
	return d
}

// cycle brings the disk back after the power cut.
func (d *disk) cycle() {
	d.t.Helper()
	for _, c := range [][]string{{"umount", d.mnt}, {"mount", "-o", "loop", d.img, d.mnt}} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			d.t.Fatalf("%v: %v %s", c, err, out)
		}
	}
}

// TestPowerCut cuts the power at 20 random moments while a recording is written
// and shipped. Every slice whose fact was promised is in the spool or in the
// store after it, with its one content; every receipt tells the truth; the
// playlist in the store names what is there; no secret is on the disk. The disk is
// mounted for one process and its children alone: as long as anybody else has it,
// what comes back after the cut is the file system that was shut down.
func TestPowerCut(t *testing.T) {
	if os.Getenv(powerAloneEnv) == "" {
		if os.Getuid() != 0 {
			t.Skip("mounting a file system needs root")
		}
		c := exec.Command(os.Args[0], "-test.run=^TestPowerCut$", "-test.v")
		c.Env = append(os.Environ(), powerAloneEnv+"=1")
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		t.Log(mounts.Run(t, c, "moments: 20"))
		return
	}
	d := newDisk(t)
	folder := t.TempDir() // the store has another disk
	endpoint := "file://" + folder
	st, err := upload.OpenStore(session.Target{Bucket: bucket}, upload.Rules{Endpoints: upload.Endpoints{"*": endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(d.mnt, "spool")
	promised := map[string]string{}
	rnd := seeded(t)
	for round := range moments {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%s|%d", powerEnv, root, endpoint, round*10_000))
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		after := 3 + rnd.IntN(30)
		for n := 0; n < after && lines.Scan(); n++ {
			promise(t, promised, lines.Text())
		}
		// Between the line and the cut passes a moment of the scheduler's choice.
		if err := c.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		if err := ext4Shutdown(d.mnt); err != nil {
			_ = c.Process.Kill()
			_ = c.Wait()
			t.Skipf("%v an ext4 that can be shut down: %v", mounts.ErrNone, err)
		}
		_ = c.Process.Kill()
		for lines.Scan() { // what it had said before
			promise(t, promised, lines.Text())
		}
		_ = c.Wait()
		d.cycle()
		accounted(t, root, st, promised)
		listsWhole(t, st, prefix, st)
		noSecret(t, d.mnt, powerSecret)
	}
	dir, err := spool.Open(root, sid)
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
	if p := start(t, dir, st, nil).finish(); p.Lost != 0 {
		t.Errorf("%+v", p)
	}
	for name, sum := range promised {
		if got := read(t, st, prefix+name); got != sum {
			t.Errorf("%s is not in the store as it was closed", name)
		}
	}
	if len(promised) < 12 {
		t.Errorf("only %d slices were promised", len(promised))
	}
	fmt.Println("moments:", moments, "slices:", len(promised))
}

func promise(t *testing.T, promised map[string]string, line string) {
	t.Helper()
	f := strings.Fields(line)
	if len(f) != 3 || f[0] != "closed" {
		t.Fatalf("the child says %q", line)
	}
	promised[f[1]] = f[2]
}

// accounted: every promised slice is in the spool, whole, or in the store.
func accounted(t *testing.T, root string, st vendor.Store, promised map[string]string) {
	t.Helper()
	dir, err := spool.Open(root, sid)
	if err != nil {
		t.Fatal(err)
	}
	facts, _, err := dir.ReadJournal(0)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, f := range facts {
		if f.Type != spool.FactClosed {
			continue
		}
		if sum, ok := told[f.Name]; ok && sum != f.SHA256 {
			t.Fatalf("%s was closed with two contents", f.Name)
		}
		told[f.Name] = f.SHA256
	}
	for name, sum := range promised {
		if told[name] != sum {
			t.Fatalf("the fact of %s is gone, or another", name)
		}
		f, err := dir.OpenFile(name)
		if err != nil {
			if got := read(t, st, prefix+name); got != sum {
				t.Fatalf("%s is in neither place", name)
			}
			continue
		}
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		if hex.EncodeToString(h.Sum(nil)) != sum {
			t.Fatalf("%s in the spool is not what was closed", name)
		}
	}
	all, err := dir.ReadReceipts()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range spool.Settled(all) {
		if strings.HasSuffix(r.Name, ".m3u8") {
			continue // replaced by a later one, perhaps before its receipt
		}
		if got := read(t, st, r.Key); got != r.SHA256 {
			t.Fatalf("the receipt of %s is not true", r.Name)
		}
	}
}
