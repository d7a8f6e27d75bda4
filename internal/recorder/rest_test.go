package recorder

import (
	"net"
	"runtime"
	"testing"
	"time"
)

func TestRestPaysFromSomeWorkOn(t *testing.T) {
	for _, c := range []struct {
		now   bool
		procs int
		used  float64
		want  bool
	}{
		{false, 1, 0.001, false}, // nobody there
		{false, 1, 0.010, false},
		{false, 1, 0.030, true},
		{true, 1, 0.010, true}, // resting made it cheaper
		{true, 1, 0.004, false},
		{true, 2, 0.600, false},
		{false, 2, 0.600, false},
	} {
		if got := shouldRest(c.now, c.procs, c.used); got != c.want {
			t.Errorf("resting %v, %d threads and %.3f used: %v, want %v", c.now, c.procs, c.used, got, c.want)
		}
	}
}

// Sockets, timers and goroutines that never pause all go on while the process rests.
func TestRestLetsEverybodyWork(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var r resting
	r.set(true)
	defer r.set(false)
	busy := make(chan struct{})
	defer close(busy)
	go func() {
		for {
			select {
			case <-busy:
				return
			default:
				runtime.Gosched()
			}
		}
	}()
	a, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	go func() {
		buf := make([]byte, 16)
		for {
			n, from, err := a.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = a.WriteTo(buf[:n], from)
		}
	}()
	b, err := net.Dial("udp", a.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	if err := b.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	buf := make([]byte, 16)
	for range 20 {
		if _, err := b.Write([]byte("beep")); err != nil {
			t.Fatal(err)
		}
		if n, err := b.Read(buf); err != nil || string(buf[:n]) != "beep" {
			t.Fatalf("%q, %v", buf[:n], err)
		}
		runtime.GC()
		<-tick.C
	}
}

func TestRestEnds(t *testing.T) {
	var r resting
	for range 3 {
		r.set(true)
		r.set(true)
		r.set(false)
		r.set(false)
	}
	if r.stop != nil {
		t.Error("it rests after it has ended")
	}
}
