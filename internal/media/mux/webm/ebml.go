package webm

import (
	"encoding/binary"
	"math"
)

// Element IDs of EBML (RFC 8794) and Matroska (RFC 9559).
const (
	idEBML        = 0x1A45DFA3
	idSegment     = 0x18538067
	idSeekHead    = 0x114D9B74
	idSeek        = 0x4DBB
	idSeekID      = 0x53AB
	idSeekPos     = 0x53AC
	idVoid        = 0xEC
	idInfo        = 0x1549A966
	idScale       = 0x2AD7B1
	idDuration    = 0x4489
	idMuxingApp   = 0x4D80
	idWritingApp  = 0x5741
	idTracks      = 0x1654AE6B
	idTrackEntry  = 0xAE
	idNumber      = 0xD7
	idUID         = 0x73C5
	idType        = 0x83
	idLacing      = 0x9C
	idLanguage    = 0x22B59C
	idCodec       = 0x86
	idPrivate     = 0x63A2
	idSeekPreRoll = 0x56BB
	idVideo       = 0xE0
	idWidth       = 0xB0
	idHeight      = 0xBA
	idAudio       = 0xE1
	idFrequency   = 0xB5
	idChannels    = 0x9F
	idCluster     = 0x1F43B675
	idTimestamp   = 0xE7
	idSimpleBlock = 0xA3
	idCues        = 0x1C53BB6B
	idCuePoint    = 0xBB
	idCueTime     = 0xB3
	idCueTrackPos = 0xB7
	idCueTrack    = 0xF7
	idCueCluster  = 0xF1
)

// unknownSize, in eight bytes, says that an element goes on until something
// begins that cannot lie in it.
const unknownSize = 0x01FFFFFFFFFFFFFF

// builder assembles elements in memory.
type builder struct{ b []byte }

// id appends an element ID, whose length lies in its leading bits.
func (w *builder) id(id uint32) {
	for shift := 24; shift >= 0; shift -= 8 {
		if id>>shift != 0 {
			w.b = append(w.b, byte(id>>shift))
		}
	}
}

// size8 appends a size in eight bytes, which can be replaced in place later.
func (w *builder) size8(n uint64) { w.b = binary.BigEndian.AppendUint64(w.b, n|1<<56) }

// open begins an element with a size in eight bytes and returns what end needs.
func (w *builder) open(id uint32) int {
	w.id(id)
	w.size8(0)
	return len(w.b)
}

func (w *builder) end(at int) {
	binary.BigEndian.PutUint64(w.b[at-8:], uint64(len(w.b)-at)|1<<56)
}

// head appends ID and size in as few bytes as it takes.
func (w *builder) head(id uint32, n int) {
	w.id(id)
	for l := 1; l < 8; l++ {
		if n < 1<<(7*l)-1 {
			v := uint64(n) | 1<<(7*l)
			for i := l - 1; i >= 0; i-- {
				w.b = append(w.b, byte(v>>(8*i)))
			}
			return
		}
	}
	w.size8(uint64(n))
}

func (w *builder) data(id uint32, b []byte) {
	w.head(id, len(b))
	w.b = append(w.b, b...)
}

// uint appends an unsigned integer in as few bytes as it takes.
func (w *builder) uint(id uint32, v uint64) {
	n := 1
	for v>>(8*n) != 0 && n < 8 {
		n++
	}
	w.head(id, n)
	for i := n - 1; i >= 0; i-- {
		w.b = append(w.b, byte(v>>(8*i)))
	}
}

// uint8 appends an unsigned integer in eight bytes.
func (w *builder) uint8(id uint32, v uint64) {
	w.head(id, 8)
	w.b = binary.BigEndian.AppendUint64(w.b, v)
}

func (w *builder) float(id uint32, v float64) {
	w.uint8(id, math.Float64bits(v))
}

// void appends an element of n bytes in all that readers skip, 2 <= n <= 128.
func (w *builder) void(n int) {
	w.head(idVoid, n-2)
	w.b = append(w.b, make([]byte, n-2)...)
}
