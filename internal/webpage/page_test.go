package webpage

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"tapedeck/internal/outbound"
	"tapedeck/internal/webpage/jail"
)

func TestMain(m *testing.M) {
	jail.Main()
	os.Exit(m.Run())
}

func TestSmoke(t *testing.T) {
	srv := httptest.NewServer(http.FileServer(http.Dir("testdata")))
	defer srv.Close()
	var out bytes.Buffer
	start := time.Now()
	var sound int
	cfg := Config{URL: srv.URL + "/anim.html?ready=200", W: 1280, H: 720, FPS: 30, UID: 0x40000001,
		Policy: outbound.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		Clock:  func() int64 { return int64(time.Since(start)) * 48 / 1_000_000 },
		Play:   func(at int64, pcm []float32) { sound += len(pcm) / 2 },
		Log:    slog.New(slog.NewTextHandler(os.Stderr, nil)), Output: &out, Jail: os.Getenv("JAIL")}
	p, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err, out.String())
	}
	t.Log(p.Level())
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		tk := time.NewTicker(time.Second / 30)
		for {
			select {
			case <-tk.C:
				p.Windows.Tick(mono())
			case <-ctx.Done():
				return
			}
		}
	}()
	err = p.Load(t.Context())
	t.Log("load", err, time.Since(start))
	<-time.After(3 * time.Second)
	select {
	case <-p.Ready():
		t.Log("ready")
	default:
		t.Error("not ready")
	}
	var ev struct{ Result struct{ Value any } }
	_ = p.dt.call(t.Context(), p.session, "Runtime.evaluate", params{"expression": "document.visibilityState+' '+window.rafs+' '+innerWidth+'x'+innerHeight+' '+document.hasFocus()", "returnByValue": true}, &ev)
	t.Log("page says", ev.Result.Value)
	var win any
	_ = p.dt.call(t.Context(), "", "Browser.getWindowForTarget", params{"targetId": p.target}, &win)
	t.Log(win)
	img := image.NewRGBA(image.Rect(0, 0, 1280, 720))
	p.Windows.Redraw()
	p.Windows.Draw(func(pix []byte, stride, x, y, w, h int) {
		for j := range h {
			for i := range w {
				s := pix[j*stride+i*4:]
				copy(img.Pix[(y+j)*img.Stride+(x+i)*4:], []byte{s[2], s[1], s[0], 255})
			}
		}
	})
	t.Log("commits", p.Windows.Commits(), "sound", sound, "memory", p.bytes()>>20)
	f, _ := os.Create("/tmp/h/shot.png")
	_ = png.Encode(f, img)
	f.Close()
	cancel()
	p.Close()
	os.WriteFile("/tmp/h/chrome.log", out.Bytes(), 0o644)
}

func mono() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return time.Duration(t.Nano())
}
