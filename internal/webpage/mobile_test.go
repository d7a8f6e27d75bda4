package webpage

import (
	"fmt"
	"image/color"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A telephone's page has the recording's size in pixels, two of them a point,
// wherever the browser draws: its four corners are those of the picture.
func TestMobilePage(t *testing.T) {
	srv := stage(t, false, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, `<!doctype html><meta name=viewport content="width=device-width, initial-scale=1"><body style="margin:0">
			<style>i { position: fixed; width: 20px; height: 20px }</style>
			<i style="left:0;top:0;background:#f00"></i><i style="right:0;top:0;background:#0f0"></i>
			<i style="left:0;bottom:0;background:#00f"></i><i style="right:0;bottom:0;background:#ff0"></i>`)
	}})
	for _, display := range []string{Wayland, Xvfb} {
		t.Run(display, func(t *testing.T) {
			if display == Xvfb {
				needsXvfb(t)
			}
			const w, h = 720, 1280
			cfg := config(srv.URL+"/", io.Discard)
			cfg.W, cfg.H, cfg.Mobile, cfg.Display = w, h, true, display
			p := show(t, cfg)
			if err := p.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			const size = "[innerWidth, innerHeight, screen.width, devicePixelRatio, matchMedia('(pointer: coarse)').matches, 'ontouchstart' in window].join(' ')"
			if says := p.eval(t.Context(), size); says != `"360 640 360 2 true true"` {
				t.Errorf("the page says %s", says)
			}
			if agent := p.eval(t.Context(), "navigator.userAgent"); !strings.Contains(agent, "Android") || !strings.Contains(agent, "Mobile") {
				t.Errorf("it calls itself %s", agent)
			}
			want := [4]color.RGBA{{255, 0, 0, 255}, {0, 255, 0, 255}, {0, 0, 255, 255}, {255, 255, 0, 255}}
			until(t, "the corners", func() bool {
				img := picture(p, w, h)
				return [4]color.RGBA{img.RGBAAt(4, 4), img.RGBAAt(w-5, 4), img.RGBAAt(4, h-5), img.RGBAAt(w-5, h-5)} == want
			})
		})
	}
}
