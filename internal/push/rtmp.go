package push

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	ioTimeout  = 10 * time.Second // of each answer and each write
	helloSize  = 1536             // C1 and S1 (5.2.3)
	publishTxn = 5
)

// address is a push URL taken apart: rtmp[s]://host[:port]/app[/instance]/key.
type address struct {
	secure bool
	host   string // host:port
	name   string // host without port, for TLS
	app    string
	tcURL  string
	key    string // with the query: a secret
}

// parseURL takes a push URL apart. Its error holds no part of the key.
func parseURL(raw string) (address, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return address{}, errors.New("push: the URL cannot be read: give rtmp://host/app/key")
	}
	a := address{secure: strings.EqualFold(u.Scheme, "rtmps"), name: u.Hostname()}
	port := u.Port()
	switch {
	case a.name == "" || !a.secure && !strings.EqualFold(u.Scheme, "rtmp"):
		return address{}, errors.New("push: the URL is neither rtmp://host/app/key nor rtmps://host/app/key")
	case port == "" && a.secure:
		port = "443"
	case port == "":
		port = "1935"
	}
	a.host = net.JoinHostPort(a.name, port)
	path := strings.Trim(u.Path, "/")
	cut := strings.LastIndexByte(path, '/')
	if cut < 0 {
		return address{}, fmt.Errorf("push: the URL of %s has no stream key: give rtmp://host/app/key", a.host)
	}
	a.app, a.key = path[:cut], path[cut+1:]
	if u.RawQuery != "" {
		a.key += "?" + u.RawQuery
	}
	a.tcURL = strings.ToLower(u.Scheme) + "://" + u.Host + "/" + a.app
	return a, nil
}

// conn is a connection to an RTMP server on which a stream is published.
type conn struct {
	net    net.Conn
	in     *chunkReader
	mu     sync.Mutex // of writes
	buf    []byte
	window uint32 // acknowledgements the server wants
	acked  uint32
	stream uint32
}

// open connects, shakes hands and publishes. It returns when the server has
// accepted the stream.
func open(ctx context.Context, c Config, a address) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*ioTimeout)
	defer cancel()
	n, err := c.Dial(ctx, "tcp", a.host)
	if err != nil {
		return nil, fmt.Errorf("push: connect to %s: %w", a.host, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = n.Close() })
	defer stop()
	if a.secure {
		cfg := &tls.Config{ServerName: a.name, MinVersion: tls.VersionTLS12, RootCAs: c.RootCAs}
		t := tls.Client(n, cfg)
		if err := t.HandshakeContext(ctx); err != nil {
			_ = n.Close()
			return nil, fmt.Errorf("push: TLS with %s: %w", a.host, err)
		}
		n = t
	}
	o := &conn{net: n, in: newChunkReader(n)}
	if err := errors.Join(o.begin(a), ctx.Err()); err != nil {
		_ = n.Close()
		return nil, fmt.Errorf("push: %s: %w", a.host, err)
	}
	return o, nil
}

func (o *conn) begin(a address) error {
	if err := o.hello(); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	size := binary.BigEndian.AppendUint32(nil, outChunk)
	if err := o.send(chunkControl, message{kind: msgChunkSize, body: size}, 128); err != nil {
		return err
	}
	if err := o.command(0, "connect", 1, object{
		{"app", a.app}, {"type", "nonprivate"}, {"flashVer", "FMLE/3.0 (compatible; tapedeck)"}, {"tcUrl", a.tcURL},
	}); err != nil {
		return err
	}
	if _, err := o.answer(1); err != nil {
		return fmt.Errorf("the application is refused: %w", err)
	}
	err := errors.Join(
		o.command(0, "releaseStream", 2, nil, a.key),
		o.command(0, "FCPublish", 3, nil, a.key),
		o.command(0, "createStream", 4, nil))
	if err != nil {
		return err
	}
	args, err := o.answer(4)
	if err != nil {
		return err
	}
	o.stream = 1
	if len(args) > 1 {
		if n, ok := args[1].(float64); ok && n >= 0 && n < 1<<31 {
			o.stream = uint32(n)
		}
	}
	if err := o.command(o.stream, "publish", publishTxn, nil, a.key, "live"); err != nil {
		return err
	}
	return o.published()
}

// hello is the plain handshake (5.2).
func (o *conn) hello() error {
	_ = o.net.SetDeadline(time.Now().Add(ioTimeout))
	c := make([]byte, 1+helloSize)
	c[0] = 3
	_, _ = rand.Read(c[9:]) // never fails
	if _, err := o.net.Write(c); err != nil {
		return err
	}
	s := make([]byte, 1+2*helloSize)
	if _, err := io.ReadFull(o.in.r, s); err != nil {
		return err
	}
	if s[0] != 3 {
		return errChunk
	}
	_, err := o.net.Write(s[1 : 1+helloSize])
	return err
}

