package pulse

import (
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"testing"
)

// rig is a sound card with a clock of its own and one client.
type rig struct {
	t    testing.TB
	s    *Server
	c    *client
	far  net.Conn
	now  int64
	play []span
}

// span is sound that was played.
type span struct {
	at int64
	n  int
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t}
	r.s = New(Config{
		Clock: func() int64 { return r.now }, Log: slog.New(slog.DiscardHandler),
		Play: func(at int64, pcm []float32) { r.play = append(r.play, span{at, len(pcm) / 2}) },
	})
	near, far := net.Pipe()
	r.far = far
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	r.c = &client{s: r.s, conn: near, streams: map[uint32]*stream{}}
	return r
}

// ask sends a command and returns the answers to it.
func (r *rig) do(f func()) []*reader {
	done := make(chan struct{})
	go func() { f(); close(done) }()
	var out []*reader
	got := make(chan []byte)
	go func() {
		for {
			head := make([]byte, headerSize)
			if _, err := io.ReadFull(r.far, head); err != nil {
				close(got)
				return
			}
			b := make([]byte, binary.BigEndian.Uint32(head))
			_, _ = io.ReadFull(r.far, b)
			got <- b
		}
	}()
	for {
		select {
		case b := <-got:
			out = append(out, &reader{b: b})
		case <-done:
			// The reader goroutine ends with the pipe; a fresh pipe goes on.
			near, far := net.Pipe()
			_, _ = r.c.conn.Close(), r.far.Close()
			for b := range got {
				out = append(out, &reader{b: b})
			}
			r.c.conn, r.far = near, far
			r.t.Cleanup(func() { _, _ = near.Close(), far.Close() })
			return out
		}
	}
}

func create(format spec, corked bool, target, prebuf, minimum uint32) []byte {
	w := message(cmdCreate, 7)
	w.spec(format)
	w.channels(format.channels)
	w.u32(none)
	w.null()
	w.u32(none)
	w.flag(corked)
	w.u32(target)
	w.u32(prebuf)
	w.u32(minimum)
	w.u32(0)
	w.volumes(format.channels)
	return w.b
}

// A stream is asked for as much as was played, every sample has its place, and
// what comes late but not too late leaves no gap.
func TestStream(t *testing.T) {
	r := newRig(t)
	s16 := spec{formatS16LE, 2, Rate}
	answers := r.do(func() { _ = r.c.take(control, create(s16, false, 3*1024*4, 0, 1024*4)) })
	if len(answers) != 1 || answers[0].u32() != cmdReply || answers[0].u32() != 7 {
		t.Fatalf("%d answers", len(answers))
	}
	id, _, asked := answers[0].u32(), answers[0].u32(), answers[0].u32()
	if asked != 3*1024*4 {
		t.Errorf("asked for %d bytes", asked)
	}
	r.now = 5000
	r.do(func() { _ = r.c.take(id, make([]byte, asked)) })
	r.now += 1024
	answers = r.do(func() { r.s.advance() })
	if len(answers) != 1 || answers[0].u32() != cmdRequest {
		t.Fatalf("%d answers after 1024 frames", len(answers))
	}
	r.now += 4096 // the browser stalls: 2048 frames are missing by now
	r.do(func() { r.s.advance(); _ = r.c.take(id, make([]byte, 4096*4)) })
	if last := r.play[len(r.play)-1]; last.at+int64(last.n) != r.now {
		t.Errorf("played up to %d at %d: %v", last.at+int64(last.n), r.now, r.play)
	}
	next := int64(5000)
	for _, p := range r.play {
		if p.at != next {
			t.Errorf("a gap before %d: %v", p.at, r.play)
		}
		next = p.at + int64(p.n)
	}
	r.now += 5 * Rate // nothing for five seconds: the next sound is now
	r.do(func() { r.s.advance(); r.now += 10; _ = r.c.take(id, make([]byte, 400)) })
	r.now += 10
	r.do(func() { r.s.advance() })
	if last := r.play[len(r.play)-1]; last.at < r.now-100 {
		t.Errorf("after a pause played at %d, now is %d", last.at, r.now)
	}
}

func TestStreamsOfOtherFormsAreRefused(t *testing.T) {
	for _, f := range []spec{{formatS16LE, 2, 44100}, {formatU8, 2, Rate}, {formatS16LE, 0, Rate}, {formatS16LE, 9, Rate}} {
		r := newRig(t)
		answers := r.do(func() { _ = r.c.take(control, create(f, true, none, none, none)) })
		if len(answers) != 1 || answers[0].u32() != cmdError {
			t.Errorf("%v is taken", f)
		}
	}
}

func TestStereo(t *testing.T) {
	mono := spec{formatF32LE, 1, Rate}
	if got := mono.stereo(nil, []byte{0, 0, 0, 0x3f}); len(got) != 2 || got[0] != 0.5 || got[1] != 0.5 {
		t.Errorf("%v", got)
	}
	four := spec{formatS16LE, 4, Rate}
	if got := four.stereo(nil, []byte{0, 0x40, 0, 0xc0, 1, 2, 3, 4}); len(got) != 2 || got[0] != 0.5 || got[1] != -0.5 {
		t.Errorf("%v", got)
	}
}

func FuzzCommands(f *testing.F) {
	f.Add(create(spec{formatS16LE, 2, Rate}, false, none, none, none), make([]byte, 64))
	f.Add(message(cmdServerInfo, 1).b, []byte{})
	f.Add(message(cmdLatency, 1).b, []byte{1})
	f.Fuzz(func(t *testing.T, cmd, sound []byte) {
		r := &rig{t: t}
		r.s = New(Config{Clock: func() int64 { return r.now }, Log: slog.New(slog.DiscardHandler), Play: func(int64, []float32) {}})
		r.c = &client{s: r.s, streams: map[uint32]*stream{}, broken: true}
		_ = r.c.take(control, cmd)
		for id := range r.c.streams {
			_ = r.c.take(id, sound)
		}
		r.now += Rate
		r.s.advance()
		_ = r.c.take(control, cmd)
	})
}
