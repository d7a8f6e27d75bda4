package recorder

import (
	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	snap "tapedeck/internal/media/snapshot"
)

// sitter is a user of whom pictures are taken: of the camera, or of a shared
// screen while there is no camera, as in the recording. While no video comes
// there are none, and the first comes at once when it does.
type sitter struct {
	uid     uint32
	cadence *snap.Cadence
	told    func(uid uint32, receiving bool, at media.Time)

	live      []*channel.Track // that are not muted, in order of their start
	seen      *channel.Track   // the one that pictures are taken of
	receiving bool
}

// show takes a track that sends from now on.
func (p *sitter) show(t *channel.Track, at media.Time) {
	p.remove(t)
	p.live = append(p.live, t)
	p.choose(at)
}

// hide takes a track away that is muted or has ended.
func (p *sitter) hide(t *channel.Track, at media.Time) {
	p.remove(t)
	p.choose(at)
}

// leave takes all tracks away.
func (p *sitter) leave(at media.Time) {
	p.live = nil
	p.choose(at)
}

func (p *sitter) remove(t *channel.Track) {
	for i, o := range p.live {
		if o == t {
			p.live = append(p.live[:i:i], p.live[i+1:]...)
			return
		}
	}
}

// choose decides anew whose pictures are taken.
func (p *sitter) choose(at media.Time) {
	var best *channel.Track
	for _, t := range p.live {
		if best == nil || best.Kind != channel.Camera && t.Kind == channel.Camera {
			best = t
		}
	}
	if best == p.seen {
		return
	}
	p.seen = best
	p.cadence.Stop()
	if best == nil && p.receiving {
		p.receiving = false
		p.told(p.uid, false, at)
	}
}

// received notes that media of the chosen track came.
func (p *sitter) received(at media.Time) {
	if !p.receiving {
		p.receiving = true
		p.told(p.uid, true, at)
	}
}
