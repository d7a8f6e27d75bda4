package webpage

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// needsXvfb skips where the package is not installed.
func needsXvfb(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a browser")
	}
	if _, err := exec.LookPath("Xvfb"); err != nil {
		t.Skip(err)
	}
}

// A browser that draws into our compositor is remembered as one that does; one
// that cannot is recorded through Xvfb, loudly, and tried again after a while.
func TestDisplayIsChosen(t *testing.T) {
	needsXvfb(t)
	path, err := program("")
	if err != nil {
		t.Skip(err)
	}
	deaf := filepath.Join("/usr/local/bin", "tapedeck-test-deaf-chromium") // where every jail sees it
	script := "#!/bin/sh\ncase \"$*\" in *ozone-platform=wayland*) export WAYLAND_DISPLAY=nowhere;; esac\nexec " + path + " \"$@\"\n"
	if err := os.WriteFile(deaf, []byte(script), 0o755); err != nil {
		t.Skip("no place for a program that every user may run: ", err)
	}
	t.Cleanup(func() { _ = os.Remove(deaf) })
	for _, c := range []struct{ program, want, logged string }{{path, Wayland, ""}, {deaf, Xvfb, "RECORDED THROUGH XVFB"}} {
		var log strings.Builder
		cfg := config("http://127.0.0.2/", &log)
		cfg.Known = filepath.Join(t.TempDir(), "sub", "browser.json")
		if got := choose(t.Context(), cfg, c.program); got != c.want {
			t.Fatalf("%s draws on %s, want %s\n%s", c.program, got, c.want, log.String())
		}
		if !strings.Contains(log.String(), c.logged) {
			t.Errorf("not loud: %s", log.String())
		}
		b, err := os.ReadFile(cfg.Known)
		var k known
		if err == nil {
			err = json.Unmarshal(b, &k)
		}
		if err != nil || k.Display != c.want || !strings.HasPrefix(k.Version, "Chrome") || (k.Reason == "") != (c.want == Wayland) {
			t.Errorf("remembered %+v, %v", k, err)
		}
		// What is remembered is not tried again: it says what it said, whatever is true.
		k.Version = "remembered"
		if err := k.keep(cfg.Known); err != nil {
			t.Fatal(err)
		}
		log.Reset()
		if got := choose(t.Context(), cfg, c.program); got != c.want || strings.Contains(log.String(), "a new browser") {
			t.Errorf("the second time: %s\n%s", got, log.String())
		}
		if !strings.Contains(log.String(), c.logged) {
			t.Errorf("not loud the second time: %s", log.String())
		}
		k.Tried = k.Tried.Add(-2 * doubt)
		if _, ok := recall(writeKnown(t, k), k); ok != (c.want == Wayland) {
			t.Errorf("%s is remembered after two hours: %v", c.want, ok)
		}
		k2 := k
		k2.Size++
		if _, ok := recall(writeKnown(t, k), k2); ok {
			t.Error("another version is taken for the one that is known")
		}
	}
}

func writeKnown(t *testing.T, k known) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "browser.json")
	if err := k.keep(file); err != nil {
		t.Fatal(err)
	}
	return file
}

// Through Xvfb a page is painted, moves and sounds, its X server is in the jail
// and goes with it.
func TestXvfbPage(t *testing.T) {
	needsXvfb(t)
	srv := site(t, nil)
	cfg := config(srv.URL+"/anim.html", io.Discard)
	cfg.Display, cfg.Output = Xvfb, t.Output()
	heard := make(chan struct{}, 1)
	cfg.Play = func(int64, []float32) { put(heard) }
	p := show(t, cfg)
	if err := p.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := p.Windows.Commits()
	until(t, "pictures", func() bool { return p.Windows.Commits() > before+20 })
	select {
	case <-heard:
	case <-time.After(generous):
		t.Error("no sound")
	}
	pids := descendants(p.Pid())
	server := false
	for _, pid := range pids {
		b, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		server = server || strings.Contains(string(b), "Xvfb")
	}
	if !server {
		t.Error("no X server among the browser's processes")
	}
	p.jail.Close()
	until(t, "the X server is gone", func() bool { return len(alive(pids)) == 0 })
}
