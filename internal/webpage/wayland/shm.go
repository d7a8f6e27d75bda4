package wayland

import (
	"fmt"
	"syscall"
)

// Formats of wl_shm: 32 bits a pixel, B, G, R, A in memory.
const (
	formatARGB = 0 // premultiplied alpha
	formatXRGB = 1 // opaque
)

// pool is a piece of the browser's memory.
type pool struct {
	fd   int
	mem  []byte
	refs int // the object and its buffers
}

// openPool takes over a file the browser sent.
func openPool(fd, size int) (*pool, error) {
	p := &pool{fd: fd, refs: 1}
	if err := p.resize(size); err != nil {
		_ = syscall.Close(fd)
		return nil, err
	}
	return p, nil
}

// resize maps size bytes. A file that is shorter would be a bus error later.
func (p *pool) resize(size int) error {
	var st syscall.Stat_t
	if err := syscall.Fstat(p.fd, &st); err != nil {
		return fmt.Errorf("wayland: the browser's memory: %w", err)
	}
	if size <= 0 || size < len(p.mem) || size > maxPool || st.Size < int64(size) {
		return fmt.Errorf("%w: a pool of %d bytes in a file of %d", errWire, size, st.Size)
	}
	mem, err := syscall.Mmap(p.fd, 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("wayland: map the browser's memory: %w", err)
	}
	if p.mem != nil {
		_ = syscall.Munmap(p.mem)
	}
	p.mem = mem
	return nil
}

func (p *pool) release() {
	if p.refs--; p.refs == 0 {
		_ = syscall.Munmap(p.mem)
		_ = syscall.Close(p.fd)
		p.mem = nil
	}
}

// buffer is one picture in a pool.
type buffer struct {
	c                 *client
	id                uint32
	pool              *pool
	off, w, h, stride int
	format            uint32
	gone              bool // the browser destroyed it
}

func (b *buffer) check() error {
	if b.w < 1 || b.h < 1 || b.w > 16384 || b.h > 16384 || b.stride < 4*b.w || b.off < 0 ||
		b.format > formatXRGB || b.off+b.stride*(b.h-1)+4*b.w > len(b.pool.mem) {
		return fmt.Errorf("%w: a buffer of %dx%d, %d bytes a row at %d, format %d, in %d bytes", errWire, b.w, b.h, b.stride, b.off, b.format, len(b.pool.mem))
	}
	return nil
}

func (b *buffer) opaque() bool { return b.format == formatXRGB }

// row returns the memory from pixel x, y on.
func (b *buffer) row(x, y int) []byte { return b.pool.mem[b.off+y*b.stride+4*x:] }
