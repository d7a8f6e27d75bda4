package snapshot

import "tapedeck/internal/media"

// near is how old a key frame may be when a picture is due, so that nobody has
// to be asked for another.
const near media.Time = 500_000

// keyInterval lies between two requests for a key frame.
const keyInterval media.Time = 1_000_000

// Cadence picks the key frames of one video stream that become pictures: the
// first at once, then one an interval, each the nearest there is. The grid of
// due times does not move when a key frame comes late. The zero value is of no
// use; see NewCadence.
type Cadence struct {
	interval media.Time
	running  bool
	due      media.Time
	key      media.Unit // the newest key frame, if it is not taken yet
	asked    media.Time
	asking   bool
}

// NewCadence makes the cadence of a stream that has not begun. interval must be
// positive.
func NewCadence(interval media.Time) *Cadence { return &Cadence{interval: interval} }

// Stop pauses: the video is muted or gone. The next unit begins a new grid.
func (c *Cadence) Stop() { *c = Cadence{interval: c.interval} }

// Next takes the stream's next unit. It returns a key frame when one is to
// become a picture, and otherwise whether to ask the sender for one.
func (c *Cadence) Next(u media.Unit) (shot media.Unit, take, ask bool) {
	if !c.running {
		c.running, c.due = true, u.PTS
	}
	if u.Key {
		c.key = u
	}
	if u.PTS < c.due {
		return media.Unit{}, false, false
	}
	if c.key.Data != nil && c.key.PTS >= c.due-min(near, c.interval/4) {
		shot = c.key
		c.key = media.Unit{}
		for c.due <= u.PTS {
			c.due += c.interval
		}
		c.asking = false
		return shot, true, false
	}
	if c.asking && u.PTS-c.asked < keyInterval {
		return media.Unit{}, false, false
	}
	c.asking, c.asked = true, u.PTS
	return media.Unit{}, false, true
}