func (o *conn) command(stream uint32, name string, txn int, args ...any) error {
	body := appendAMF(nil, append([]any{name, txn}, args...)...)
	return o.send(chunkCommand, message{kind: msgCommand, stream: stream, body: body}, outChunk)
}

// send writes one message. It gives up when nothing can be written for a while.
func (o *conn) send(chunk byte, m message, size int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf = appendMessage(o.buf[:0], chunk, m, size)
	_ = o.net.SetWriteDeadline(time.Now().Add(ioTimeout))
	_, err := o.net.Write(o.buf)
	return err
}

// answer waits for the result of a command and returns its arguments.
func (o *conn) answer(txn float64) ([]any, error) {
	for {
		name, args, err := o.receive(ioTimeout)
		if err != nil {
			return nil, err
		}
		if len(args) == 0 || args[0] != txn {
			continue
		}
		switch name {
		case "_result":
			return args[1:], nil
		case "_error":
			return nil, refusal(args)
		}
	}
}

// published waits for the server's word on our stream.
func (o *conn) published() error {
	for {
		name, args, err := o.receive(ioTimeout)
		if err != nil {
			return err
		}
		switch {
		case name == "_error" && len(args) > 0 && args[0] == float64(publishTxn):
			return refusal(args)
		case name != "onStatus":
		case status(args, "level") == "error":
			return refusal(args)
		case status(args, "code") == "NetStream.Publish.Start":
			return nil
		}
	}
}

// status returns a member of the information object of a command.
func status(args []any, name string) string {
	for _, a := range args {
		if o, ok := a.(object); ok {
			if s := o.get(name); s != "" {
				return s
			}
		}
	}
	return ""
}

// errRefused: the server answered and does not want the stream.
var errRefused = errors.New("the server refuses the stream: check application and key")

// refusal tells the server's code only: its description may repeat the key.
func refusal(args []any) error {
	code := strings.Map(func(r rune) rune {
		if r > ' ' && r < 127 {
			return r
		}
		return -1
	}, status(args, "code"))
	return fmt.Errorf("%w (%.64s)", errRefused, code)
}

// receive returns the next command of the server, after what is due for
// messages that are none. wait 0 waits for ever.
func (o *conn) receive(wait time.Duration) (string, []any, error) {
	for {
		var deadline time.Time
		if wait > 0 {
			deadline = time.Now().Add(wait)
		}
		_ = o.net.SetReadDeadline(deadline)
		m, err := o.in.next()
		if err != nil {
			return "", nil, err
		}
		if err := o.attend(m); err != nil {
			return "", nil, err
		}
		body := m.body
		switch m.kind {
		case msgCommand3:
			body = bytes.TrimPrefix(body, []byte{0})
		case msgCommand:
		default:
			continue
		}
		args, err := readAMF(body)
		if err != nil {
			return "", nil, err
		}
		if len(args) > 0 {
			if name, ok := args[0].(string); ok {
				return name, args[1:], nil
			}
		}
	}
}

// attend does what control messages ask for: acknowledgements and pings (7.1.7).
func (o *conn) attend(m message) error {
	if m.kind == msgWindow && len(m.body) >= 4 {
		o.window = binary.BigEndian.Uint32(m.body)
	}
	if m.kind == msgUser && len(m.body) >= 6 && binary.BigEndian.Uint16(m.body) == 6 {
		pong := append([]byte{0, 7}, m.body[2:6]...)
		if err := o.send(chunkControl, message{kind: msgUser, body: pong}, outChunk); err != nil {
			return err
		}
	}
	if o.window > 0 && o.in.got-o.acked >= o.window/2 {
		o.acked = o.in.got
		return o.send(chunkControl, message{kind: msgAck, body: binary.BigEndian.AppendUint32(nil, o.acked)}, outChunk)
	}
	return nil
}

// listen attends to the server until the connection ends, or the server ends
// the stream, and returns why.
func (o *conn) listen() error {
	for {
		name, args, err := o.receive(0)
		if err != nil {
			return err
		}
		if name == "onStatus" && status(args, "level") == "error" || name == "close" {
			return refusal(args)
		}
	}
}

// bye ends the stream politely.
func (o *conn) bye(key string) {
	_ = o.command(0, "FCUnpublish", 6, nil, key)
	_ = o.command(0, "deleteStream", 7, nil, int(o.stream))
}
