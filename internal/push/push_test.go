package push

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/media/codec"
	"tapedeck/internal/testkit/rtmp"
)

const (
	w, h, fps = 320, 180, 15
	generous  = 90 * time.Second
)

// stage encodes a moving picture and silence, and sends both in real time.
type stage struct {
	video *codec.H264Encoder
	audio *codec.AACEncoder
	cv    *codec.Canvas
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{}
	var err error
	if s.video, err = codec.NewH264Encoder(codec.EncoderConfig{W: w, H: h, FPS: fps, Kbps: 500}); err != nil {
		t.Fatal(err)
	}
	if s.audio, err = codec.NewAACEncoder(48000, 2, 96000); err != nil {
		t.Fatal(err)
	}
	if s.cv, err = codec.NewCanvas(w, h); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.video.Close(); s.audio.Close(); s.cv.Close() })
	return s
}

func (s *stage) config(urls ...string) Config {
	sps, pps := s.video.ParameterSets()
	return Config{
		URLs: urls, W: w, H: h, FPS: fps, SPS: sps, PPS: pps, SampleRate: 48000, Channels: 2,
		AudioConfig: s.audio.Config(), Dial: (&net.Dialer{}).DialContext,
		Backoff: func(int) time.Duration { return 50 * time.Millisecond },
	}
}

// play feeds o until the test ends.
func (s *stage) play(t *testing.T, o *Output) {
	t.Helper()
	stop, done := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(stop); <-done })
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second / fps)
		defer tick.Stop()
		pcm := make([]float32, 2*codec.AACFrame)
		for n, sound := int64(0), int64(0); ; n++ {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			_ = s.cv.Fill(int(n%20)*16, 0, 16, h, codec.RGB(255, 0, 0))
			out, err := s.video.Encode(s.cv, n, n%fps == 0)
			if err != nil {
				t.Error(err)
				return
			}
			for _, e := range out {
				o.Video(media.Time(e.Frame*1_000_000/fps), e.Key, e.Data)
			}
			for ; media.FromSamples48k(sound*codec.AACFrame) < media.Time(n*1_000_000/fps); sound++ {
				aac, err := s.audio.Encode(pcm)
				if err != nil {
					t.Error(err)
					return
				}
				for _, a := range aac {
					o.Audio(media.FromSamples48k(sound*codec.AACFrame), a)
				}
			}
		}
	}()
}

// states collects what OnState tells.
type states struct {
	mu   sync.Mutex
	all  [][]string
	news chan struct{}
}

func newStates(outputs int) *states {
	return &states{all: make([][]string, outputs), news: make(chan struct{}, 1000)}
}

func (s *states) told(i int, state string) {
	s.mu.Lock()
	s.all[i] = append(s.all[i], state)
	s.mu.Unlock()
	s.news <- struct{}{}
}

func (s *states) of(i int) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all[i])
}

// wait returns once output i has told the states in order.
func (s *states) wait(t *testing.T, i int, want ...string) {
	t.Helper()
	deadline := time.After(generous)
	for {
		if got := s.of(i); slices.Equal(got, want) {
			return
		} else if len(got) >= len(want) {
			t.Fatalf("output %d told %v, want %v", i, got, want)
		}
		select {
		case <-s.news:
		case <-deadline:
			t.Fatalf("output %d told %v, want %v", i, s.of(i), want)
		}
	}
}

// probe plays a stream from a server and returns what ffprobe says of it.
func probe(t *testing.T, url string) (kinds string, frames int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), generous)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ffprobe", "-v", "error", "-rw_timeout", "30000000", "-of", "json", "-count_frames",
		"-read_intervals", "%+2", "-show_entries", "stream=codec_name,width,height,sample_rate,channels,nb_read_frames", url).Output()
	if err != nil {
		t.Fatalf("probe: %v %s", err, out)
	}
	var p struct {
		Streams []struct {
			Codec    string `json:"codec_name"`
			W, H     int
			Rate     string `json:"sample_rate"`
			Channels int
			Frames   string `json:"nb_read_frames"`
		}
	}
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range p.Streams {
		names = append(names, s.Codec)
		n := json.Number(s.Frames)
		if k, err := n.Int64(); err != nil || k < 8 {
			t.Errorf("%s: %s frames in two seconds", s.Codec, s.Frames)
		} else if s.Codec == "h264" {
			frames = int(k)
		}
	}
	slices.Sort(names)
	return strings.Join(names, "+"), frames
}

func server(t *testing.T) *rtmp.Server {
	t.Helper()
	if err := rtmp.Available(); err != nil {
		t.Skipf("no RTMP server (scripts/setup.sh test installs it): %v", err)
	}
	s, err := rtmp.New(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Kill() })
	return s
}

