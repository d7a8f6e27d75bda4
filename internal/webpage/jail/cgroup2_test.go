package jail

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// ownV2 is this process's group in a cgroup v2 hierarchy that limits the
// processor, or skips: a machine with v1 keeps its controllers there, or there is
// no right. Debian's user-mode-linux, started as root with hostfs, a mounted
// cgroup2 and this program in the group svc/service, is such a machine.
func ownV2(t *testing.T) hierarchy {
	t.Helper()
	for _, h := range hierarchies() {
		if b, err := os.ReadFile(filepath.Join(h.top, "cgroup.controllers")); h.v2 && err == nil && slices.Contains(strings.Fields(string(b)), "cpu") {
			return h
		}
	}
	t.Skip("no cgroup v2 with the cpu controller")
	return hierarchy{}
}

// In cgroup v2 a browser gets a group beside ours, with its limits; one that takes
// too much memory is ended there, and nothing is left of it, nor of the group of a
// worker that was killed.
func TestCgroup2(t *testing.T) {
	h := ownV2(t)
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	orphan := filepath.Join(filepath.Dir(h.own), groupPrefix+strconv.Itoa(dead.Process.Pid)+"-1")
	if err := os.Mkdir(orphan, 0o755); err != nil {
		t.Skip("no right to make groups: ", err)
	}
	const memory = 64 << 20
	f := newFence(memory)
	if f.kind != Cgroup2 || len(f.dirs) != 1 {
		t.Fatalf("fenced by %s in %v", f.kind, f.dirs)
	}
	defer f.remove()
	if _, err := os.Stat(orphan); err == nil {
		t.Error("the group of a dead worker is left")
	}
	for _, k := range knobs(true, memory) {
		b, err := os.ReadFile(filepath.Join(f.dirs[0], k.file))
		if k.file == "memory.swap.max" && os.IsNotExist(err) {
			continue // a kernel without accounts of swap
		}
		if got := strings.TrimSpace(string(b)); got != k.value {
			t.Errorf("%s is %q, want %q: %v", k.file, got, k.value, err)
		}
	}
	hog := exec.Command("sh", "-c", `read go; exec head -c 300000000 /dev/zero | tail`)
	start, err := hog.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := hog.Start(); err != nil {
		t.Fatal(err)
	}
	f.hold(hog.Process.Pid)
	if b, _ := os.ReadFile(filepath.Join(f.dirs[0], "cgroup.procs")); f.kind != Cgroup2 || string(bytes.TrimSpace(b)) != strconv.Itoa(hog.Process.Pid) {
		t.Errorf("in the group, by %s: %s", f.kind, b)
	}
	_, _ = start.Write([]byte("\n"))
	_ = hog.Wait()
	if b, err := os.ReadFile(filepath.Join(f.dirs[0], "memory.events")); err != nil || !strings.Contains(string(b), "oom_kill ") || strings.Contains(string(b), "oom_kill 0\n") {
		t.Errorf("nobody was ended: %s, %v", b, err)
	}
	dir := f.dirs[0]
	f.remove()
	if _, err := os.Stat(dir); err == nil {
		t.Error("the group is left")
	}
}
