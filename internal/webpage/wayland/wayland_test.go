package wayland

import (
	"encoding/binary"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// script writes requests as a client does.
type script struct{ b []byte }

func (s *script) request(id uint32, op int, args ...any) *script {
	c := &client{}
	c.event(id, op, args...) // requests look like events
	s.b = append(s.b, c.out...)
	return s
}

// memory is a file of n pixels that are all of one colour.
func memory(t testing.TB, pixels int, bgra [4]byte) int {
	t.Helper()
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 0, pixels*4)
	for range pixels {
		b = append(b, bgra[:]...)
	}
	if _, err := unix.Write(fd, b); err != nil {
		t.Fatal(err)
	}
	return fd
}

// IDs of the objects in a script.
const (
	registry, compositor, subcompositor, shm, shell = 2, 3, 4, 5, 6
	bottom, bottomXDG, bottomTop                    = 10, 11, 12
	menu, menuXDG, menuPopup, positionerID          = 20, 21, 22, 23
)

func begin() *script {
	s := &script{}
	s.request(1, 1, uint32(registry))
	for name, id := range map[int]uint32{1: compositor, 2: subcompositor, 3: shm, 4: shell} {
		g := globals()[name-1]
		s.request(registry, 0, uint32(name), g.kind, g.version, id)
	}
	return s
}

// fill shows a buffer of one colour on a surface.
func (s *script) fill(surface, pool, buffer uint32, w, h int) *script {
	s.request(shm, 0, pool, w*h*4)
	s.request(pool, 0, buffer, 0, w, h, w*4, uint32(formatARGB))
	return s.request(surface, 1, buffer, 0, 0).request(surface, 9, 0, 0, w, h).request(surface, 6)
}

// play feeds a script to a compositor and returns it with what it answered.
func play(t testing.TB, s *script, fds ...int) (*Server, *client) {
	t.Helper()
	srv := New(Config{W: 64, H: 32, FPS: 30, Log: slog.New(slog.DiscardHandler)})
	c := &client{s: srv, objects: map[uint32]*object{1: {kind: "wl_display"}}, outputs: map[uint32]bool{}, fds: fds}
	rest, err := c.requests(s.b)
	if err != nil || len(rest) != 0 {
		t.Fatalf("%d bytes left, %v", len(rest), err)
	}
	srv.clients[c] = struct{}{}
	return srv, c
}

// shot paints everything and returns one pixel.
func shot(s *Server, x, y int) [3]byte {
	pix := make([]byte, s.cfg.W*s.cfg.H*4)
	s.Redraw()
	s.Draw(func(p []byte, stride, x, y, w, h int) {
		for j := range h {
			copy(pix[((y+j)*s.cfg.W+x)*4:][:w*4], p[j*stride:])
		}
	})
	return [3]byte(pix[(y*s.cfg.W+x)*4:][:3])
}

// A menu of half transparency lies where its positioner puts it, is seen over
// the window, and what it covered comes back.
func TestSurfacesAreComposed(t *testing.T) {
	s := begin()
	s.request(compositor, 0, uint32(bottom)).request(shell, 2, uint32(bottomXDG), uint32(bottom)).request(bottomXDG, 1, uint32(bottomTop)).request(bottom, 6)
	s.fill(bottom, 30, 31, 64, 32)
	s.request(compositor, 0, uint32(menu)).request(shell, 2, uint32(menuXDG), uint32(menu))
	s.request(shell, 1, uint32(positionerID)).request(positionerID, 1, 16, 8).request(positionerID, 2, 10, 4, 10, 6)
	s.request(positionerID, 3, uint32(6)).request(positionerID, 4, uint32(8)) // below the anchor's left edge
	s.request(menuXDG, 2, uint32(menuPopup), uint32(bottomXDG), uint32(positionerID))
	s.fill(menu, 32, 33, 16, 8)
	srv, c := play(t, s, memory(t, 64*32, [4]byte{200, 0, 0, 255}), memory(t, 16*8, [4]byte{0, 128, 0, 128}))
	if got := shot(srv, 0, 0); got != [3]byte{200, 0, 0} {
		t.Errorf("the window is %v", got)
	}
	if got := shot(srv, 12, 12); got != [3]byte{100, 128, 0} {
		t.Errorf("the menu is %v", got)
	}
	if got := shot(srv, 27, 12); got != [3]byte{200, 0, 0} {
		t.Errorf("beside the menu it is %v", got)
	}
	s = (&script{}).request(menuPopup, 0)
	if _, err := c.requests(s.b); err != nil {
		t.Fatal(err)
	}
	if got := shot(srv, 12, 12); got != [3]byte{200, 0, 0} {
		t.Errorf("where the menu was it is %v", got)
	}
	painted := false
	if srv.Draw(func([]byte, int, int, int, int, int) { painted = true }) || painted {
		t.Error("a picture that did not change was painted")
	}
	c.dispose()
}

