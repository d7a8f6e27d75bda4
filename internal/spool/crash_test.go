package spool_test

import (
	"bufio"
	"bytes"
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

	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/mounts"
)

// childEnv makes the test program play a part of its own: "<part>:<folder>".
const childEnv = "TAPEDECK_SPOOL_CHILD"

func TestMain(m *testing.M) {
	part, dir, ok := strings.Cut(os.Getenv(childEnv), ":")
	if !ok {
		os.Exit(m.Run())
	}
	play := map[string]func(string) error{"record": record, "full": fullDisk, "readonly": readOnlyDisk}[part]
	if err := play(dir); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println("played")
}

func child(part, dir string) *exec.Cmd {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childEnv+"="+part+":"+dir)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c
}

// record writes slices as a worker does, for ever, and says which are closed.
func record(root string) error {
	d, err := spool.Create(root, sid)
	if err != nil {
		return err
	}
	j, facts, err := d.OpenJournal(time.Now)
	if err != nil {
		return err
	}
	parts, err := d.Parts()
	if err != nil {
		return err
	}
	for _, name := range parts {
		p, err := d.ResumePart(name)
		if err != nil {
			return err
		}
		if err := closeSlice(j, p, name); err != nil {
			return err
		}
	}
	for n := len(facts); ; n++ {
		name := fmt.Sprintf("slice_%06d.ts", n)
		p, err := d.CreatePart(name)
		if err != nil {
			return err
		}
		for range 8 {
			if _, err := p.Write(bytes.Repeat([]byte(name), 200)); err != nil {
				return err
			}
		}
		if err := closeSlice(j, p, name); err != nil {
			return err
		}
		if _, err := d.Replace("list.m3u8", []byte("up to "+name+"\n")); err != nil {
			return err
		}
		if err := j.Append(spool.Fact{Type: spool.FactIndex, Name: "list.m3u8", Note: name}); err != nil {
			return err
		}
	}
}

func closeSlice(j *spool.Journal, p *spool.Part, name string) error {
	info, err := p.Close()
	if err != nil {
		return err
	}
	err = j.Append(spool.Fact{Type: spool.FactClosed, Name: name, Size: info.Size, SHA256: info.SHA256, MD5: info.MD5})
	if err == nil {
		fmt.Println("closed", name)
	}
	return err
}

// TestKill kills the writer at random moments. After each: every slice that
// was reported closed has its fact, every fact its file with that content, no
// file is unaccounted for, and the next writer can go on.
func TestKill(t *testing.T) {
	root := filepath.Join(t.TempDir(), "spool")
	closed := map[string]bool{}
	for range 20 {
		c := child("record", root)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		// The moment: after a few slices, and then somewhere in the next one.
		stop := rand.IntN(8)
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if name, ok := strings.CutPrefix(lines.Text(), "closed "); ok {
				closed[name] = true
			} else {
				t.Fatal(lines.Text())
			}
			if n == stop {
				time.AfterFunc(time.Duration(rand.IntN(3000))*time.Microsecond, func() { _ = c.Process.Kill() })
			}
		}
		_ = c.Wait()
		verify(t, root, closed)
	}
	if len(closed) < 20 {
		t.Errorf("only %d slices were closed in all", len(closed))
	}
}

func verify(t *testing.T, root string, closed map[string]bool) {
	t.Helper()
	d, err := spool.Open(root, sid)
	if err != nil {
		t.Fatal(err)
	}
	j, facts, err := d.OpenJournal(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	known := map[string]bool{}
	for _, f := range facts {
		if f.Type == spool.FactUnreadable {
			t.Fatalf("unreadable: %s", f.Note)
		}
		if f.Type != spool.FactClosed {
			continue
		}
		known[f.Name] = true
		content, err := os.ReadFile(d.FilePath(f.Name))
		if err != nil {
			t.Fatal(err)
		}
		if sha, md := sums(content); sha != f.SHA256 || md != f.MD5 || int64(len(content)) != f.Size {
			t.Fatalf("%s is not what its fact says", f.Name)
		}
	}
	for name := range closed {
		if !known[name] {
			t.Fatalf("%s was closed and has no fact", name)
		}
	}
	parts, err := d.Parts()
	if err != nil || len(parts) > 1 {
		t.Fatalf("parts %v, %v", parts, err)
	}
	entries, err := os.ReadDir(filepath.Dir(d.FilePath("x")))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if n := e.Name(); !known[n] && n != "list.m3u8" && !strings.HasSuffix(n, ".part") {
			t.Fatalf("%s is unaccounted for", n)
		}
	}
}

