package webpage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// stage serves pages written in a test, at an address that the policy permits.
func stage(t *testing.T, tls bool, pages map[string]http.HandlerFunc) *httptest.Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for path, h := range pages {
		mux.HandleFunc(path, h)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: mux}}
	if tls {
		s.Config.ErrorLog = log.New(io.Discard, "", 0) // it is turned away again and again
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// html is a page with a heading and a script.
func html(script string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, "<!doctype html><meta charset=utf8><title>begun</title><h1>a page</h1><script>%s</script>", script)
	}
}

// once is a page that does something the first time it is loaded only.
func once(script string) http.HandlerFunc {
	var loads atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		if loads.Add(1) == 1 {
			html(script)(w, r)
			return
		}
		html("")(w, r)
	}
}

// expect waits for a trouble.
func (p *Page) expect(t *testing.T, want Trouble) {
	t.Helper()
	select {
	case got := <-p.Troubles():
		if got != want {
			t.Errorf("trouble %s, want %s", got, want)
		}
	case <-time.After(generous):
		t.Fatalf("nobody noticed: %s at %s", want, p.cfg.URL)
	}
}

// What a page may ask of a visitor is answered without anybody: nothing stands
// in the way of the picture and nothing is kept.
func TestPageAsks(t *testing.T) {
	srv := stage(t, false, map[string]http.HandlerFunc{
		"/dialogs": html(`addEventListener('beforeunload', e => e.preventDefault());
			setTimeout(() => { alert('a'); const c = confirm('b'), p = prompt('c', 'd'); document.title = 'told ' + c + ' ' + p }, 50)`),
		"/popups": html(`setTimeout(() => { const w = open('/dialogs', '_blank', 'width=300,height=300'); document.title = 'popup ' + (w === null || w.closed);
			const a = document.createElement('a'); a.href = '/dialogs'; a.target = '_blank'; document.body.append(a); a.click() }, 50)`),
		"/download": html(`setTimeout(() => { const a = document.createElement('a'); a.href = '/file.bin'; a.download = ''; document.body.append(a); a.click(); document.title = 'clicked' }, 50)`),
		"/file.bin": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Disposition", "attachment; filename=file.bin")
			_, _ = w.Write(make([]byte, 1<<20))
		},
		"/permissions": html(`(async () => { const said = [await Notification.requestPermission(),
			await new Promise(r => navigator.geolocation.getCurrentPosition(() => r('found'), e => r('place ' + e.code))),
			await navigator.mediaDevices.getUserMedia({video: true, audio: true}).then(s => 'camera ' + s.getTracks().length, e => 'camera ' + e.name)];
			document.title = said.join(', ') })()`),
	})
	p := show(t, config("http://127.0.0.2/", io.Discard))
	titled := func(path, want string) {
		t.Helper()
		p.cfg.URL = srv.URL + path
		if err := p.Load(t.Context()); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		until(t, path+" says "+want, func() bool { return strings.Trim(p.eval(t.Context(), "document.title"), `"`) == want })
	}
	titled("/dialogs", "told true d")
	titled("/popups", "popup true")
	var r struct{ TargetInfos []struct{ Type, URL string } }
	if err := p.dt.call(t.Context(), "", "Target.getTargets", nil, &r); err != nil {
		t.Fatal(err)
	}
	for _, i := range r.TargetInfos {
		if i.Type == "page" && strings.Contains(i.URL, "/dialogs") {
			t.Errorf("a window is open: %s", i.URL)
		}
	}
	titled("/download", "clicked")
	// Notifications and the place are refused; camera and microphone are fake.
	titled("/permissions", "denied, place 1, camera 2")
	for _, dir := range []string{homeOf(p), "/tmp"} {
		if files, _ := filepath.Glob(dir + "/*/file.bin*"); len(files) > 0 {
			t.Errorf("kept %v", files)
		}
	}
	select {
	case tr := <-p.Troubles():
		t.Errorf("trouble %s", tr)
	default:
	}
}

// homeOf is the browser's home as seen from outside, or "" for who may not see it.
func homeOf(p *Page) string {
	dir := filepath.Join("/proc", strconv.Itoa(p.Pid()), "root", "tmp", "home")
	if _, err := os.Stat(dir); err != nil {
		return ""
	}
	return dir
}