// Frame callbacks are answered by ticks, once.
func TestTicks(t *testing.T) {
	s := begin()
	s.request(compositor, 0, uint32(bottom)).request(shell, 2, uint32(bottomXDG), uint32(bottom)).request(bottomXDG, 1, uint32(bottomTop)).request(bottom, 6)
	s.request(bottom, 3, uint32(40))
	s.fill(bottom, 30, 31, 64, 32)
	srv, c := play(t, s, memory(t, 64*32, [4]byte{1, 2, 3, 255}))
	ours, theirs := sockets(t)
	c.conn = ours
	srv.Tick(time.Second)
	done := 0
	for _, e := range events(t, theirs) {
		if e == [2]uint32{40, 0} {
			done++
		}
	}
	srv.Tick(2 * time.Second)
	if done != 1 {
		t.Errorf("frame told %d times", done)
	}
}

// A buffer that is shown is given back when another takes its place, and not
// before; one that the browser destroys is seen until then.
func TestBuffersAreHeld(t *testing.T) {
	s := begin()
	s.request(compositor, 0, uint32(bottom)).request(shell, 2, uint32(bottomXDG), uint32(bottom)).request(bottomXDG, 1, uint32(bottomTop)).request(bottom, 6)
	s.fill(bottom, 30, 31, 64, 32)
	srv, c := play(t, s, memory(t, 64*32, [4]byte{1, 2, 3, 255}), memory(t, 64*32, [4]byte{4, 5, 6, 255}))
	c.out = nil
	released := func(s *script, id uint32) bool {
		t.Helper()
		if _, err := c.requests(s.b); err != nil {
			t.Fatal(err)
		}
		defer func() { c.out = nil }()
		return slices.Contains(parse(c.out), [2]uint32{id, 0})
	}
	again := (&script{}).request(bottom, 1, uint32(31), 0, 0).request(bottom, 9, 0, 0, 64, 32).request(bottom, 6)
	if released(again, 31) {
		t.Error("given back while it is shown")
	}
	if !released((&script{}).fill(bottom, 32, 33, 64, 32), 31) {
		t.Error("not given back when another took its place")
	}
	if released((&script{}).request(33, 0).request(32, 1), 33) {
		t.Error("a buffer that is no more is given back")
	}
	if got := shot(srv, 1, 1); got != [3]byte{4, 5, 6} {
		t.Errorf("a buffer that was destroyed is seen as %v", got)
	}
	held := c.objects[bottom].surface.shown.pool
	if released(again, 33) || held.mem != nil {
		t.Error("the memory of a buffer that was destroyed stays mapped")
	}
	if got := shot(srv, 1, 1); got != [3]byte{1, 2, 3} {
		t.Errorf("after that %v is seen", got)
	}
}

