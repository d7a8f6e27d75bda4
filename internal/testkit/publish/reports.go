package publish

import (
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// clockOf returns the RTP time of a stream at a moment, if the stream runs.
type clockOf func(ssrc uint32, at time.Time) (uint32, bool)

// interceptors answers retransmission requests and sends sender reports that
// come from the feeds' own clocks: reports derived from the moments packets
// were written would carry every delay of a busy machine.
func interceptors(clock clockOf) ([]interceptor.Factory, error) {
	resend, err := nack.NewResponderInterceptor()
	if err != nil {
		return nil, err
	}
	return []interceptor.Factory{resend, &reports{clock: clock}}, nil
}

type reports struct{ clock clockOf }

// NewInterceptor makes the reporter of one peer connection.
func (r *reports) NewInterceptor(string) (interceptor.Interceptor, error) {
	return &reporter{clock: r.clock, sent: map[uint32]*counts{}, end: make(chan struct{})}, nil
}

type counts struct{ packets, octets uint32 }

// reporter sends a sender report for every stream once a second (RFC 3550
// section 6.4.1).
type reporter struct {
	interceptor.NoOp
	clock clockOf
	mu    sync.Mutex
	sent  map[uint32]*counts // by SSRC
	end   chan struct{}
	once  sync.Once
	wg    sync.WaitGroup
}

// BindRTCPWriter starts the reports of a peer connection.
func (r *reporter) BindRTCPWriter(w interceptor.RTCPWriter) interceptor.RTCPWriter {
	r.wg.Go(func() {
		t := time.NewTicker(time.Second)
		defer t.Stop()
		for {
			select {
			case <-r.end:
				return
			case <-t.C:
				for _, p := range r.reports(time.Now()) {
					_, _ = w.Write([]rtcp.Packet{p}, interceptor.Attributes{})
				}
			}
		}
	})
	return w
}

func (r *reporter) reports(at time.Time) []rtcp.Packet {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []rtcp.Packet
	for ssrc, n := range r.sent {
		if rtpTime, ok := r.clock(ssrc, at); ok && n.packets > 0 {
			out = append(out, &rtcp.SenderReport{SSRC: ssrc, NTPTime: ntpTime(at), RTPTime: rtpTime, PacketCount: n.packets, OctetCount: n.octets})
		}
	}
	return out
}

// BindLocalStream counts what a stream sends.
func (r *reporter) BindLocalStream(info *interceptor.StreamInfo, w interceptor.RTPWriter) interceptor.RTPWriter {
	n := &counts{}
	r.mu.Lock()
	r.sent[info.SSRC] = n
	r.mu.Unlock()
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		r.mu.Lock()
		n.packets++
		n.octets += uint32(len(payload)) //nolint:gosec // wraps by design
		r.mu.Unlock()
		return w.Write(h, payload, a)
	})
}

// UnbindLocalStream forgets a stream.
func (r *reporter) UnbindLocalStream(info *interceptor.StreamInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sent, info.SSRC)
}

// Close ends the reports.
func (r *reporter) Close() error {
	r.once.Do(func() { close(r.end) })
	r.wg.Wait()
	return nil
}

// ntpTime converts to the 64-bit format of NTP: seconds since 1900 and fraction
// (RFC 5905 section 6).
func ntpTime(t time.Time) uint64 {
	const from1900 = 2208988800
	sec := uint64(t.Unix() + from1900)                //nolint:gosec // not before 1900
	frac := uint64(t.Nanosecond()) << 32 / 1000000000 //nolint:gosec // below 2^62
	return sec<<32 | frac
}