// A page that cannot be had safely, or at all, is an error that says why.
func TestPageRefused(t *testing.T) {
	plain := stage(t, false, map[string]http.HandlerFunc{
		"/loop":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) },
		"/blank": html(`addEventListener('load', () => setTimeout(() => { for (;;); }))`),
		"/hop":   html(`location.replace('/hop?' + Math.random())`),
		"/meta":  html(`document.write('<meta http-equiv=refresh content=0>')`),
		"/gone":  html(`location.replace('/no/such/page')`),
	})
	secret := stage(t, true, map[string]http.HandlerFunc{"/": html("")})
	p := show(t, config("http://127.0.0.2/", io.Discard))
	refused := func(p *Page, url, says string, want error) {
		t.Helper()
		p.cfg.URL = url
		if err := p.Load(t.Context()); !errors.Is(err, want) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %v with %s", url, err, want, says)
		}
	}
	refused(p, secret.URL+"/", "ERR_CERT_AUTHORITY_INVALID", ErrAccess)
	refused(p, plain.URL+"/loop", "ERR_TOO_MANY_REDIRECTS", ErrAccess)
	refused(p, plain.URL+"/gone", "404", ErrAccess)
	p.cfg.Paint = 3 * time.Second
	refused(p, plain.URL+"/blank", "painted", ErrBlank) // its document is there, and never a picture
	// What circles may get in the way of what is opened after it.
	q := show(t, config("http://127.0.0.2/", io.Discard))
	refused(q, plain.URL+"/hop", "without end", ErrAccess)
	refused(q, plain.URL+"/meta", "without end", ErrAccess)
}

// A page whose script never returns, and one that takes too much memory, are
// ended and can be loaded again.
func TestPageMisbehaves(t *testing.T) {
	srv := stage(t, false, map[string]http.HandlerFunc{
		"/hang": once(`setTimeout(() => { for (;;); }, 1500)`),
		"/eat":  once(`const all = []; setInterval(() => { const a = new Uint8Array(32 << 20); for (let i = 0; i < a.length; i += 4096) a[i] = i; all.push(a) }, 50)`),
	})
	cfg := config("http://127.0.0.2/", t.Output())
	cfg.Beat, cfg.Hung, cfg.Memory = 300*time.Millisecond, 4*time.Second, 900<<20
	p := show(t, cfg)
	for _, c := range []struct {
		path string
		want Trouble
	}{{"/hang", Hung}, {"/eat", Greedy}} {
		p.cfg.URL = srv.URL + c.path
		if err := p.Load(t.Context()); err != nil {
			t.Fatalf("%s: %v", c.path, err)
		}
		p.expect(t, c.want)
		if err := p.Load(t.Context()); err != nil {
			t.Fatalf("%s once more: %v", c.path, err)
		}
		if got := p.eval(t.Context(), "1 + 1"); got != "2" {
			t.Errorf("%s once more: it answers %s", c.path, got)
		}
	}
}

// A page that leads to another at once, as sign-ins do, is there when the other
// is; one that goes around in a circle later on is noticed, and one that loads
// itself again now and then is not.
func TestPageLeadsOn(t *testing.T) {
	srv := stage(t, false, map[string]http.HandlerFunc{
		"/first":  html(`location.replace('/second')`),
		"/second": html(`addEventListener('load', () => location.assign('/third'))`),
		"/third":  html(`document.title = 'there'`),
		"/later":  html(`setTimeout(() => location.reload(), 300)`),
	})
	p := show(t, config(srv.URL+"/first", io.Discard))
	if err := p.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the page it leads to", func() bool { return p.eval(t.Context(), "document.title") == `"there"` })
	p.cfg.URL = srv.URL + "/later"
	if err := p.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.expect(t, Circling)
	// Documents that stay for a second are no circle, however many there are.
	var h hops
	for i := range 100 {
		if h.add(time.Unix(int64(i), 0)) {
			t.Fatal("calm documents are taken for a circle")
		}
	}
}

// A canvas that is seen and got no WebGL is beyond what is recorded; one that
// only tried, or falls back on something else, is not.
func TestPageWithoutWebGL(t *testing.T) {
	const canvas = `const c = document.createElement('canvas'); document.body.append(c);`
	srv := stage(t, false, map[string]http.HandlerFunc{
		"/tried": html(`document.title = 'got ' + document.createElement('canvas').getContext('webgl2'); ` + canvas + `c.getContext('webgl'); c.getContext('2d').fillRect(0, 0, 9, 9)`),
		"/wants": html(canvas + `c.getContext('webgl')`),
	})
	cfg := config(srv.URL+"/tried", io.Discard)
	cfg.Beat = 200 * time.Millisecond
	p := show(t, cfg)
	if err := p.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := p.eval(t.Context(), "document.title"); got != `"got null"` {
		t.Errorf("%s: this browser has WebGL", got)
	}
	select {
	case tr := <-p.Troubles():
		t.Errorf("trouble %s", tr)
	case <-time.After(time.Second):
	}
	p.cfg.URL = srv.URL + "/wants"
	if err := p.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.expect(t, WebGL)
}

