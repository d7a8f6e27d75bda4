package publish

import "tapedeck/internal/channel"

// Unpublish takes the camera, microphone or screen away for good, as an
// application does that gives a device back.
func (p *Publisher) Unpublish(kind channel.SourceKind) {
	for _, f := range p.feeds[kind] {
		f.muted.Store(true)
	}
	if pub := p.pubs[kind]; pub != nil {
		_ = p.room.LocalParticipant.UnpublishTrack(pub.SID()) // it fails when the room is gone, and the track with it
	}
}
