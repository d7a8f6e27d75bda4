package publish

import (
	"context"
	"time"

	"tapedeck/internal/channel"
)

// run sends every frame at its time. A frame whose time has passed is sent at
// once: a machine that stood still sends a burst and loses nothing.
func (p *Publisher) run(ctx context.Context) {
	defer close(p.done)
	origin := p.Origin()
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		f := p.earliest()
		if f == nil {
			return
		}
		if wait := time.Until(origin.Add(f.due(f.next))); wait > 0 {
			t.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
		}
		if ctx.Err() != nil || f.send() != nil {
			return
		}
	}
}

func (p *Publisher) earliest() *feed {
	var first *feed
	for _, feeds := range p.feeds {
		for _, f := range feeds {
			if first == nil || f.due(f.next) < first.due(first.next) {
				first = f
			}
		}
	}
	return first
}

// Origin is the moment at which the content of all clips began.
func (p *Publisher) Origin() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.origin
}

func (p *Publisher) setOrigin(t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.origin = t
}

// rtpTime is the clock of the sender reports.
func (p *Publisher) rtpTime(ssrc uint32, at time.Time) (uint32, bool) {
	origin := p.Origin()
	if origin.IsZero() || at.Before(origin) {
		return 0, false
	}
	for _, feeds := range p.feeds {
		for _, f := range feeds {
			if uint32(f.track.SSRC()) == ssrc && !f.muted.Load() {
				return f.rtpAt(at.Sub(origin)), true
			}
		}
	}
	return 0, false
}

// Mute stops or resumes sending the camera, microphone or screen and tells the
// room. The content goes on meanwhile: what comes after a mute is what would
// have been there without it. Video resumes at its next key frame.
func (p *Publisher) Mute(kind channel.SourceKind, muted bool) {
	for _, f := range p.feeds[kind] {
		f.muted.Store(muted)
	}
	if pub := p.pubs[kind]; pub != nil {
		pub.SetMuted(muted)
	}
}

// Leave stops sending and leaves the room. It may be called more than once.
func (p *Publisher) Leave() {
	p.leave.Do(func() {
		p.stop()
		<-p.done
		publisher, subscriber := p.room.LocalParticipant.GetPublisherPeerConnection(), p.room.LocalParticipant.GetSubscriberPeerConnection()
		p.room.Disconnect()
		if publisher != nil {
			_ = publisher.GracefulClose()
		}
		if subscriber != nil {
			_ = subscriber.GracefulClose()
		}
	})
}

// Kinds lists what the publisher sends.
func (p *Publisher) Kinds() []channel.SourceKind {
	var kinds []channel.SourceKind
	for k := channel.Camera; k <= channel.ScreenAudio; k++ {
		if len(p.feeds[k]) > 0 {
			kinds = append(kinds, k)
		}
	}
	return kinds
}