// part lists the browser's processes of a kind: gpu-process, renderer, a service
// of utility, or "" for the browser itself.
func (p *Page) part(kind string) (pids []int) {
	for _, pid := range descendants(p.Pid()) {
		b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		line := string(b)
		if kind == "" && strings.Contains(line, "--remote-debugging-pipe") && !strings.Contains(line, "--type=") ||
			kind != "" && (strings.Contains(line, "--type="+kind) || strings.Contains(line, "--utility-sub-type="+kind)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// What draws, plays or fetches for the page may die: the browser starts it again
// and the page goes on. A browser that stops answering is one that is gone.
func TestPartsOfTheBrowserDie(t *testing.T) {
	var frames atomic.Int64
	srv := site(t, nil)
	cfg := config(srv.URL+"/anim.html", t.Output())
	cfg.Beat, cfg.Hung = 300*time.Millisecond, 3*time.Second
	cfg.Play = func(_ int64, pcm []float32) { frames.Add(int64(len(pcm) / 2)) }
	p := show(t, cfg)
	if err := p.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"gpu-process", "audio.mojom.AudioService", "network.mojom.NetworkService"} {
		pids := p.part(kind)
		if len(pids) == 0 {
			t.Fatalf("there is no %s", kind)
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		until(t, kind+" is gone", func() bool { return len(alive(pids)) == 0 })
		pictures, heard := p.Windows.Commits(), frames.Load()
		until(t, "pictures after "+kind, func() bool { return p.Windows.Commits() > pictures+20 })
		until(t, "sound after "+kind, func() bool { return frames.Load() > heard+24000 })
		until(t, "a fetch after "+kind, func() bool {
			return p.eval(t.Context(), "fetch('/still.html').then(r => r.status, e => 'no')") == "200"
		})
	}
	for _, pid := range p.part("") {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	p.expect(t, Gone)
}

// A page with an element that plays and is not heard has lost its sound, wherever
// it keeps the element; one that is heard, or has nothing to be heard, has not.
// A page that is as silent when it was loaded again is left alone.
func TestPageSilent(t *testing.T) {
	const lost = `a.loop = true; const c = new AudioContext(); a.play();
		setTimeout(() => { c.createMediaElementSource(a).connect(c.destination); c.suspend() }, 500)`
	srv := stage(t, false, map[string]http.HandlerFunc{
		"/tone.wav": tone,
		"/heard":    html(`const a = new Audio('/tone.wav'); document.body.append(a); a.loop = true; a.play()`),
		"/still":    html(``),
		"/lost":     html(`const a = new Audio('/tone.wav'); document.body.append(a); ` + lost),
		"/loose":    html(`const a = new Audio('/tone.wav'); ` + lost),
		"/shadow":   html(`const a = new Audio(); document.body.attachShadow({mode: 'closed'}).append(a); a.src = '/tone.wav'; ` + lost),
		"/mute":     html(`const a = new Audio('/tone.wav'), c = new AudioContext({sinkId: {type: 'none'}}); c.createMediaElementSource(a).connect(c.destination); a.loop = true; a.play()`),
		"/frame":    html(`const f = document.createElement('iframe'); f.src = '/lost'; f.allow = 'autoplay'; document.body.append(f)`),
	})
	cfg := config("http://127.0.0.2/", io.Discard)
	cfg.Beat, cfg.Silence = 200*time.Millisecond, 1500*time.Millisecond
	p := show(t, cfg)
	load := func(path string) {
		t.Helper()
		p.cfg.URL = srv.URL + path
		if err := p.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	calm := func(path string) {
		t.Helper()
		load(path)
		select {
		case tr := <-p.Troubles():
			t.Errorf("%s: trouble %s", path, tr)
		case <-time.After(2500 * time.Millisecond):
		}
	}
	calm("/still")
	calm("/heard")
	for _, path := range []string{"/mute", "/lost", "/loose", "/shadow", "/frame"} {
		load(path)
		p.expect(t, Silent)
		if path == "/mute" {
			calm(path)
		}
	}
}

// tone is a second of 440 Hz, mono, 16 bits.
func tone(w http.ResponseWriter, r *http.Request) {
	const rate = 48000
	b := append([]byte("RIFF"), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(b[4:], 36+2*rate)
	b = append(b, "WAVEfmt "...)
	for _, v := range []uint32{16, 1 | 1<<16, rate, 2 * rate, 2 | 16<<16} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	b = binary.LittleEndian.AppendUint32(append(b, "data"...), 2*rate)
	for i := range rate {
		v := int16(8000)
		if i%109 < 54 {
			v = -8000
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	w.Header().Set("Content-Type", "audio/wav")
	http.ServeContent(w, r, "tone.wav", time.Time{}, strings.NewReader(string(b)))
}
