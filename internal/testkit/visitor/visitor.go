// Package visitor puts participants into rooms as applications do: with LiveKit's
// own client library in a real Chromium, sending a fake camera and microphone
// whose content tests know.
package visitor

import (
	"context"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/chromedp/chromedp"
)

// Visitor says how a participant joins and what they send.
type Visitor struct {
	Name  string // of this one among all of a browser
	URL   string // ws://...
	Token string
	Codec string // "vp8", "vp9" or "h264"

	Encrypted  bool // end to end; the rest is about that
	KeySize    int  // bits; 128
	Passphrase string
	RawKey     []byte // in place of a passphrase
	Salt       string // the client library takes text only
}

//go:embed page.html
var page []byte

// Browser is a running Chromium.
type Browser struct {
	tab   context.Context //nolint:containedctx // that is how the library names a tab
	close func()
}

// Open starts a browser. ctx ends it, and so does Close.
func Open(ctx context.Context) (*Browser, error) {
	bin, err := exec.LookPath("chromium")
	if err != nil {
		return nil, errors.New("visitor: no Chromium: apt-get install chromium")
	}
	lib, err := library()
	if err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp("", "tapedeck-visitor-")
	if err != nil {
		return nil, fmt.Errorf("visitor: %w", err)
	}
	if err := media(ctx, home); err != nil {
		remove(home)
		return nil, err
	}
	address, stop, err := serve(lib)
	if err != nil {
		remove(home)
		return nil, err
	}
	var process *exec.Cmd
	opts := append(flags(home), chromedp.ExecPath(bin), chromedp.UserDataDir(home), chromedp.ModifyCmdFunc(func(c *exec.Cmd) {
		c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		process = c
	}))
	alloc, release := chromedp.NewExecAllocator(ctx, opts...)
	tab, closeTab := chromedp.NewContext(alloc)
	b := &Browser{tab: tab, close: func() {
		closeTab()
		release()
		if process != nil && process.Process != nil {
			_ = syscall.Kill(-process.Process.Pid, syscall.SIGKILL) // its helpers, which form a group of their own
		}
		stop()
		remove(home)
	}}
	if err := chromedp.Do(tab, void(chromedp.Navigate("http://"+address+"/"))); err != nil {
		b.Close()
		return nil, fmt.Errorf("visitor: open the page: %w", err)
	}
	return b, nil
}

// Close ends the browser and all visitors.
func (b *Browser) Close() { b.close() }

// Join lets a visitor enter and publish, and returns what they send, such as
// "video/H264 encrypted".
func (b *Browser) Join(v Visitor) ([]string, error) {
	if v.KeySize == 0 {
		v.KeySize = 128
	}
	raw := ""
	if v.RawKey != nil {
		raw = base64.StdEncoding.EncodeToString(v.RawKey)
	}
	arg, err := json.Marshal(map[string]any{
		"name": v.Name, "url": v.URL, "token": v.Token, "codec": v.Codec, "encrypted": v.Encrypted, "keySize": v.KeySize,
		"passphrase": v.Passphrase, "rawKey": raw, "salt": v.Salt,
	})
	if err != nil {
		return nil, fmt.Errorf("visitor: %w", err)
	}
	sends, err := chromedp.Run(b.tab, chromedp.Evaluate[[]string]("join("+string(arg)+")", chromedp.EvalAwaitPromise))
	if err != nil {
		return nil, fmt.Errorf("visitor: %s: %w", v.Name, err)
	}
	return sends, nil
}

// Ratchet lets a visitor's key move on.
func (b *Browser) Ratchet(name string) error { return b.call("ratchet", name) }

// Leave lets a visitor go.
func (b *Browser) Leave(name string) error { return b.call("leave", name) }

func (b *Browser) call(function, name string) error {
	arg, err := json.Marshal(name)
	if err != nil {
		return fmt.Errorf("visitor: %w", err)
	}
	if _, err := chromedp.Run(b.tab, chromedp.Evaluate[bool](function+"("+string(arg)+")", chromedp.EvalAwaitPromise)); err != nil {
		return fmt.Errorf("visitor: %s %s: %w", function, name, err)
	}
	return nil
}

// void drops the value of an action.
func void[T any](a chromedp.Action[T]) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := a(ctx, t)
		return chromedp.Void{}, err
	}
}

func flags(home string) []chromedp.ExecAllocatorOption {
	opts := []chromedp.ExecAllocatorOption{
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("headless", "new"),
		chromedp.Flag("remote-debugging-pipe", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("allow-loopback-in-peer-connection", true),
		chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("use-file-for-fake-video-capture", filepath.Join(home, video)),
		chromedp.Flag("use-file-for-fake-audio-capture", filepath.Join(home, sound)),
		chromedp.Flag("mute-audio", true),
	}
	if os.Geteuid() == 0 { // Chromium's sandbox refuses root
		opts = append(opts, chromedp.NoSandbox)
	}
	return opts
}

// serve offers the page and the client library on loopback, which browsers take
// for secure.
func serve(lib string) (address string, stop func(), err error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("visitor: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page)
	})
	mux.Handle("GET /sdk/", http.StripPrefix("/sdk/", http.FileServer(http.Dir(lib))))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(lis) }()
	return lis.Addr().String(), func() {
		_ = srv.Close()
		<-served //nolint:errcheck // always says that the server was closed
	}, nil
}

// library finds LiveKit's client library, which npm puts into the tree.
func library() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("visitor: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("visitor: not inside the source tree")
		}
		dir = up
	}
	lib := filepath.Join(dir, "test", "web", "node_modules", "livekit-client", "dist")
	if _, err := os.Stat(filepath.Join(lib, "livekit-client.umd.js")); err != nil {
		return "", errors.New("visitor: livekit-client is missing: run npm ci --prefix test/web")
	}
	return lib, nil
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
