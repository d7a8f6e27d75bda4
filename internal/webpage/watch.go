package webpage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
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

// lookScript tells whether something should be heard, and whether a video is
// larger than the documented limit.
const lookScript = `(() => { let loud = false, big = false;
for (const m of document.querySelectorAll('video,audio')) {
  if (!m.paused && !m.ended && !m.muted && m.volume > 0 && m.readyState > 2 && m.webkitAudioDecodedByteCount > 0) loud = true;
  if (m.videoWidth * m.videoHeight > 1920 * 1080) big = true;
} return {loud, big}; })()`

// watch looks at the page until ctx ends.
func (p *Page) watch(ctx context.Context) {
	every := cmp.Or(p.cfg.Beat, beat)
	t := time.NewTicker(every)
	defer t.Stop()
	var quiet time.Duration
	var in, out int64
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
			quiet = 0
			continue
		}
		loud, big, ok := p.look(ctx)
		if !ok {
			continue
		}
		if big {
			p.trouble(Resolution)
		}
		if quiet += every; !loud || p.Sound.Playing() {
			quiet = 0
		} else if quiet >= cmp.Or(p.cfg.Silence, silentSpan) {
			quiet = 0
			p.trouble(Silent)
		}
		nowIn, nowOut := p.proxy.in.Load(), p.proxy.out.Load()
		if s := every.Seconds(); float64(nowIn-in)/s > maxDown || float64(nowOut-out)/s > maxUp {
			p.trouble(Bandwidth)
		}
		in, out = nowIn, nowOut
	}
}

func (p *Page) loaded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reached && !p.crashed
}

// look asks the page. One that does not answer is ended.
func (p *Page) look(ctx context.Context) (loud, big, ok bool) {
	ask, cancel := context.WithTimeout(ctx, cmp.Or(p.cfg.Hung, hungAfter))
	defer cancel()
	var r struct {
		Result struct{ Value json.RawMessage }
	}
	err := p.dt.call(ask, p.session, "Runtime.evaluate", params{"expression": lookScript, "returnByValue": true}, &r)
	if err != nil {
		if ask.Err() != nil && ctx.Err() == nil && p.loaded() {
			p.end(Hung)
		}
		return false, false, false
	}
	var v struct{ Loud, Big bool }
	if json.Unmarshal(r.Result.Value, &v) != nil {
		return false, false, false
	}
	return v.Loud, v.Big, true
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
