package livekit

import (
	"time"

	"github.com/pion/rtcp"
)

// requestKey asks the sender for a key frame until one comes, once a second.
func (t *track) requestKey() {
	if !t.public.Codec.Video() {
		return
	}
	t.mu.Lock()
	t.wantKey = true
	t.mu.Unlock()
	t.askKey(t.v.s.cfg.Now())
}

func (t *track) askKey(now time.Time) {
	t.mu.Lock()
	due := t.wantKey && !t.blind && now.Sub(t.lastPLI) >= pliPause && t.end.IsZero()
	if due {
		t.lastPLI = now
	}
	t.mu.Unlock()
	if due {
		t.pli()
	}
}

// askLost asks the server to send again what is missing.
func (t *track) askLost(now time.Time) {
	if now.Before(t.nextAsk) {
		return
	}
	t.missed = t.stream.Missing(t.missed[:0], now.Add(-askAfter))
	if n := len(t.missed); n > 0 {
		t.nextAsk = now.Add(askEvery)
		t.nack(t.missed[:min(n, askMost)])
	}
}

// setSize asks for the layer that fits, once per size.
func (t *track) setSize(w, h int) {
	if !t.public.Codec.Video() || w < 0 || h < 0 || w > 1<<15 || h > 1<<15 {
		return
	}
	t.mu.Lock()
	same := t.w == w && t.h == h
	t.w, t.h = w, h
	t.mu.Unlock()
	if !same {
		t.pub.SetVideoDimensions(uint32(w), uint32(h)) //nolint:gosec // checked
	}
}

// askAgain sends a negative acknowledgement (RFC 4585 section 6.2.1).
func (v *visit) askAgain(ssrc uint32, seqs []uint16) {
	pc := v.room.LocalParticipant.GetSubscriberPeerConnection()
	if pc == nil {
		return
	}
	// It fails when the connection is gone, and the track with it.
	_ = pc.WriteRTCP([]rtcp.Packet{&rtcp.TransportLayerNack{
		SenderSSRC: ssrc, MediaSSRC: ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(seqs),
	}})
}
