package edge

import (
	"container/list"
	"log/slog"
	"net"
	"net/http"
	"sync"
)

// gate bounds the open connections. One too many takes the place of the connection
// that has been without a request longest, or is closed when all are busy: callers that hold
// connections without using them cannot keep others out.
type gate struct {
	limit int
	log   *slog.Logger

	mu   sync.Mutex
	open int
	idle list.List // of *conn without a request, longest first
	full bool      // said so
}

func newGate(limit int, log *slog.Logger) *gate { return &gate{limit: limit, log: log} }

// conn is one connection that came through the gate.
type conn struct {
	net.Conn
	gate *gate
	once sync.Once
	seat *list.Element // in gate.idle; nil while it is busy
	gone bool          // has left
}

func (c *conn) Close() error {
	c.once.Do(func() { c.gate.leave(c) })
	return c.Conn.Close()
}

func (g *gate) leave(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open--
	c.gone = true
	g.busy(c)
}

// busy takes a connection off the list of idle ones. The gate is locked.
func (g *gate) busy(c *conn) {
	if c.seat != nil {
		g.idle.Remove(c.seat)
		c.seat = nil
	}
}

// note is http.Server.ConnState.
func (g *gate) note(c net.Conn, state http.ConnState) {
	own := unwrap(c)
	if own == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy(own)
	if !own.gone && (state == http.StateIdle || state == http.StateNew) {
		own.seat = g.idle.PushBack(own)
	}
}

// unwrap finds our connection below TLS.
func unwrap(c net.Conn) *conn {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn()
	}
	own, _ := c.(*conn)
	return own
}

// enter counts a new connection, if there is room for it.
func (g *gate) enter(c net.Conn) *conn {
	g.mu.Lock()
	var old *conn
	if g.open >= g.limit {
		front := g.idle.Front()
		if front == nil {
			said := g.full
			g.full = true
			g.mu.Unlock()
			if !said {
				g.log.Warn("all connections are busy, new ones are closed; raise http.max_connections or look who calls", "limit", g.limit)
			}
			return nil
		}
		old = front.Value.(*conn)
		g.busy(old)
	}
	g.full = false
	g.open++
	g.mu.Unlock()
	if old != nil {
		_ = old.Close()
	}
	return &conn{Conn: c, gate: g}
}

// guard puts the gate before a listener.
func (g *gate) guard(l net.Listener) net.Listener { return &guarded{l, g} }

type guarded struct {
	net.Listener
	gate *gate
}

func (l *guarded) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if own := l.gate.enter(c); own != nil {
			return own, nil
		}
		_ = c.Close()
	}
}
