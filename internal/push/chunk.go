package push

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Message types of RTMP (Adobe, "RTMP specification 1.0", 5.4 and 7.1).
const (
	msgChunkSize  = 1
	msgAbort      = 2
	msgAck        = 3
	msgUser       = 4
	msgWindow     = 5
	msgBandwidth  = 6
	msgAudio      = 8
	msgVideo      = 9
	msgCommand3   = 17 // AMF3 envelope around an AMF0 command
	msgData       = 18
	msgCommand    = 20
	outChunk      = 16384
	inMessageMax  = 1 << 20 // servers send commands only: nothing is that long
	inStreams     = 64      // chunk streams of a server
	extendedStamp = 0xffffff
)

// Chunk streams we use.
const (
	chunkControl = 2
	chunkCommand = 3
	chunkMedia   = 4
)

// message is one RTMP message.
type message struct {
	kind   byte
	stream uint32 // message stream ID
	time   uint32 // ms
	body   []byte
}

// appendMessage appends m cut into chunks of size bytes: a full header, then
// headers of type 3 (5.3.1).
func appendMessage(b []byte, chunk byte, m message, size int) []byte {
	stamp := min(m.time, extendedStamp)
	b = append(b, chunk, byte(stamp>>16), byte(stamp>>8), byte(stamp))
	n := len(m.body)
	b = append(b, byte(n>>16), byte(n>>8), byte(n), m.kind)
	b = binary.LittleEndian.AppendUint32(b, m.stream)
	for at := 0; ; at += size {
		if at > 0 {
			b = append(b, 3<<6|chunk)
		}
		if stamp == extendedStamp {
			b = binary.BigEndian.AppendUint32(b, m.time)
		}
		if n-at <= size {
			return append(b, m.body[at:]...)
		}
		b = append(b, m.body[at:at+size]...)
	}
}

// inStream is what a chunk stream of the server has in its last header.
type inStream struct {
	message
	delta    uint32
	length   int
	extended bool
	part     []byte
}

// chunkReader puts the server's chunks together.
type chunkReader struct {
	r       *bufio.Reader
	size    int
	streams map[uint32]*inStream
	got     uint32 // bytes, for acknowledgements
}

func newChunkReader(r io.Reader) *chunkReader {
	return &chunkReader{r: bufio.NewReader(r), size: 128, streams: map[uint32]*inStream{}}
}

func (c *chunkReader) take(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(c.r, b); err != nil {
		return nil, err
	}
	c.got += uint32(n)
	return b, nil
}

var errChunk = errors.New("push: the server sends no RTMP")

// next returns the next whole message. Changes of the chunk size and aborted
// messages are taken care of here.
func (c *chunkReader) next() (message, error) {
	for {
		s, err := c.header()
		if err != nil {
			return message{}, err
		}
		b, err := c.take(min(c.size, s.length-len(s.part)))
		if err != nil {
			return message{}, err
		}
		s.part = append(s.part, b...)
		if len(s.part) < s.length {
			continue
		}
		m := s.message
		m.body, s.part = s.part, nil
		switch {
		case m.kind == msgChunkSize && len(m.body) >= 4:
			n := binary.BigEndian.Uint32(m.body) &^ (1 << 31)
			if n == 0 {
				return message{}, fmt.Errorf("%w: chunks of 0 bytes", errChunk)
			}
			c.size = int(min(n, inMessageMax))
		case m.kind == msgAbort && len(m.body) >= 4:
			if s := c.streams[binary.BigEndian.Uint32(m.body)]; s != nil {
				s.part = nil
			}
		default:
			return m, nil
		}
	}
}

// header reads the header of a chunk and returns its stream.
func (c *chunkReader) header() (*inStream, error) {
	b, err := c.take(1)
	if err != nil {
		return nil, err
	}
	form, id := b[0]>>6, uint32(b[0]&63)
	if id < 2 {
		more, err := c.take(int(id) + 1)
		if err != nil {
			return nil, err
		}
		if id = 64 + uint32(more[0]); len(more) == 2 {
			id += uint32(more[1]) << 8
		}
	}
	s := c.streams[id]
	if s == nil {
		if form == 3 || len(c.streams) >= inStreams {
			return nil, fmt.Errorf("%w: chunk stream %d", errChunk, id)
		}
		s = &inStream{}
		c.streams[id] = s
	}
	return s, c.fields(s, form)
}

// fields reads the message header of the given form (5.3.1.2).
func (c *chunkReader) fields(s *inStream, form byte) error {
	n := [4]int{11, 7, 3, 0}[form]
	h, err := c.take(n)
	if err != nil {
		return err
	}
	var stamp uint32
	if n >= 3 {
		stamp = uint32(h[0])<<16 | uint32(h[1])<<8 | uint32(h[2])
		s.extended = stamp == extendedStamp
	}
	if n >= 7 {
		s.length = int(h[3])<<16 | int(h[4])<<8 | int(h[5])
		s.kind, s.part = h[6], nil
	}
	if n == 11 {
		s.stream = binary.LittleEndian.Uint32(h[7:])
	}
	if s.length > inMessageMax {
		return fmt.Errorf("%w: a message of %d bytes", errChunk, s.length)
	}
	if s.extended {
		e, err := c.take(4)
		if err != nil {
			return err
		}
		if n > 0 {
			stamp = binary.BigEndian.Uint32(e)
		}
	}
	switch {
	case n == 11:
		s.time, s.delta = stamp, stamp
	case n > 0:
		s.delta = stamp
		s.time += stamp
	case len(s.part) == 0:
		s.time += s.delta
	}
	return nil
}
