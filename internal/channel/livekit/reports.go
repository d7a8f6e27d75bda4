package livekit

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/rtcp"
)

// interceptors are what a receiver needs at each packet: receiver reports, and the
// feedback that servers with send-side bandwidth estimation ask for. The library's
// standard set also asks for lost packets; our tracks do that better, because they
// know how long a packet is of any use.
func interceptors(now func() time.Time) ([]interceptor.Factory, error) {
	feedback, err := twcc.NewSenderInterceptor()
	if err != nil {
		return nil, err
	}
	return []interceptor.Factory{&reporting{now: now}, feedback}, nil
}

// reportEvery is the time between two receiver reports.
const reportEvery = time.Second

type reporting struct{ now func() time.Time }

// NewInterceptor makes the reporter of one peer connection.
func (r *reporting) NewInterceptor(string) (interceptor.Interceptor, error) {
	return &reporter{now: r.now, streams: map[uint32]*reception{}, end: make(chan struct{})}, nil
}

// reporter sends a receiver report for every stream once a second (RFC 3550
// section 6.4.2).
type reporter struct {
	interceptor.NoOp
	now     func() time.Time
	mu      sync.Mutex
	streams map[uint32]*reception
	end     chan struct{}
	once    sync.Once
	wg      sync.WaitGroup
}

// BindRTCPWriter starts the reports.
func (r *reporter) BindRTCPWriter(w interceptor.RTCPWriter) interceptor.RTCPWriter {
	own := rand.Uint32() //nolint:gosec // RTP wants unpredictable, not secret
	r.wg.Go(func() {
		t := time.NewTicker(reportEvery)
		defer t.Stop()
		for {
			select {
			case <-r.end:
				return
			case <-t.C:
			}
			// One packet for all, of up to 31 streams (section 6.1).
			for blocks := r.blocks(); len(blocks) > 0; {
				n := min(len(blocks), 31)
				_, _ = w.Write([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: own, Reports: blocks[:n]}}, interceptor.Attributes{})
				blocks = blocks[n:]
			}
		}
	})
	return w
}

func (r *reporter) blocks() (blocks []rtcp.ReceptionReport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	for ssrc, s := range r.streams {
		if s.begun {
			blocks = append(blocks, s.report(ssrc, now))
		}
	}
	return blocks
}

// BindRemoteStream counts what a stream receives.
func (r *reporter) BindRemoteStream(info *interceptor.StreamInfo, reader interceptor.RTPReader) interceptor.RTPReader {
	s := &reception{rate: float64(info.ClockRate)}
	r.mu.Lock()
	r.streams[info.SSRC] = s
	r.mu.Unlock()
	return interceptor.RTPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
		n, a, err := reader.Read(b, a)
		if err == nil && n >= 12 {
			r.mu.Lock()
			s.packet(binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:]), r.now())
			r.mu.Unlock()
		}
		return n, a, err
	})
}

// UnbindRemoteStream forgets a stream.
func (r *reporter) UnbindRemoteStream(info *interceptor.StreamInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.streams, info.SSRC)
}

// BindRTCPReader takes note of sender reports: the server measures the way to us
// and back by them.
func (r *reporter) BindRTCPReader(reader interceptor.RTCPReader) interceptor.RTCPReader {
	return interceptor.RTCPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
		n, a, err := reader.Read(b, a)
		if err != nil {
			return n, a, err
		}
		if a == nil {
			a = interceptor.Attributes{}
		}
		packets, err := a.GetRTCPPackets(b[:n])
		if err != nil {
			return n, a, nil // whoever wants to read them will see
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, p := range packets {
			if sr, ok := p.(*rtcp.SenderReport); ok && r.streams[sr.SSRC] != nil {
				r.streams[sr.SSRC].sent, r.streams[sr.SSRC].sentAt = sr.NTPTime, r.now()
			}
		}
		return n, a, nil
	})
}

// Close ends the reports.
func (r *reporter) Close() error {
	r.once.Do(func() { close(r.end) })
	r.wg.Wait()
	return nil
}

// reception is what is counted of one stream (RFC 3550 appendices A.1, A.3 and A.8).
type reception struct {
	rate     float64 // Hz
	begun    bool
	first    int64 // extended sequence numbers
	max      int64
	received int64
	jitter   float64 // ticks
	transit  float64 // of the packet before, ticks
	origin   time.Time

	expectedBefore, receivedBefore int64 // at the last report

	sent   uint64 // NTP time of the latest sender report
	sentAt time.Time
}

func (s *reception) packet(seq uint16, stamp uint32, now time.Time) {
	if !s.begun {
		s.begun, s.first, s.max, s.origin = true, int64(seq), int64(seq), now
	}
	ext := s.max + int64(int16(seq-uint16(s.max))) //nolint:gosec // modulo 2^16 by definition
	s.max = max(s.max, ext)
	s.received++
	transit := math.Mod(now.Sub(s.origin).Seconds()*s.rate-float64(stamp), 1<<32)
	if d := math.Abs(transit - s.transit); s.received > 1 && d < 1<<31 {
		s.jitter += (d - s.jitter) / 16
	}
	s.transit = transit
}

func (s *reception) report(ssrc uint32, now time.Time) rtcp.ReceptionReport {
	expected := s.max - s.first + 1
	lost := max(0, expected-s.received)
	due, got := expected-s.expectedBefore, s.received-s.receivedBefore
	s.expectedBefore, s.receivedBefore = expected, s.received
	b := rtcp.ReceptionReport{
		SSRC: ssrc, LastSequenceNumber: uint32(s.max), TotalLost: uint32(min(lost, 1<<23-1)), //nolint:gosec // modulo 2^32 by definition
		Jitter: uint32(s.jitter), LastSenderReport: uint32(s.sent >> 16), //nolint:gosec // the middle 32 bits
	}
	if due > got && due > 0 {
		b.FractionLost = uint8(min(255, (due-got)*256/due)) //nolint:gosec // bounded
	}
	if !s.sentAt.IsZero() {
		b.Delay = uint32(now.Sub(s.sentAt).Seconds() * 65536)
	}
	return b
}
