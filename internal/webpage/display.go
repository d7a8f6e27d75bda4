package webpage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"tapedeck/internal/webpage/jail"
	"tapedeck/internal/webpage/wayland"
	"tapedeck/internal/webpage/xvfb"
)

// Where a browser draws.
const (
	Wayland = "wayland" // into our compositor
	Xvfb    = "xvfb"    // into the memory of an X server, which a version that does not speak our Wayland still does
)

// Windows is what a browser draws.
type Windows interface {
	Serve(l *net.UnixListener)
	// Commits counts the pictures so far.
	Commits() int64
	// Tick says that a picture was taken; at is the monotonic clock.
	Tick(at time.Duration)
	// Draw paints what has changed since the last call and reports whether
	// anything has.
	Draw(paint wayland.Painter) bool
	// Redraw lets the next Draw paint everything.
	Redraw()
	Close()
}

func (c Config) windows(j *jail.Jail) (Windows, error) {
	if c.Display == Xvfb {
		return xvfb.Open(j.Screen, c.W, c.H)
	}
	return wayland.New(wayland.Config{W: c.W, H: c.H, FPS: c.FPS, Scale: c.scale(), Log: c.Log}), nil
}

const (
	tryTime = 15 * time.Second
	// doubt is how long a display that did not work is not tried again: it may
	// have been the machine.
	doubt = time.Hour
)

// known is what is remembered of a browser, as JSON.
type known struct {
	Program  string    `json:"program"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	Version  string    `json:"version"` // what the browser calls itself
	Display  string    `json:"display"`
	Reason   string    `json:"reason,omitempty"` // why not Wayland
	Tried    time.Time `json:"tried"`
}

// choose returns the display that works with the browser at path. Each version
// is tried once: a page of one colour has to arrive.
func choose(ctx context.Context, cfg Config, path string) string {
	st, err := os.Stat(path)
	if err != nil {
		return Wayland
	}
	k := known{Program: path, Size: st.Size(), Modified: st.ModTime().UTC()}
	if old, ok := recall(cfg.Known, k); ok {
		if old.Display != Wayland {
			warnXvfb(cfg, old)
		}
		return old.Display
	}
	k.Display, k.Tried = Wayland, time.Now().UTC()
	version, broken := try(ctx, cfg, path, Wayland)
	// One that did not even say its name may be as good as any, on a slow machine.
	slow := version == "" && errors.Is(broken, context.DeadlineExceeded)
	if broken != nil {
		var err error
		if version, err = try(ctx, cfg, path, Xvfb); err != nil {
			cfg.Log.Error("the browser draws neither into our Wayland compositor nor into Xvfb", "wayland", broken, "xvfb", err)
			return Wayland
		}
		k.Display, k.Reason = Xvfb, broken.Error()
		warnXvfb(cfg, k)
	}
	k.Version = version
	cfg.Log.Info("a new browser was tried", "version", version, "display", k.Display)
	if slow {
		return k.Display
	}
	if err := k.keep(cfg.Known); err != nil {
		cfg.Log.Warn("how this browser draws cannot be remembered", "err", err)
	}
	return k.Display
}

func warnXvfb(cfg Config, k known) {
	cfg.Log.Error("WEB PAGES ARE RECORDED THROUGH XVFB: this version of Chromium does not draw into our Wayland compositor. It costs more and pictures may be torn. Install another version of Chromium, or tell the authors",
		"version", k.Version, "reason", k.Reason)
}

// recall reads what is remembered, if it is of this very browser.
func recall(file string, k known) (old known, ok bool) {
	b, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(b, &old) != nil {
		return old, false
	}
	same := old.Program == k.Program && old.Size == k.Size && old.Modified.Equal(k.Modified)
	return old, same && (old.Display == Wayland || old.Display == Xvfb && time.Since(old.Tried) < doubt)
}

// keep writes it in one step: other workers read and write it as well.
func (k known) keep(file string) error {
	if file == "" {
		return nil
	}
	b, err := json.Marshal(k)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	part := fmt.Sprintf("%s.%d", file, os.Getpid())
	if err := os.WriteFile(part, append(b, '\n'), 0o600); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return os.Rename(part, file)
}

// Colour of the page that a browser is tried with, as HTML and as pixel.
const tryColour = "#2468ac"

func tryPixel() [3]byte { return [3]byte{0xac, 0x68, 0x24} }

// try starts a browser on a display and waits for a picture in the right colour.
func try(ctx context.Context, cfg Config, path, display string) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	cfg.Display, cfg.W, cfg.H, cfg.FPS, cfg.Mobile, cfg.Output = display, 640, 360, 20, false, io.Discard
	cfg.Play = func(int64, []float32) {}
	p, err := open(ctx, cfg, path)
	if err != nil {
		return "", err
	}
	defer p.Close()
	var v struct{ Product string }
	if err := p.dt.call(ctx, "", "Browser.getVersion", nil, &v); err != nil {
		return "", err
	}
	const paint = "document.documentElement.style.background = '" + tryColour + "'"
	p.dt.tell(p.session, "Runtime.evaluate", params{"expression": paint})
	t := time.NewTicker(time.Second / time.Duration(cfg.FPS))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return v.Product, fmt.Errorf("webpage: no picture of %s came on %s within %v", v.Product, display, tryTime)
		case <-t.C:
		}
		p.Windows.Tick(monotonic())
		if p.pixel(cfg.W/4, cfg.H/4) == tryPixel() {
			return v.Product, nil
		}
	}
}

// pixel returns the one at x, y if it has changed.
func (p *Page) pixel(atX, atY int) (bgr [3]byte) {
	p.Windows.Draw(func(pix []byte, stride, x, y, w, h int) {
		if atX >= x && atX < x+w && atY >= y && atY < y+h {
			bgr = [3]byte(pix[(atY-y)*stride+(atX-x)*4:])
		}
	})
	return bgr
}

func monotonic() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