// inNamespace runs a part on a small file system of its own. It needs mounts,
// as root or in a user namespace.
func inNamespace(t *testing.T, part string) {
	t.Helper()
	c := child(part, t.TempDir())
	mounts.Run(t, c, "played")
}

func TestFullDisk(t *testing.T)     { inNamespace(t, "full") }
func TestReadOnlyDisk(t *testing.T) { inNamespace(t, "readonly") }

const diskSize = 1 << 20

// fullDisk fills the disk with a slice and looks at what still works.
func fullDisk(dir string) error {
	if err := mounts.Disk(dir, diskSize); err != nil {
		return err
	}
	d, err := spool.Create(dir, sid)
	if err != nil {
		return err
	}
	j, _, err := d.OpenJournal(time.Now)
	if err != nil {
		return err
	}
	if _, err := d.Replace("list.m3u8", []byte("old")); err != nil {
		return err
	}
	p, err := d.CreatePart("big.ts")
	if err != nil {
		return err
	}
	for err == nil {
		_, err = p.Write(make([]byte, 4096))
	}
	if !errors.Is(err, spool.ErrFull) {
		return fmt.Errorf("write on a full disk: %w", err)
	}
	if err := spool.Writable(dir); !errors.Is(err, spool.ErrFull) {
		return fmt.Errorf("Writable on a full disk: %w", err)
	}
	if _, err := d.Replace("list.m3u8", make([]byte, 8192)); !errors.Is(err, spool.ErrFull) {
		return fmt.Errorf("Replace on a full disk: %w", err)
	}
	if b, err := os.ReadFile(d.FilePath("list.m3u8")); err != nil || string(b) != "old" {
		return fmt.Errorf("after a failed Replace: %q, %w", b, err)
	}
	// The journal has space of its own, for the facts that end a recording.
	n := 0
	for err = nil; err == nil; {
		if err = j.Append(spool.Fact{Type: spool.FactGap, Note: strings.Repeat("n", 300)}); err == nil {
			n++
		}
	}
	if !errors.Is(err, spool.ErrFull) || n < 80 {
		return fmt.Errorf("%d facts on a full disk, then: %w", n, err)
	}
	// Space comes back, and the journal goes on without a torn line.
	if err := p.Discard(); err != nil {
		return err
	}
	if err := j.Append(spool.Fact{Type: spool.FactEnded}); err != nil {
		return fmt.Errorf("after space was freed: %w", err)
	}
	facts, _, err := d.ReadJournal(0)
	if err != nil || len(facts) != n+1 || facts[n].Type != spool.FactEnded {
		return fmt.Errorf("%d facts of %d, %w", len(facts), n+1, err)
	}
	return nil
}

func readOnlyDisk(dir string) error {
	if err := mounts.Disk(dir, diskSize); err != nil {
		return err
	}
	d, err := spool.Create(dir, sid)
	if err != nil {
		return err
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("%w: %w", mounts.ErrNone, err)
	}
	_, create := spool.Create(dir, "another")
	_, _, journal := d.OpenJournal(time.Now)
	_, part := d.CreatePart("x.ts")
	_, replace := d.Replace("x.m3u8", nil)
	for what, err := range map[string]error{
		"Writable": spool.Writable(dir), "Create": create, "OpenJournal": journal, "CreatePart": part,
		"Replace": replace, "WriteSession": d.WriteSession(1),
	} {
		if !errors.Is(err, spool.ErrReadOnly) || !strings.Contains(err.Error(), "mount it read-write") {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}
