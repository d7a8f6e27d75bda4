package recorder

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v4"

	"tapedeck/internal/channel"
	"tapedeck/internal/channel/embedded"
	"tapedeck/internal/channel/livekit"
	"tapedeck/internal/channel/livekit/sdk"
	"tapedeck/internal/link"
	"tapedeck/internal/media"
	"tapedeck/internal/media/timing"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/clips"
)

const (
	benchRoom  = "TAPEDECK_BENCH_ROOM" // in the process that is the room: noise or beeps
	benchNoise = "noise"
	benchUsers = 4
	benchTime  = 10 * time.Second
)

// TestBenchRoom is no test: BenchmarkIndividual runs it in a process of its own,
// so that what the server and the senders cost is not counted.
func TestBenchRoom(t *testing.T) {
	sound := os.Getenv(benchRoom)
	if sound == "" {
		t.Skip("the room of BenchmarkIndividual")
	}
	s := serve(t, embedded.Options{})
	sets, err := clips.Make(t.Context(), clips.CacheDir(), []clips.Person{benchPerson()})
	if err != nil {
		t.Fatal(err)
	}
	spec, err := sets[0].Spec()
	if err != nil {
		t.Fatal(err)
	}
	if sound == benchNoise {
		spec.Audio = noiseClip(t)
	}
	for i := range uint32(benchUsers) {
		enter(t, s.URL(), 101+i, spec)
	}
	fmt.Println("room " + s.URL())
	_, _ = io.Copy(io.Discard, os.Stdin) // until the benchmark ends
}

func benchPerson() clips.Person {
	return clips.Person{UID: 1, Color: "#2050b0", Tone: 600, Video: []clips.Video{{Codec: media.H264, W: 1280, H: 720, Kbps: 1200}}}
}

// outside starts the room, with noise that never pauses or beeps for sound.
func outside(b *testing.B, sound string) (url string) {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestBenchRoom$")
	cmd.Env = append(os.Environ(), benchRoom+"="+sound)
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "room "); ok {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return rest
		}
	}
	b.Fatal("the room did not begin")
	return ""
}

// cpu is the processor time that this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// heap is what lives in memory, in bytes.
func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkIndividual measures what a user with 720p H.264 at 30 frames a second
// and Opus costs: received and dropped by LiveKit's SDK (the floor); received by us,
// put in order, timed and dropped; with sound or pictures alone written; and with both,
// the sound transcoded. All but the last send noise that never pauses, the dearest that
// there is; the last a beep of a tenth of a second each second.
func BenchmarkIndividual(b *testing.B) {
	b.Run(benchNoise, individualCosts)
	b.Run("beeps", func(b *testing.B) {
		url := outside(b, "beeps")
		b.Run("both", func(b *testing.B) {
			measure(b, func() func() { return recorderOf(b, url, testPlan(session.StreamDefault)) })
		})
	})
}

func individualCosts(b *testing.B) {
	url := outside(b, benchNoise)
	b.Run("floor", func(b *testing.B) { measure(b, func() func() { return drop(b, url) }) })
	b.Run("received", func(b *testing.B) { measure(b, func() func() { return receiverOf(b, url) }) })
	for _, c := range []struct {
		name    string
		streams session.StreamTypes
		mode    string
	}{
		{"original", session.AudioOnly, session.StreamOriginal},
		{"video", session.VideoOnly, session.StreamDefault},
		{"both", session.Both, session.StreamDefault},
	} {
		b.Run(c.name, func(b *testing.B) {
			plan := testPlan(c.mode)
			plan.Streams = c.streams
			measure(b, func() func() { return recorderOf(b, url, plan) })
		})
	}
}

// measure lets something listen to the room for a while.
func measure(b *testing.B, listen func() (stop func())) {
	for b.Loop() {
		before := heap()
		stop := listen()
		settle(b, 3*time.Second)
		from := cpu(b)
		settle(b, benchTime)
		used := cpu(b) - from
		b.ReportMetric(float64(used.Microseconds())/benchTime.Seconds()/benchUsers/1000, "ms/s/user")
		b.ReportMetric((heap()-before)/benchUsers/1e6, "MB/user")
		stop()
	}
}

func settle(b *testing.B, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-b.Context().Done():
	}
}

// drop joins with LiveKit's SDK alone and drops every packet.
func drop(b *testing.B, url string) (stop func()) {
	sdk.Prepare()
	cb := lksdk.NewRoomCallback()
	cb.OnTrackSubscribed = func(t *webrtc.TrackRemote, _ *lksdk.RemoteTrackPublication, _ *lksdk.RemoteParticipant) {
		buf := make([]byte, 1600)
		for {
			if _, _, err := t.Read(buf); err != nil {
				return
			}
		}
	}
	quiet := sdk.Logger(slog.New(slog.NewTextHandler(io.Discard, nil)))
	room := lksdk.NewRoom(cb)
	if err := room.JoinWithToken(url, benchToken(b), lksdk.WithLogger(quiet)); err != nil {
		b.Fatal(err)
	}
	return room.Disconnect
}

func benchToken(b *testing.B) string {
	b.Helper()
	token, err := livekit.MintToken(liveKey, liveSecret, "room", fmt.Sprintf("rec-%d", time.Now().UnixNano()), time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	return token
}

// receiverOf receives the room, in order and timed, and drops it.
func receiverOf(b *testing.B, url string) (stop func()) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	src := livekit.New(livekit.Config{
		Room: link.Room{URL: url, Token: benchToken(b)}, Clock: timing.NewClock(time.Time{}, time.Now),
		Subscription: testPlan(session.StreamDefault).Subscription, Streams: session.Both, Log: log,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { fitThreads(ctx) })
	work.Go(func() {
		if err := src.Run(ctx, func(channel.Event) {}); err != nil {
			b.Error(err)
		}
	})
	return func() {
		cancel()
		work.Wait()
	}
}

// recorderOf records the room.
func recorderOf(b *testing.B, url string, plan session.Plan) (stop func()) {
	dir, err := spool.Create(b.TempDir(), plan.SID)
	if err != nil {
		b.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	out, err := OpenOutput(dir, plan, time.Now, log)
	if err != nil {
		b.Fatal(err)
	}
	src := livekit.New(livekit.Config{
		Room: link.Room{URL: url, Token: benchToken(b)}, Clock: out.Clock(), Subscription: plan.Subscription, Streams: plan.Streams, Log: log,
	})
	mode, err := newIndividual(plan, out, src, log)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var threads sync.WaitGroup
	threads.Go(func() { fitThreads(ctx) })
	done := make(chan error, 2)
	go func() { done <- mode.Run(ctx) }()
	go func() { done <- src.Run(ctx, mode.Handle) }()
	return func() {
		cancel()
		threads.Wait()
		for range 2 {
			if err := <-done; err != nil {
				b.Error(err)
			}
		}
		_ = out.Close()
	}
}
