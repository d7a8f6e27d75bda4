package codec

import (
	"errors"
	"math/bits"
)

// A picture that is the same as the one before it needs no encoder: an H.264
// slice in which every macroblock is skipped says so in some twenty bytes
// (ITU-T H.264, 7.3.4 and 9.3.4). It is a reference picture like all others, so
// it takes a frame number, and those of the encoder's pictures that follow up to
// the next IDR picture are moved on by one.

// errNoSkip: the stream has a feature with which pictures cannot be added.
var errNoSkip = errors.New("codec: no pictures can be added to this stream")

// skipper adds skipped pictures to a stream of single-slice pictures with one
// reference frame, without B-frames, coded with CABAC.
type skipper struct {
	numBits  int // of frame_num
	pps      uint32
	qp       int // PicInitQP: 26 + pic_init_qp_minus26
	deblock  bool
	payload  []byte // slice data after the alignment, the stop bit included
	last     uint32 // frame_num of the picture that went out last
	shift    uint32 // how many pictures were added since the last IDR picture
	rbsp     []byte
	out      []byte
	started  bool
	mbs      int
	lostSync bool // a slice was not understood: nothing is added until the next IDR picture
}

// newSkipper reads the parameter sets, which stand without start codes.
func newSkipper(sps, pps []byte) (*skipper, error) {
	if len(sps) == 0 || len(pps) == 0 {
		return nil, errNoSkip
	}
	s := &skipper{}
	if err := s.readSPS(bitReader{b: unescape(nil, sps[1:])}); err != nil {
		return nil, err
	}
	if err := s.readPPS(bitReader{b: unescape(nil, pps[1:])}); err != nil {
		return nil, err
	}
	s.payload = skippedData(s.mbs)
	return s, nil
}

func (s *skipper) readSPS(r bitReader) error {
	profile := r.u(8)
	r.u(16)
	r.ue()
	if profile == 100 || profile == 110 || profile == 122 || profile == 244 {
		if r.ue() != 1 || r.ue() != 0 || r.ue() != 0 || r.u(1) != 0 || r.u(1) != 0 {
			return errNoSkip // not 4:2:0 of 8 bit, or scaling lists
		}
	}
	s.numBits = int(r.ue()) + 4
	pocType, refs := r.ue(), r.ue()
	r.u(1)
	w, h := r.ue()+1, r.ue()+1
	frameOnly := r.u(1)
	if r.bad || pocType != 2 || refs != 1 || frameOnly != 1 || w > 512 || h > 512 || w*h > 36864 || s.numBits > 16 {
		return errNoSkip
	}
	s.mbs = int(w * h)
	return nil
}

func (s *skipper) readPPS(r bitReader) error {
	s.pps = r.ue()
	r.ue()
	cabac, bottom, groups := r.u(1), r.u(1), r.ue()
	refs0, _ := r.ue(), r.ue()
	weighted := r.u(1)
	r.u(2)
	s.qp = 26 + int(r.se())
	r.se()
	r.se()
	s.deblock = r.u(1) == 1
	r.u(1)
	redundant := r.u(1)
	if r.bad || cabac != 1 || bottom != 0 || groups != 0 || refs0 != 0 || weighted != 0 || redundant != 0 {
		return errNoSkip
	}
	return nil
}

// pass takes an access unit of the encoder and returns it with the frame number
// that it has in the stream with the added pictures. The result is valid until
// the next call.
func (s *skipper) pass(au []byte, key bool) []byte {
	if key {
		s.last, s.shift, s.started, s.lostSync = 0, 0, true, false
		return au
	}
	num, at, ok := s.frameNum(au)
	if !ok {
		s.lostSync = true
		return au
	}
	s.last = (num + s.shift) & (1<<s.numBits - 1)
	if s.shift&(1<<s.numBits-1) == 0 {
		return au
	}
	putBits(s.rbsp, at, s.numBits, s.last)
	s.out = escape(append(s.out[:0], 0, 0, 0, 1), s.rbsp)
	return s.out
}

// frameNum unescapes the only NAL unit of au into s.rbsp and finds frame_num.
func (s *skipper) frameNum(au []byte) (num uint32, at int, ok bool) {
	nal := au
	switch {
	case len(au) > 4 && au[0]|au[1]|au[2] == 0 && au[3] == 1:
		nal = au[4:]
	case len(au) > 3 && au[0]|au[1] == 0 && au[2] == 1:
		nal = au[3:]
	}
	if len(nal) < 4 || nal[0]&31 != 1 || nal[0]>>5 == 0 {
		return 0, 0, false
	}
	s.rbsp = unescape(s.rbsp[:0], nal)
	r := bitReader{b: s.rbsp, at: 8}
	first, _ := r.ue(), r.ue()
	pps := r.ue()
	at = r.at
	num = r.u(s.numBits)
	return num, at, !r.bad && first == 0 && pps == s.pps
}

// ready reports whether a picture can be added now.
func (s *skipper) ready() bool { return s.started && !s.lostSync }

// add returns an access unit that repeats the picture before it. It is valid
// until the next call.
func (s *skipper) add() []byte {
	s.shift++
	s.last = (s.last + 1) & (1<<s.numBits - 1)
	var w bitWriter
	// nal_ref_idc 2, nal_unit_type 1: a slice of a reference picture.
	w.b = append(s.rbsp[:0], 2<<5|1)
	w.ue(0) // first_mb_in_slice
	w.ue(5) // slice_type: all slices of the picture are P
	w.ue(s.pps)
	w.u(s.last, s.numBits)
	w.u(0, 1) // num_ref_idx_active_override_flag
	w.u(0, 1) // ref_pic_list_modification_flag_l0
	w.u(0, 1) // adaptive_ref_pic_marking_mode_flag
	w.ue(0)   // cabac_init_idc
	w.se(skipQP - s.qp)
	if s.deblock {
		w.ue(1) // disable_deblocking_filter_idc: what was copied is filtered already
	}
	w.align()
	s.rbsp = append(w.b, s.payload...)
	s.out = escape(append(s.out[:0], 0, 0, 0, 1), s.rbsp)
	return s.out
}