// A real server, killed in the middle and started again, a second output that
// hangs, and a change of URL: the stream is there whenever the server is.
func TestPushSurvivesItsServer(t *testing.T) {
	srv := server(t)
	hang := hangingServer(t)
	st := newStates(2)
	s := newStage(t)
	cfg := s.config(srv.URL("one"), "rtmp://"+hang+"/live/x")
	cfg.OnState = st.told
	o := New(cfg)
	defer o.Close()
	s.play(t, o)
	st.wait(t, 0, Connecting, Publishing)
	if kinds, _ := probe(t, srv.URL("one")); kinds != "aac+h264" {
		t.Errorf("published %s", kinds)
	}
	srv.Kill()
	st.wait(t, 0, Connecting, Publishing, Disconnected)
	if err := srv.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	st.wait(t, 0, Connecting, Publishing, Disconnected, Publishing)
	if kinds, _ := probe(t, srv.URL("one")); kinds != "aac+h264" {
		t.Errorf("after the restart %s", kinds)
	}
	o.Hold(true)
	st.wait(t, 0, Connecting, Publishing, Disconnected, Publishing, OnHold)
	o.Hold(false)
	st.wait(t, 0, Connecting, Publishing, Disconnected, Publishing, OnHold, Publishing)
	o.SetURLs([]string{srv.URL("two"), "rtmp://" + hang + "/live/x"})
	st.wait(t, 0, Connecting, Publishing, Disconnected, Publishing, OnHold, Publishing, Connecting, Publishing)
	if kinds, _ := probe(t, srv.URL("two")); kinds != "aac+h264" {
		t.Errorf("under the new key %s", kinds)
	}
	if got := st.of(1); slices.Contains(got, Publishing) {
		t.Errorf("the server that hangs: %v", got)
	}
}

// hangingServer accepts connections and never says anything.
func hangingServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			if _, err := l.Accept(); err != nil {
				return
			}
		}
	}()
	return l.Addr().String()
}

// RTMPS: TLS in front of the same server.
func TestPushTLS(t *testing.T) {
	srv := server(t)
	ts := httptest.NewTLSServer(nil) // for its certificate
	defer ts.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: ts.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go relay(l, srv.Addr)
	roots := x509.NewCertPool()
	roots.AddCert(ts.Certificate())

	s := newStage(t)
	st := newStates(2)
	cfg := s.config("rtmps://"+l.Addr().String()+"/live/safe", "rtmps://localhost.invalid/live/x")
	cfg.RootCAs, cfg.OnState = roots, st.told
	o := New(cfg)
	defer o.Close()
	s.play(t, o)
	st.wait(t, 0, Connecting, Publishing)
	st.wait(t, 1, Connecting, Disconnected)
	if kinds, _ := probe(t, srv.URL("safe")); kinds != "aac+h264" {
		t.Errorf("published %s", kinds)
	}

	// Without the certificate nothing is sent.
	strange := newStates(1)
	cfg.URLs, cfg.RootCAs, cfg.OnState = cfg.URLs[:1], x509.NewCertPool(), strange.told
	o2 := New(cfg)
	defer o2.Close()
	strange.wait(t, 0, Connecting, Disconnected)
}

func relay(l net.Listener, to string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = c.Close() }()
			d, err := net.Dial("tcp", to)
			if err != nil {
				return
			}
			defer func() { _ = d.Close() }()
			go func() { _, _ = io.Copy(d, c); _ = d.Close() }()
			_, _ = io.Copy(c, d)
		}()
	}
}

// A connection that takes nothing fills the queue: it stays bounded, the
// caller never waits, and what goes on begins with a key frame.
func TestQueueIsBounded(t *testing.T) {
	tg := newTarget(Config{OnState: func(int, string) {}}, 0, "", false, func() {})
	tg.setOnline(true)
	body := make([]byte, 100_000)
	for n := range 990 {
		tg.push(frame{pts: media.Time(n) * 40_000, video: true, key: n%50 == 7, body: body})
		if tg.bytes > queueBytes {
			t.Fatalf("%d bytes are queued", tg.bytes)
		}
	}
	frames, _, dropped := tg.take()
	if dropped == 0 || len(frames) == 0 || !frames[0].key {
		t.Errorf("%d dropped, %d left", dropped, len(frames))
	}
	for n := range 400 {
		tg.push(frame{pts: media.Time(n) * 40_000, video: true, key: n%50 == 0, body: body[:10]})
	}
	if frames, _, _ := tg.take(); frames[len(frames)-1].pts-frames[0].pts > queueSpan {
		t.Error("the queue holds more than its span")
	}
}

func TestParseURL(t *testing.T) {
	for in, want := range map[string]address{
		"rtmp://h/live/k":            {host: "h:1935", name: "h", app: "live", tcURL: "rtmp://h/live", key: "k"},
		"rtmps://h/a/b/k?t=1&u=2":    {secure: true, host: "h:443", name: "h", app: "a/b", tcURL: "rtmps://h/a/b", key: "k?t=1&u=2"},
		"RTMP://[::1]:19350/live/k/": {host: "[::1]:19350", name: "::1", app: "live", tcURL: "rtmp://[::1]:19350/live", key: "k"},
	} {
		if got, err := parseURL(in); err != nil || got != want {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "http://h/live/k", "rtmp:///live/k", "rtmp://h", "rtmp://h/secret", "rtmp://%zz/secret"} {
		if _, err := parseURL(in); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", in, err)
		}
	}
}
