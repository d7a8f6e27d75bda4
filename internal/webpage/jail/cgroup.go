package jail

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// How a browser is kept from taking the processor from those who record it.
const (
	Cgroup2 = "cgroup2" // a control group of its own
	Cgroup1 = "cgroup1" // the same, in the older hierarchies
	Nice    = "nice"    // a low priority: no right to make control groups
)

// What a browser gets. Its weight counts only while the processor is wanted by
// others: a page that is busy alone may have all of the quota.
const (
	cpuWeight   = 20  // cgroup v2; others have 100
	cpuShares   = 205 // the same in v1, where others have 1024
	cpuCores    = 4
	cpuPeriod   = 100_000 // µs
	maxTasks    = 3000
	niceness    = 10
	groupPrefix = "tapedeck-web-"
)

// knob is one file of a control group.
type knob struct{ controller, file, value string }

// knobs are the limits, memory in bytes. The first of a controller has to be
// there; a kernel without one of the others does without.
func knobs(v2 bool, memory int64) []knob {
	bytes := strconv.FormatInt(memory, 10)
	if v2 {
		return []knob{
			{"cpu", "cpu.weight", strconv.Itoa(cpuWeight)}, {"cpu", "cpu.max", fmt.Sprintf("%d %d", cpuCores*cpuPeriod, cpuPeriod)},
			{"memory", "memory.max", bytes}, {"memory", "memory.swap.max", "0"}, {"pids", "pids.max", strconv.Itoa(maxTasks)},
		}
	}
	return []knob{
		{"cpu", "cpu.shares", strconv.Itoa(cpuShares)}, {"cpu", "cpu.cfs_period_us", strconv.Itoa(cpuPeriod)},
		{"cpu", "cpu.cfs_quota_us", strconv.Itoa(cpuCores * cpuPeriod)},
		{"memory", "memory.limit_in_bytes", bytes}, {"pids", "pids.max", strconv.Itoa(maxTasks)},
	}
}

// hierarchy is a place where this process may find control groups.
type hierarchy struct {
	v2          bool
	controllers []string // v1
	own         string   // folder of this process's group
	top         string   // folder of the mount
}

// hierarchies reads which there are (proc_pid_mountinfo(5), cgroups(7)).
func hierarchies() (list []hierarchy) {
	own := map[string]string{} // by controller; "" is v2
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	for l := range strings.Lines(string(b)) {
		if f := strings.SplitN(strings.TrimSpace(l), ":", 3); len(f) == 3 {
			for _, c := range strings.Split(f[1], ",") {
				own[c] = f[2]
			}
		}
	}
	mounts, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	defer func() { _ = mounts.Close() }()
	for s := bufio.NewScanner(mounts); s.Scan(); {
		left, right, ok := strings.Cut(s.Text(), " - ")
		f, g := strings.Fields(left), strings.Fields(right)
		if !ok || len(f) < 5 || len(g) < 3 || !strings.HasPrefix(g[0], "cgroup") {
			continue
		}
		h := hierarchy{v2: g[0] == "cgroup2", top: f[4]}
		path := own[""]
		for _, c := range strings.Split(g[2], ",") {
			if p, ok := own[c]; ok && !h.v2 {
				h.controllers, path = append(h.controllers, c), p
			}
		}
		h.own = filepath.Join(h.top, strings.TrimPrefix(path, strings.TrimSuffix(f[3], "/")))
		list = append(list, h)
	}
	return list
}

// fence is a browser's control groups.
type fence struct {
	kind string
	dirs []string
}

// newFence makes the groups, or none where we may not: kind is Nice then.
func newFence(memory int64) *fence {
	name := fmt.Sprintf("%s%d-%x", groupPrefix, os.Getpid(), time.Now().UnixNano())
	all := hierarchies()
	for _, h := range all {
		sweepGroups(h.own)
		if h.v2 {
			sweepGroups(filepath.Dir(h.own))
			if dir := makeV2(h, name, memory); dir != "" {
				return &fence{kind: Cgroup2, dirs: []string{dir}}
			}
		}
	}
	f := &fence{kind: Nice}
	for _, h := range all {
		if dir := filepath.Join(h.own, name); !h.v2 && slices.ContainsFunc(h.controllers, limited) && os.Mkdir(dir, 0o755) == nil {
			if setKnobs(dir, h.controllers, knobs(false, memory)) && slices.Contains(h.controllers, "cpu") {
				f.kind = Cgroup1
			}
			f.dirs = append(f.dirs, dir)
		}
	}
	return f
}

func limited(controller string) bool {
	return controller == "cpu" || controller == "memory" || controller == "pids"
}

// makeV2 makes a group beside or below our own: one that holds processes cannot
// hand controllers on, so that a service's own group does only if its processes
// are in a group below it (systemd: Delegate=yes with DelegateSubgroup=).
func makeV2(h hierarchy, name string, memory int64) string {
	for _, parent := range []string{h.own, filepath.Dir(h.own)} {
		if !strings.HasPrefix(parent, h.top) {
			break
		}
		_ = os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+cpu +memory +pids"), 0o644)
		dir := filepath.Join(parent, name)
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		if setKnobs(dir, []string{"cpu", "memory", "pids"}, knobs(true, memory)) {
			return dir
		}
		_ = os.Remove(dir)
	}
	return ""
}

// setKnobs reports whether the first knob of the first controller could be set.
func setKnobs(dir string, controllers []string, list []knob) (ok bool) {
	first := true
	for _, k := range list {
		if !slices.Contains(controllers, k.controller) {
			continue
		}
		err := os.WriteFile(filepath.Join(dir, k.file), []byte(k.value), 0o644)
		if first && err == nil {
			ok = true
		}
		first = false
	}
	return ok
}

// hold moves a process, and with it all it will start, into the groups.
func (f *fence) hold(pid int) {
	entered := len(f.dirs) > 0
	for _, d := range f.dirs {
		if os.WriteFile(filepath.Join(d, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644) != nil {
			entered = false
		}
	}
	if f.kind != Nice && !entered {
		f.kind = Nice
	}
	if f.kind == Nice {
		// A session is a scheduling group of its own where the kernel groups them:
		// there the group's priority counts.
		_ = unix.Setpriority(unix.PRIO_PROCESS, pid, niceness)
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", pid), []byte(strconv.Itoa(niceness)), 0o644)
	}
}

// remove takes the groups away once their last process is gone.
func (f *fence) remove() {
	t := time.NewTicker(5 * time.Millisecond)
	defer t.Stop()
	for try := 0; len(f.dirs) > 0; try++ {
		if errors.Is(os.Remove(f.dirs[0]), syscall.EBUSY) && try < 400 {
			<-t.C // the kernel still buries them
			continue
		}
		sweepGroups(filepath.Dir(f.dirs[0])) // what the kernel had not buried before
		f.dirs = f.dirs[1:]
	}
}

// sweepGroups removes the groups of workers that were killed. The kernel keeps
// one that still has processes.
func sweepGroups(parent string) {
	dirs, _ := filepath.Glob(filepath.Join(parent, groupPrefix+"*"))
	for _, d := range dirs {
		if orphaned(d, groupPrefix) {
			_ = os.Remove(d)
		}
	}
}
