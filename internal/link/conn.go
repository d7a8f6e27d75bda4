package link

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// maxLine bounds one message. A plan with 17 regions and all lists stays below 64 KiB.
const maxLine = 1 << 20

// sendTimeout bounds how long a side that does not read holds up the other.
const sendTimeout = 5 * time.Second

// ErrVersion: the other side speaks another version of the protocol.
var ErrVersion = errors.New("link: protocol version differs")

// Conn sends and receives messages. Send may be called by many goroutines,
// Receive by one.
type Conn struct {
	c  net.Conn
	r  *bufio.Scanner
	mu sync.Mutex
}

// NewConn wraps a stream connection.
func NewConn(c net.Conn) *Conn {
	s := bufio.NewScanner(c)
	s.Buffer(make([]byte, 0, 4096), maxLine)
	return &Conn{c: c, r: s}
}

// Send writes one message as one line.
func (c *Conn) Send(m Message) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("link: encode %s: %w", m.Type, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// Half a line is of no use to the other side, so a connection on which one
	// could not be written is over.
	_ = c.c.SetWriteDeadline(time.Now().Add(sendTimeout))
	if _, err = c.c.Write(append(b, '\n')); err != nil {
		_ = c.c.Close()
		return fmt.Errorf("link: send %s: %w", m.Type, err)
	}
	return nil
}

// Receive waits for the next message. It returns net.ErrClosed when the other
// side has gone. A message of an unknown type is returned like any other.
func (c *Conn) Receive() (Message, error) {
	if !c.r.Scan() {
		if err := c.r.Err(); err != nil {
			return Message{}, err
		}
		return Message{}, net.ErrClosed
	}
	var m Message
	if err := json.NewDecoder(bytes.NewReader(c.r.Bytes())).Decode(&m); err != nil {
		return Message{}, fmt.Errorf("link: bad message: %w", err)
	}
	return m, nil
}

// Handshake exchanges hello messages and returns the other side's.
func (c *Conn) Handshake(pid int) (Message, error) {
	if err := c.Send(Message{Type: Hello, Version: Version, PID: pid}); err != nil {
		return Message{}, err
	}
	m, err := c.Receive()
	if err != nil {
		return Message{}, err
	}
	if m.Type != Hello || m.Version != Version {
		return m, fmt.Errorf("%w: ours is %d, theirs %d", ErrVersion, Version, m.Version)
	}
	return m, nil
}

// Peer returns the process at the other end as the kernel knows it. For the
// side that dialled it is the process that listens (SO_PEERCRED, unix(7)).
func (c *Conn) Peer() (pid int, uid uint32, err error) {
	u, ok := c.c.(*net.UnixConn)
	if !ok {
		return 0, 0, fmt.Errorf("link: %T has no peer credentials", c.c)
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, 0, fmt.Errorf("link: peer credentials: %w", err)
	}
	var cred *syscall.Ucred
	cerr := raw.Control(func(fd uintptr) {
		cred, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err = errors.Join(cerr, err); err != nil {
		return 0, 0, fmt.Errorf("link: peer credentials: %w", err)
	}
	return int(cred.Pid), cred.Uid, nil
}

// Close ends the connection.
func (c *Conn) Close() error { return c.c.Close() }
