package push

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// AMF0 as RTMP commands use it (Adobe, "Action Message Format -- AMF 0", 2007).
// Values are float64, bool, string, nil, object and, when read, []any.

// object is an AMF0 object; its members keep their order.
type object []member

type member struct {
	name  string
	value any
}

// get returns a member that is a text, or "".
func (o object) get(name string) string {
	for _, m := range o {
		if m.name == name {
			s, _ := m.value.(string)
			return s
		}
	}
	return ""
}

const (
	amfNumber  = 0
	amfBool    = 1
	amfString  = 2
	amfObject  = 3
	amfNull    = 5
	amfUndef   = 6
	amfMap     = 8
	amfEnd     = 9
	amfArray   = 10
	amfDate    = 11
	amfLong    = 12
	amfDepth   = 8    // objects in objects
	amfMembers = 1000 // of one object
)

var errAMF = errors.New("push: the server sent a command that cannot be read")

func appendName(b []byte, s string) []byte {
	s = s[:min(len(s), math.MaxUint16)]
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// appendAMF appends values. What is of no known type becomes null.
func appendAMF(b []byte, values ...any) []byte {
	for _, v := range values {
		switch v := v.(type) {
		case float64:
			b = binary.BigEndian.AppendUint64(append(b, amfNumber), math.Float64bits(v))
		case int:
			b = binary.BigEndian.AppendUint64(append(b, amfNumber), math.Float64bits(float64(v)))
		case bool:
			n := byte(0)
			if v {
				n = 1
			}
			b = append(b, amfBool, n)
		case string:
			b = appendName(append(b, amfString), v)
		case object:
			b = append(b, amfObject)
			for _, m := range v {
				b = appendAMF(appendName(b, m.name), m.value)
			}
			b = append(b, 0, 0, amfEnd)
		default:
			b = append(b, amfNull)
		}
	}
	return b
}

// readAMF reads all values of a command.
func readAMF(b []byte) ([]any, error) {
	r := amfReader{b: b}
	var out []any
	for len(r.b) > 0 {
		v, err := r.value(0)
		if err != nil {
			return out, err
		}
		out = append(out, v)
	}
	return out, nil
}

type amfReader struct{ b []byte }

// take cuts n bytes off the front.
func (r *amfReader) take(n int) ([]byte, error) {
	if n < 0 || n > len(r.b) {
		return nil, errAMF
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p, nil
}

func (r *amfReader) text() (string, error) {
	n, err := r.take(2)
	if err != nil {
		return "", err
	}
	s, err := r.take(int(binary.BigEndian.Uint16(n)))
	return string(s), err
}

func (r *amfReader) count() (int, error) {
	n, err := r.take(4)
	if err != nil {
		return 0, err
	}
	return int(binary.BigEndian.Uint32(n)), nil
}

func (r *amfReader) value(depth int) (any, error) {
	if depth > amfDepth {
		return nil, errAMF
	}
	kind, err := r.take(1)
	if err != nil {
		return nil, err
	}
	switch kind[0] {
	case amfNumber:
		p, err := r.take(8)
		if err != nil {
			return nil, err
		}
		return math.Float64frombits(binary.BigEndian.Uint64(p)), nil
	case amfBool:
		p, err := r.take(1)
		if err != nil {
			return nil, err
		}
		return p[0] != 0, nil
	case amfString:
		return r.text()
	case amfObject:
		return r.members(depth)
	case amfMap:
		if _, err := r.take(4); err != nil {
			return nil, err
		}
		return r.members(depth)
	case amfNull, amfUndef:
		return nil, nil
	}
	return r.rare(kind[0], depth)
}

// rare reads the types that servers seldom send.
func (r *amfReader) rare(kind byte, depth int) (any, error) {
	switch kind {
	case amfDate:
		_, err := r.take(10)
		return nil, err
	case amfLong:
		n, err := r.count()
		if err != nil {
			return nil, err
		}
		s, err := r.take(n)
		return string(s), err
	case amfArray:
		n, err := r.count()
		if err != nil || n > amfMembers {
			return nil, errors.Join(errAMF, err)
		}
		var out []any
		for range n {
			v, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	}
	return nil, fmt.Errorf("%w: type %d", errAMF, kind)
}

func (r *amfReader) members(depth int) (object, error) {
	var o object
	for range amfMembers {
		name, err := r.text()
		if err != nil {
			return nil, err
		}
		if name == "" && len(r.b) > 0 && r.b[0] == amfEnd {
			r.b = r.b[1:]
			return o, nil
		}
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		o = append(o, member{name, v})
	}
	return nil, errAMF
}
