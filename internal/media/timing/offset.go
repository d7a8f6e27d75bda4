package timing

import "math"

const (
	leg  = 1. // s of sender time between two decisions on the offset's pace
	legs = 16 // remembered, for a track that is behind the others
)

// offset is the shift from sender time to the timeline as a function of sender
// time: a line with a corner every leg, so that tracks that are mapped a little
// apart from each other see the same smooth curve. All in seconds.
type offset struct {
	knots []knot // none: unknown
}

type knot struct{ at, value, pace float64 }

func (o *offset) known() bool { return len(o.knots) > 0 }

// set makes the offset known, and constant until it is moved.
func (o *offset) set(at, value float64) { o.knots = []knot{{at, value, 0}} }

// raise shifts the whole curve.
func (o *offset) raise(by float64) {
	for i := range o.knots {
		o.knots[i].value += by
	}
}

func (o *offset) at(y float64) float64 {
	for i := len(o.knots) - 1; i >= 0; i-- {
		if k := o.knots[i]; y >= k.at || i == 0 {
			// Nothing is known of the time before the first corner, and after the
			// last leg somebody has to decide first.
			return k.value + k.pace*math.Max(0, math.Min(leg, y-k.at))
		}
	}
	return 0
}

// move adds corners up to a sender time. The pace of each leg leads to the
// goal, if there is one, by at most offsetSlew.
func (o *offset) move(to, goal float64, aimed bool) {
	last := o.knots[len(o.knots)-1]
	if to < last.at+leg {
		return
	}
	k := knot{at: to, value: last.value + last.pace*leg}
	if to < last.at+2*leg {
		k.at = last.at + leg
	}
	if aimed {
		k.pace = clamp((goal-k.value)/leg, offsetSlew)
	}
	o.knots = append(o.knots, k)
	if len(o.knots) > legs {
		o.knots = o.knots[1:]
	}
}
