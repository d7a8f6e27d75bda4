package wayland

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The wire format (Wayland protocol, chapter 4): little-endian here, since a
// local client has the byte order of the machine; messages of whole words.

var errWire = errors.New("wayland: the browser broke the protocol")

// args reads the arguments of one request.
type args struct {
	b   []byte
	bad bool
}

func (a *args) uint() uint32 {
	if len(a.b) < 4 {
		a.bad = true
		return 0
	}
	v := binary.LittleEndian.Uint32(a.b)
	a.b = a.b[4:]
	return v
}

func (a *args) int() int { return int(int32(a.uint())) }

func (a *args) text() string {
	n := int(a.uint())
	size := (n + 3) &^ 3
	if n == 0 || n < 0 || size > len(a.b) {
		a.bad = a.bad || n != 0
		return ""
	}
	s := string(a.b[:n-1])
	a.b = a.b[size:]
	return s
}

// event appends an event of an object to the client's output. Arguments are
// uint32, int, string and []byte.
func (c *client) event(id uint32, op int, list ...any) {
	at := len(c.out)
	c.out = append(c.out, 0, 0, 0, 0, 0, 0, 0, 0)
	for _, v := range list {
		switch v := v.(type) {
		case uint32:
			c.out = binary.LittleEndian.AppendUint32(c.out, v)
		case int:
			c.out = binary.LittleEndian.AppendUint32(c.out, uint32(int32(v)))
		case string:
			c.out = binary.LittleEndian.AppendUint32(c.out, uint32(len(v)+1))
			c.out = pad(append(append(c.out, v...), 0))
		case []byte:
			c.out = binary.LittleEndian.AppendUint32(c.out, uint32(len(v)))
			c.out = pad(append(c.out, v...))
		}
	}
	binary.LittleEndian.PutUint32(c.out[at:], id)
	binary.LittleEndian.PutUint32(c.out[at+4:], uint32(len(c.out)-at)<<16|uint32(op))
}

// pad fills up to a whole word. Every message begins on one.
func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// requests takes the whole requests out of buf and returns the rest.
func (c *client) requests(buf []byte) ([]byte, error) {
	for len(buf) >= 8 {
		id, word := binary.LittleEndian.Uint32(buf), binary.LittleEndian.Uint32(buf[4:])
		size := int(word >> 16)
		if size < 8 || size%4 != 0 {
			return nil, fmt.Errorf("%w: a request of %d bytes", errWire, size)
		}
		if len(buf) < size {
			break
		}
		o := c.objects[id]
		if o == nil {
			return nil, fmt.Errorf("%w: no object %d", errWire, id)
		}
		a := &args{b: buf[8:size]}
		if err := c.request(id, o, int(word&0xffff), a); err != nil {
			return nil, err
		}
		if a.bad {
			return nil, fmt.Errorf("%w: request %d of %s is too short", errWire, word&0xffff, o.kind)
		}
		buf = buf[size:]
	}
	return buf, nil
}
