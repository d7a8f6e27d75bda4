// Package pulse is a sound card without a loudspeaker: a server of PulseAudio's
// native protocol for one browser. Sound is taken at exactly the rate of the
// recording's clock, and every sample comes with its place on the recording's
// timeline. It implements what libpulse asks of version 13 of the protocol for
// playing; there is nothing to record from.
package pulse

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"
)

// Rate is the only sample rate, Hz. The browser converts to it.
const Rate = 48000

const (
	version    = 13
	headerSize = 20
	maxFrame   = 4 << 20 // bytes of one message
	control    = 0xffffffff
	none       = 0xffffffff // no index, no tag
	tick       = 10 * time.Millisecond
)

// Config says where the sound goes.
type Config struct {
	// Clock is the recording's timeline in samples.
	Clock func() int64
	// Play is handed stereo sound of one stream: its first sample belongs at
	// position at. pcm is not kept. It is called with a lock held.
	Play func(at int64, pcm []float32)
	Log  *slog.Logger
}

// Server is the sound card.
type Server struct {
	cfg Config

	mu      sync.Mutex
	streams map[*stream]struct{}
	serial  uint32
	pcm     []float32
	wake    chan struct{}
}

// New makes a sound card. Run lets it play, Serve lets browsers connect.
func New(cfg Config) *Server {
	return &Server{cfg: cfg, streams: map[*stream]struct{}{}, wake: make(chan struct{}, 1)}
}

// Run takes the sound in real time until ctx ends.
func (s *Server) Run(ctx context.Context) {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		if s.advance() {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
			continue
		}
		select { // nothing plays
		case <-ctx.Done():
			return
		case <-s.wake:
		}
	}
}

// Playing reports whether the browser plays anything, if only silence.
func (s *Server) Playing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for st := range s.streams {
		if st.running {
			return true
		}
	}
	return false
}

// advance plays every stream up to now and reports whether one is running.
func (s *Server) advance() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, busy := s.cfg.Clock(), false
	for st := range s.streams {
		if st.play(now) {
			busy = true
		}
	}
	return busy
}

func (s *Server) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Serve takes connections until l is closed.
func (s *Server) Serve(ctx context.Context, l *net.UnixListener) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return
		}
		go s.serve(ctx, conn)
	}
}

func (s *Server) serve(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	c := &client{s: s, conn: conn, streams: map[uint32]*stream{}}
	err := c.read()
	if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, syscall.ECONNRESET) {
		s.cfg.Log.Warn("the browser's sound connection broke", "err", err)
	}
	_ = conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range c.streams {
		delete(s.streams, st)
	}
}

// client is one connection of the browser.
type client struct {
	s       *Server
	conn    net.Conn
	streams map[uint32]*stream
	broken  bool
}

func (c *client) read() error {
	head := make([]byte, headerSize)
	for {
		if _, err := io.ReadFull(c.conn, head); err != nil {
			return err
		}
		size, channel := binary.BigEndian.Uint32(head), binary.BigEndian.Uint32(head[4:])
		if size > maxFrame {
			return fmt.Errorf("pulse: a message of %d bytes", size)
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(c.conn, body); err != nil {
			return err
		}
		c.s.mu.Lock()
		err := c.take(channel, body)
		c.s.mu.Unlock()
		c.s.poke()
		if err != nil {
			return err
		}
	}
}

// take handles one message: a command, or sound for a stream.
func (c *client) take(channel uint32, body []byte) error {
	if channel != control {
		if st := c.streams[channel]; st != nil {
			st.write(body)
			st.play(c.s.cfg.Clock())
		}
		return nil
	}
	r := &reader{b: body}
	cmd, tag := r.u32(), r.u32()
	if r.bad {
		return errTag
	}
	c.command(cmd, tag, r)
	if r.bad {
		return fmt.Errorf("%w: number %d", errTag, cmd)
	}
	return nil
}

// send writes one command. A browser that does not read has a second.
func (c *client) send(body []byte) {
	if c.broken {
		return
	}
	b := binary.BigEndian.AppendUint32(make([]byte, 0, headerSize+len(body)), uint32(len(body)))
	b = binary.BigEndian.AppendUint32(b, control)
	b = append(append(b, make([]byte, 12)...), body...)
	_ = c.conn.SetWriteDeadline(time.Now().Add(time.Second))
	if _, err := c.conn.Write(b); err != nil {
		c.broken = true
		_ = c.conn.Close()
	}
}

// message begins a command.
func message(cmd, tag uint32) *writer {
	w := &writer{}
	w.u32(cmd)
	w.u32(tag)
	return w
}
