package webpage

import (
	"bytes"
	"cmp"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	beat       = 5 * time.Second
	hungAfter  = 30 * time.Second // without an answer
	silentSpan = 40 * time.Second // without sound that should be there
	maxDown    = 1 << 30 / 8      // bytes a second (events.md, 72)
	maxUp      = 10 << 20 / 8
	maxMemory  = 3 << 30
	burial     = 5 * time.Second // until the browser has noticed that a page's process is gone
)

// watch looks at the page until ctx ends.
func (p *Page) watch(ctx context.Context) {
	every := cmp.Or(p.cfg.Beat, beat)
	t := time.NewTicker(every)
	defer t.Stop()
	w := watchman{p: p, every: every, silence: cmp.Or(p.cfg.Silence, silentSpan)}
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if p.bytes() > p.cfg.memory() {
			p.end(Greedy)
			continue
		}
		if !p.loaded() {
			w.quiet, w.flat = 0, false
			continue
		}
		if v, ok := p.ask(ctx); ok {
			w.judge(v)
		}
	}
}

// watchman is what is known from one look to the next.
type watchman struct {
	p       *Page
	every   time.Duration
	silence time.Duration
	quiet   time.Duration // so long something should have been heard
	told    bool          // of a silence, and nothing was heard since
	flat    bool          // a canvas was empty the last time
	in, out int64         // bytes so far
}

// judge tells of what is wrong with the page.
func (w *watchman) judge(v said) {
	if v.Big {
		w.p.trouble(Resolution)
	}
	if v.Flat && w.flat { // one that falls back on something else has done so by now
		w.p.trouble(WebGL)
	}
	w.flat = v.Flat
	w.quiet += w.every
	switch playing := w.p.Sound.Playing(); {
	case playing:
		w.quiet, w.told = 0, false
	case !v.Loud:
		w.quiet = 0
	case w.quiet >= w.silence && !w.told:
		// A page that is as silent after it was loaded again means it so.
		w.quiet, w.told = 0, true
		w.p.trouble(Silent)
	}
	in, out := w.p.proxy.in.Load(), w.p.proxy.out.Load()
	if s := w.every.Seconds(); float64(in-w.in)/s > maxDown || float64(out-w.out)/s > maxUp {
		w.p.trouble(Bandwidth)
	}
	w.in, w.out = in, out
}

func (p *Page) loaded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reached && !p.crashed
}

// ask looks at the page. One that does not answer is ended.
func (p *Page) ask(ctx context.Context) (v said, ok bool) {
	limit, cancel := context.WithTimeout(ctx, cmp.Or(p.cfg.Hung, hungAfter))
	defer cancel()
	v, err := p.look(limit)
	if err != nil && limit.Err() != nil && ctx.Err() == nil && p.loaded() {
		p.end(Hung)
	}
	return v, err == nil
}

// end kills the page's process, so that it can be loaded again.
func (p *Page) end(why Trouble) {
	p.mu.Lock()
	already := p.crashed
	p.crashed = true
	p.mu.Unlock()
	if already {
		return
	}
	select {
	case <-p.died: // of an earlier one
	default:
	}
	p.killRenderers()
	t := time.NewTimer(burial)
	defer t.Stop()
	select {
	case <-p.died:
	case <-t.C:
		why = Gone // the browser answers no more than its page
	}
	p.trouble(why)
}

// killRenderers ends every process that runs pages: one that hangs or is out of
// memory does nothing that it is asked to do.
func (p *Page) killRenderers() {
	for _, pid := range descendants(p.jail.Pid()) {
		b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		if err == nil && bytes.Contains(b, []byte("--type=renderer")) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// memory is how much the browser may use.
func (c Config) memory() int64 {
	if c.Memory > 0 {
		return c.Memory
	}
	return maxMemory
}

// bytes is the private memory of the browser and all its processes.
func (p *Page) bytes() int64 {
	var sum int64
	for _, pid := range descendants(p.jail.Pid()) {
		b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
		f := strings.Fields(string(b))
		if err != nil || len(f) < 3 {
			continue
		}
		resident, _ := strconv.ParseInt(f[1], 10, 64) // our kernel's own words
		shared, _ := strconv.ParseInt(f[2], 10, 64)
		sum += (resident - shared) * int64(os.Getpagesize())
	}
	return sum
}

// descendants lists a process and everything it started.
func descendants(root int) []int {
	list := []int{root}
	for i := 0; i < len(list) && len(list) < 500; i++ {
		tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(list[i]) + "/task/*/children")
		for _, t := range tasks {
			b, _ := os.ReadFile(t)
			for _, f := range strings.Fields(string(b)) {
				if pid, err := strconv.Atoi(f); err == nil {
					list = append(list, pid)
				}
			}
		}
	}
	return list
}