// Between two ticks two callbacks of a surface are answered at once, so that no
// picture waits in the browser; the third waits for the next tick.
func TestEarlyAnswers(t *testing.T) {
	s := begin()
	s.request(compositor, 0, uint32(bottom)).request(shell, 2, uint32(bottomXDG), uint32(bottom)).request(bottomXDG, 1, uint32(bottomTop)).request(bottom, 6)
	_, c := play(t, s)
	answered := func(id uint32) bool {
		t.Helper()
		if _, err := c.requests((&script{}).request(bottom, 3, id).request(bottom, 6).b); err != nil {
			t.Fatal(err)
		}
		return c.objects[id] == nil
	}
	if answered(40) {
		t.Error("answered before the first tick")
	}
	c.tick(time.Second, 1)
	if c.objects[40] != nil {
		t.Error("not answered by the tick")
	}
	for i, want := range []bool{true, true, false, false} {
		if got := answered(uint32(50 + i)); got != want {
			t.Errorf("picture %d after the tick: answered %v", i+1, got)
		}
	}
	c.tick(2*time.Second, 2)
	if c.objects[52] != nil || c.objects[53] != nil {
		t.Error("what waited was not answered by the next tick")
	}
}

func sockets(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	a, err = net.DialUnix("unix", nil, l.Addr().(*net.UnixAddr))
	if err != nil {
		t.Fatal(err)
	}
	if b, err = l.AcceptUnix(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	return a, b
}

// events reads what is there: object and opcode of each.
func events(t *testing.T, c *net.UnixConn) [][2]uint32 {
	t.Helper()
	b := make([]byte, 1<<16)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return parse(b[:n])
}

// parse reads object and opcode of each event.
func parse(b []byte) (out [][2]uint32) {
	for len(b) >= 8 {
		w := binary.LittleEndian.Uint32(b[4:])
		out = append(out, [2]uint32{binary.LittleEndian.Uint32(b), w & 0xffff})
		b = b[w>>16:]
	}
	return out
}

// A browser that lies about its memory is turned away.
func TestPoolsAreChecked(t *testing.T) {
	for name, s := range map[string]*script{
		"pool larger than its file": begin().request(shm, 0, uint32(30), 1<<20),
		"buffer outside the pool":   begin().request(shm, 0, uint32(30), 4096).request(30, 0, uint32(31), 0, 64, 32, 256, uint32(0)),
		"negative offset":           begin().request(shm, 0, uint32(30), 4096).request(30, 0, uint32(31), -4, 4, 4, 16, uint32(0)),
		"overflow":                  begin().request(shm, 0, uint32(30), 4096).request(30, 0, uint32(31), 0, 1<<30, 1<<30, 4, uint32(0)),
		"no file":                   begin().request(shm, 0, uint32(30), 4096).request(shm, 0, uint32(31), 4096),
		"unknown object":            begin().request(99, 0),
		"parent of itself":          begin().request(compositor, 0, uint32(10)).request(subcompositor, 1, uint32(11), uint32(10), uint32(10)),
	} {
		srv := New(Config{W: 64, H: 32, FPS: 30, Log: slog.New(slog.DiscardHandler)})
		c := &client{s: srv, objects: map[uint32]*object{1: {kind: "wl_display"}}, outputs: map[uint32]bool{}, fds: []int{memory(t, 1024, [4]byte{})}}
		if _, err := c.requests(s.b); err == nil {
			t.Errorf("%s is taken", name)
		}
		c.dispose()
	}
}

func FuzzRequests(f *testing.F) {
	s := begin()
	s.request(compositor, 0, uint32(bottom)).request(shell, 2, uint32(bottomXDG), uint32(bottom)).request(bottomXDG, 1, uint32(bottomTop)).request(bottom, 6)
	s.fill(bottom, 30, 31, 8, 8)
	f.Add(s.b)
	file := filepath.Join(f.TempDir(), "pool")
	if err := os.WriteFile(file, make([]byte, 4096), 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		srv := New(Config{W: 64, H: 32, FPS: 30, Log: slog.New(slog.DiscardHandler)})
		fd, err := syscall.Open(file, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		c := &client{s: srv, objects: map[uint32]*object{1: {kind: "wl_display"}}, outputs: map[uint32]bool{}, fds: []int{fd}, broken: true}
		srv.clients[c] = struct{}{}
		_, _ = c.requests(b)
		srv.Draw(func([]byte, int, int, int, int, int) {})
		srv.Tick(time.Second)
		c.dispose()
	})
}
