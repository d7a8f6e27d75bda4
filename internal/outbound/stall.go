package outbound

import (
	"context"
	"net"
	"time"
)

// stallGuard dials connections on which a write fails when nothing could be
// written for the given time. A limit for the whole request would not do: an
// upload of hours is fine as long as it moves. Reads are not guarded here: the
// transport reads ahead all the while a request is being sent.
func stallGuard(d *net.Dialer, limit time.Duration) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &guardedConn{Conn: c, limit: limit}, nil
	}
}

// writePiece bounds one write, so that a large one that moves slowly is not
// taken for one that does not move.
const writePiece = 64 << 10

type guardedConn struct {
	net.Conn
	limit time.Duration
}

func (c *guardedConn) Write(b []byte) (n int, err error) {
	for {
		if err := c.SetWriteDeadline(time.Now().Add(c.limit)); err != nil {
			return n, err
		}
		piece := b[n:min(len(b), n+writePiece)]
		m, err := c.Conn.Write(piece)
		n += m
		if err != nil || n == len(b) {
			return n, err
		}
	}
}
