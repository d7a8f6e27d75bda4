package player

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/chromedp/chromedp"
)

// browse opens the page in a Chromium of its own and returns the page's report.
func browse(ctx context.Context, address string) (Report, error) {
	bin, err := chromium()
	if err != nil {
		return Report{}, err
	}
	home, err := os.MkdirTemp("", "tapedeck-player-")
	if err != nil {
		return Report{}, fmt.Errorf("player: %w", err)
	}
	var browser *exec.Cmd
	opts := append(flags(), chromedp.ExecPath(bin), chromedp.UserDataDir(home), chromedp.ModifyCmdFunc(func(c *exec.Cmd) {
		// A group of its own, so that the end takes the helper processes along.
		c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		browser = c
	}))
	alloc, release := chromedp.NewExecAllocator(ctx, opts...)
	tab, closeTab := chromedp.NewContext(alloc)
	defer func() {
		closeTab()
		release()
		if browser != nil && browser.Process != nil {
			_ = syscall.Kill(-browser.Process.Pid, syscall.SIGKILL) // gone already when it closed by itself
		}
		remove(home)
	}()
	if err := chromedp.Do(tab, step(chromedp.Navigate(address))); err != nil {
		return Report{}, fmt.Errorf("player: open the page: %w", err)
	}
	r, err := chromedp.Run(tab, chromedp.Evaluate[Report]("watch()", chromedp.EvalAwaitPromise))
	if err != nil {
		return r, fmt.Errorf("player: %w", err)
	}
	return r, nil
}

// step drops the value of an action.
func step[T any](a chromedp.Action[T]) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := a(ctx, t)
		return chromedp.Void{}, err
	}
}

func flags() []chromedp.ExecAllocatorOption {
	opts := []chromedp.ExecAllocatorOption{
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("headless", "new"),
		chromedp.Flag("remote-debugging-pipe", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-features", "Translate,OptimizationHints,MediaRouter"),
		chromedp.Flag("mute-audio", true),
	}
	if os.Geteuid() == 0 { // Chromium's sandbox refuses root
		opts = append(opts, chromedp.NoSandbox)
	}
	return opts
}

func chromium() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("player: no Chromium: apt-get install chromium")
}

// remove deletes the profile. Helper processes may write into it for a moment
// after they were killed, so it tries for a second.
func remove(dir string) {
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for range 20 {
		if os.RemoveAll(dir) == nil { //nolint:forbidigo // the temporary profile of this browser
			return
		}
		<-retry.C
	}
}
