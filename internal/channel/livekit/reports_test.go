package livekit

import (
	"testing"
	"time"
)

// A stream with a hole, a packet that comes later and a wrap of the sequence
// numbers: the counters of RFC 3550 section 6.4.1.
func TestReception(t *testing.T) {
	start := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	s := &reception{rate: 48000}
	at := func(i int) time.Time { return start.Add(time.Duration(i) * 20 * time.Millisecond) }
	const first = 65530
	come := func(i int, at time.Time) { s.packet(uint16((first+i)&0xffff), uint32(i*960), at) } //nolint:gosec // wraps by design
	send := func(i int) { come(i, at(i)) }
	for i := range 10 {
		if i != 4 && i != 7 {
			send(i)
		}
	}
	s.sent, s.sentAt = 0x1234_5678_9abc_def0, at(9)
	b := s.report(77, at(9).Add(500*time.Millisecond))
	if b.SSRC != 77 || b.LastSequenceNumber != first+9 || b.TotalLost != 2 || b.FractionLost != 2*256/10 {
		t.Errorf("%+v", b)
	}
	if b.LastSenderReport != 0x5678_9abc || b.Delay != 1<<15 || b.Jitter > 1 {
		t.Errorf("%+v", b)
	}
	come(4, at(9)) // it was sent again
	for i := 10; i < 20; i++ {
		send(i)
	}
	if b = s.report(77, at(20)); b.TotalLost != 1 || b.FractionLost != 0 || b.LastSequenceNumber != first+19 {
		t.Errorf("%+v", b)
	}
	if b.Jitter < 100 {
		t.Errorf("a packet that came 100 ms late left a jitter of %d ticks", b.Jitter)
	}
}
