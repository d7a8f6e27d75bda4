package upload_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/spool"
	"tapedeck/internal/upload"
	"tapedeck/internal/upload/local"
)

// fullEnv makes the test program fill a small disk: "<folder to mount it
// on>|<folder of the store>".
const fullEnv = "TAPEDECK_FULL_CHILD"

var errNoMount = errors.New("cannot mount a tmpfs")

// liveFull records until the disk is full, ends the recording there and ships.
func liveFull(arg string) error {
	mnt, folder, _ := strings.Cut(arg, "|")
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("%w: %w", errNoMount, err)
	}
	if err := syscall.Mount("tmpfs", mnt, "tmpfs", 0, "size=2m,mode=700"); err != nil {
		return fmt.Errorf("%w: %w", errNoMount, err)
	}
	dir, err := spool.Create(mnt, sid)
	if err != nil {
		return err
	}
	j, _, err := dir.OpenJournal(time.Now)
	if err != nil {
		return err
	}
	if err := j.Append(spool.Fact{Type: spool.FactOpened, Version: 1, SID: sid, Incarnation: 1, ZeroMicro: zero}); err != nil {
		return err
	}
	closed := 0
	for err == nil {
		if err = fillSlice(dir, j, closed); err == nil {
			closed++
		}
	}
	if !errors.Is(err, spool.ErrFull) || closed < 5 {
		return fmt.Errorf("after %d slices: %w", closed, err)
	}
	if err := j.Append(spool.Fact{Type: spool.FactEnded, Note: spool.EndFault, Recorded: true}); err != nil {
		return fmt.Errorf("the end cannot be written on a full disk: %w", err)
	}
	st, err := local.New(folder, bucket)
	if err != nil {
		return err
	}
	var last upload.Progress
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = upload.New(upload.Config{
		Dir: dir, Store: st, Prefix: prefix, Backoff: quick(), Poll: time.Millisecond,
		Progress: func(p upload.Progress) { last = p },
	}).Run(ctx)
	if err != nil || last.Uploaded != closed || last.Lost != 0 {
		return fmt.Errorf("shipped from a full disk: %+v, %w", last, err)
	}
	if err := fillSlice(dir, j, closed); err != nil {
		return fmt.Errorf("there is no room after all was shipped: %w", err)
	}
	fmt.Println("shipped", closed)
	return nil
}

func fillSlice(dir *spool.Dir, j *spool.Journal, n int) error {
	p, err := dir.CreatePart(fmt.Sprintf("%s_ch_%017d.ts", sid, n))
	if err != nil {
		return err
	}
	if _, err := p.Write(make([]byte, 150_000)); err != nil {
		return err // the .part stays, as after a crash
	}
	info, err := p.Close()
	if err != nil {
		return err
	}
	return j.Append(spool.Fact{
		Type: spool.FactClosed, Name: p.Name(), Kind: spool.KindSlice, Index: sid + "_ch.m3u8",
		Size: info.Size, SHA256: info.SHA256, MD5: info.MD5,
	})
}

// TestFullDisk: a disk runs full in the middle of a slice. The recording can
// still be ended, all closed slices are shipped, and that makes room.
func TestFullDisk(t *testing.T) {
	c := exec.Command(os.Args[0])
	folder := t.TempDir()
	c.Env = append(os.Environ(), fullEnv+"="+t.TempDir()+"|"+folder)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		t.Skipf("no namespaces here: %v", err)
	case strings.Contains(string(out), errNoMount.Error()):
		t.Skipf("no mounts here: %s", out)
	case err != nil || !strings.Contains(string(out), "shipped"):
		t.Errorf("%v\n%s", err, out)
	}
	st, err := local.New(folder, bucket)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(keysOf(t, st)); n < 5 {
		t.Errorf("%d slices in the store", n)
	}
}
