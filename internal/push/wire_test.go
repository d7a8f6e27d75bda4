package push

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"
)

// RTMP specification 1.0, 5.3.1; AMF0 specification.
func TestWire(t *testing.T) {
	amf := appendAMF(nil, "connect", 1, object{{"app", "live"}, {"ok", true}}, nil)
	const wantAMF = "020007636f6e6e656374003ff00000000000000300036170700200046c69766500026f6b010100000905"
	if got := hex.EncodeToString(amf); got != wantAMF {
		t.Errorf("AMF0 %s", got)
	}
	chunks := appendMessage(nil, chunkMedia, message{kind: msgVideo, stream: 1, time: 5, body: []byte("abcde")}, 3)
	if got := hex.EncodeToString(chunks); got != "0400000500000509010000006162"+"63"+"c46465" {
		t.Errorf("chunks %s", got)
	}
	long := appendMessage(nil, chunkMedia, message{kind: msgVideo, stream: 1, time: 1 << 24, body: []byte("abcd")}, 3)
	if got := hex.EncodeToString(long); got != "04ffffff0000040901000000"+"01000000"+"616263"+"c4"+"01000000"+"64" {
		t.Errorf("extended time %s", got)
	}
}

func TestReadBack(t *testing.T) {
	var wire []byte
	want := []message{
		{kind: msgCommand, body: bytes.Repeat([]byte("x"), 1000), time: 7},
		{kind: msgVideo, stream: 1, time: 1<<24 + 3, body: bytes.Repeat([]byte("y"), 300)},
	}
	for _, m := range want {
		wire = appendMessage(wire, chunkMedia, m, 128)
	}
	r := newChunkReader(bytes.NewReader(wire))
	for _, m := range want {
		if got, err := r.next(); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%v %v", got.kind, err)
		}
	}
	if r.got != uint32(len(wire)) {
		t.Errorf("%d bytes counted of %d", r.got, len(wire))
	}
	values := []any{"onStatus", 0.0, nil, object{{"level", "status"}, {"code", "NetStream.Publish.Start"}}}
	got, err := readAMF(appendAMF(nil, values...))
	if err != nil || !reflect.DeepEqual(got, values) {
		t.Errorf("%v %v", got, err)
	}
}

func FuzzAMF(f *testing.F) {
	f.Add(appendAMF(nil, "a", 1.5, true, nil, object{{"b", "c"}}))
	f.Add([]byte{amfArray, 0, 0, 0, 2, amfNull, amfNull, amfLong, 0, 0, 0, 1, 'x', amfDate, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = readAMF(b) })
}

func FuzzChunks(f *testing.F) {
	f.Add(appendMessage(nil, 3, message{kind: msgCommand, body: []byte("hello")}, 2))
	f.Add([]byte{0x00, 0xff, 0x01, 1, 2, 0xc2})
	f.Fuzz(func(_ *testing.T, b []byte) {
		r := newChunkReader(bytes.NewReader(b))
		for range 100 {
			if _, err := r.next(); err != nil {
				return
			}
		}
	})
}