// skipQP makes the skip flag's most probable value 1 from the start.
const skipQP = 51

// skippedData is the slice data of n skipped macroblocks: for each the flag
// mb_skip_flag and end_of_slice_flag.
func skippedData(n int) []byte {
	// mb_skip_flag has context 11 whatever its neighbours: they are skipped or
	// absent. For cabac_init_idc 0 its m, n are 23, 33 (table 9-13).
	const pre = 23*skipQP>>4 + 33
	c := cabac{rng: 510, first: true, state: pre - 64}
	for range n - 1 {
		c.probable()
		c.rng -= 2 // end_of_slice_flag 0
		c.renorm()
	}
	c.probable()
	return c.finish()
}

// cabac is the arithmetic encoder of H.264 9.3.4.2, as far as it is needed here.
type cabac struct {
	w           bitWriter
	low, rng    uint32
	outstanding int
	first       bool
	state       int
}

// lpsRange is table 9-44 from state 42 on: the encoder begins there and only
// climbs, because the probable value is all it ever sees.
func lpsRange(state int, q uint32) uint32 {
	const from = 42
	table := [...][4]uint8{
		{16, 20, 23, 27}, {15, 19, 22, 25}, {14, 18, 21, 24}, {14, 17, 20, 23}, {13, 16, 19, 22}, {12, 15, 18, 21}, {12, 14, 17, 20},
		{11, 14, 16, 19}, {11, 13, 15, 18}, {10, 12, 15, 17}, {10, 12, 14, 16}, {9, 11, 13, 15}, {9, 11, 12, 14}, {8, 10, 12, 14},
		{8, 9, 11, 13}, {7, 9, 11, 12}, {7, 9, 10, 12}, {7, 8, 10, 11}, {6, 8, 9, 11}, {6, 7, 9, 10}, {6, 7, 8, 9},
	}
	return uint32(table[state-from][q])
}

// probable codes the most probable value.
func (c *cabac) probable() {
	c.rng -= lpsRange(c.state, c.rng>>6&3)
	c.state = min(c.state+1, 62)
	c.renorm()
}

func (c *cabac) renorm() {
	for c.rng < 256 {
		switch {
		case c.low < 256:
			c.put(0)
		case c.low >= 512:
			c.low -= 512
			c.put(1)
		default:
			c.low -= 256
			c.outstanding++
		}
		c.rng <<= 1
		c.low <<= 1
	}
}

func (c *cabac) put(bit uint32) {
	if c.first {
		c.first = false
	} else {
		c.w.u(bit, 1)
	}
	for ; c.outstanding > 0; c.outstanding-- {
		c.w.u(1-bit, 1)
	}
}

// finish codes end_of_slice_flag 1 and returns everything; the last bit that is
// written is the stop bit.
func (c *cabac) finish() []byte {
	c.low += c.rng - 2
	c.rng = 2
	c.renorm()
	c.put(c.low >> 9 & 1)
	c.w.u(c.low>>7&3|1, 2)
	for c.w.n%8 != 0 {
		c.w.u(0, 1)
	}
	return c.w.b
}

// bitReader reads the syntax elements of H.264 7.2 and 9.1.
type bitReader struct {
	b   []byte
	at  int
	bad bool
}

func (r *bitReader) u(n int) (v uint32) {
	for range n {
		if r.at >= len(r.b)*8 {
			r.bad = true
			return 0
		}
		v = v<<1 | uint32(r.b[r.at/8]>>(7-r.at%8)&1)
		r.at++
	}
	return v
}

func (r *bitReader) ue() uint32 {
	zeros := 0
	for r.u(1) == 0 {
		if zeros++; r.bad || zeros > 31 {
			r.bad = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.u(zeros)
}

func (r *bitReader) se() int32 {
	k := int32(r.ue())
	if k&1 == 1 {
		return (k + 1) / 2
	}
	return -k / 2
}

// bitWriter appends bits behind the whole bytes of b it began with.
type bitWriter struct {
	b []byte
	n int // bits written
}

func (w *bitWriter) u(v uint32, n int) {
	for i := n - 1; i >= 0; i-- {
		if w.n%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[len(w.b)-1] |= byte(v>>i&1) << (7 - w.n%8)
		w.n++
	}
}

func (w *bitWriter) ue(v uint32) {
	n := bits.Len32(v + 1)
	w.u(0, n-1)
	w.u(v+1, n)
}

func (w *bitWriter) se(v int) {
	if v > 0 {
		w.ue(uint32(2*v - 1))
	} else {
		w.ue(uint32(-2 * v))
	}
}

// align fills the byte with cabac_alignment_one_bit.
func (w *bitWriter) align() {
	for w.n%8 != 0 {
		w.u(1, 1)
	}
}

func putBits(b []byte, at, n int, v uint32) {
	for i := range n {
		bit := byte(v >> (n - 1 - i) & 1)
		k := 7 - (at+i)%8
		b[(at+i)/8] = b[(at+i)/8]&^(1<<k) | bit<<k
	}
}
