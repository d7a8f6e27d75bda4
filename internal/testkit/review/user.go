package review

import (
	"fmt"
	"math"
	"slices"
	"time"

	"tapedeck/internal/testkit/clips"
	"tapedeck/internal/testkit/probe"
)

// settle is left out at the beginning of a stay (joining, the first key frame)
// and at its end.
const settle = 1500 * time.Millisecond

// gapMargin is left out on both sides of a known gap: a mark's edge cannot be
// told where its neighbour is missing.
const gapMargin = 100 * time.Millisecond

// evidence is where one user's flashes and beeps were found.
type evidence struct {
	zero    time.Time
	begin   time.Duration // of the recording on its timeline
	end     time.Duration
	flashes []probe.Flash
	beeps   []probe.Beep
}

// mark is a flash or a beep that was found.
type mark struct {
	at  time.Duration
	cut bool // it is shorter than what was sent: recording began, or stopped, in the middle
}

// cutShort is how much shorter than it was sent a whole beep may be found.
const cutShort = 20 * time.Millisecond

// judge compares what was found with what the user sent.
func (s *Seen) judge(u User, e evidence) {
	s.Flashes, s.Beeps = len(e.flashes), len(e.beeps)
	var flashes, beeps []mark
	for _, f := range e.flashes {
		flashes = append(flashes, mark{f.Start, false})
	}
	for _, b := range e.beeps {
		beeps = append(beeps, mark{b.Start, b.Length < clips.FlashLength-cutShort})
	}
	if u.Color != "" {
		s.stays("flash", u, e, flashes)
	}
	if u.Tone != 0 {
		s.stays("beep", u, e, beeps)
	}
	if u.Color == "" || u.Tone == 0 {
		return
	}
	sum, ok := probe.SyncOf(probe.Offsets(e.flashes, e.beeps))
	if !ok {
		s.complain("picture and sound have only %d pairs of flash and beep", sum.Count)
		return
	}
	s.Sync = &sum
	if err := sum.Within(SyncLimit); err != nil {
		s.complain("%v", err)
	}
}

// stays looks for every mark that was sent. Each must be there, at its time,
// and none may be where the user was away.
func (s *Seen) stays(kind string, u User, e evidence, found []mark) {
	claimed := 0
	var lags []time.Duration
	for n, stay := range u.Stays {
		first, last := stay.Origin.Sub(e.zero), stay.End.Sub(e.zero)
		var off, even []time.Duration // even: of whole marks, whose beginning is theirs
		sent := 0
		for at := first + clips.FirstFlash; at < last; at += time.Second {
			i := slices.IndexFunc(found, func(f mark) bool { return (f.at - at).Abs() < LagLimit+50*time.Millisecond })
			known := u.gap(kind == "beep", e.zero.Add(at-gapMargin), e.zero.Add(at+clips.FlashLength+gapMargin))
			if i >= 0 {
				claimed++
			}
			if i >= 0 && !known {
				off = append(off, found[i].at-at)
			}
			if i >= 0 && !known && !found[i].cut {
				even = append(even, found[i].at-at)
			}
			if known || at < max(first, e.begin)+settle || at > min(last, e.end)-settle {
				continue
			}
			sent++
			if i < 0 {
				s.complain("%s at %v of the recording is missing", kind, at.Round(time.Millisecond))
			}
		}
		if sent == 0 || len(off) == 0 {
			s.complain("stay %d has no %s", n+1, kind)
			continue
		}
		slices.Sort(off)
		if 2*len(even) < len(off) {
			s.complain("%d of %d marks of stay %d are cut short", len(off)-len(even), len(off), n+1)
		}
		if d := spread(even); d > ClockLimit {
			s.complain("the clock of stay %d is uneven: a %s comes up to %v later than another", n+1, kind, d)
		}
		lags = append(lags, off[len(off)/2])
	}
	if extra := len(found) - claimed; extra > 0 {
		s.complain("%d of %d times a %s was never sent or comes at a wrong time", extra, len(found), kind)
	}
	for n, lag := range lags {
		if lag.Abs() > LagLimit {
			s.complain("%s of stay %d is %v off the time it was sent", kind, n+1, lag)
		}
		if d := lag - lags[0]; d.Abs() > GapLimit {
			s.complain("the gap before stay %d is %v longer than the user was away", n+1, d)
		}
	}
	if s.Lags == nil {
		s.Lags = lags
	}
}

// spread is the distance between the least and the most.
func spread(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	return slices.Max(all) - slices.Min(all)
}

// gap reports whether something of a kind is known to be missing between two times.
func (u User) gap(sound bool, from, to time.Time) bool {
	return slices.ContainsFunc(u.Gaps, func(g Gap) bool { return g.Sound == sound && g.From.Before(to) && from.Before(g.To) })
}

// holes complains about times without a picture in which the user was there,
// but for those that are known.
func (s *Seen) holes(u User, w *probe.Watched, zero time.Time) {
	for i := 1; i < len(w.Frames); i++ {
		from, to := w.Frames[i-1].At, w.Frames[i].At
		if to-from > FreezeLimit && u.there(zero, from) && u.there(zero, to) && !u.gap(false, zero.Add(from), zero.Add(to)) {
			s.complain("there is no picture from %v for %v", from.Round(time.Millisecond), (to - from).Round(time.Millisecond))
		}
	}
}

// away reports whether the user was out of the room at a time of the recording.
// After leaving there is time to notice.
func (u User) away(zero time.Time, at time.Duration) bool {
	t := zero.Add(at)
	for _, s := range u.Stays {
		if t.After(s.Origin.Add(-settle/10)) && t.Before(s.End.Add(settle)) {
			return false
		}
	}
	return true
}

// there reports whether the user was in the room, with a margin on both sides.
func (u User) there(zero time.Time, at time.Duration) bool {
	t := zero.Add(at)
	for _, s := range u.Stays {
		if t.After(s.Origin.Add(settle)) && t.Before(s.End.Add(-settle)) {
			return true
		}
	}
	return false
}

// picture checks region i of what was watched: the user's colour while there,
// movement, and, where gone is set, the background while away.
func (s *Seen) picture(u User, w *probe.Watched, i int, zero time.Time, gone bool) {
	var r, g, b, n float64
	ghosts := 0
	for _, f := range w.Frames {
		look := f.Sight[i]
		if gone && u.away(zero, f.At) && !look.Black() {
			ghosts++
		}
		if look.Y < 150 && u.there(zero, f.At) {
			x, y, z := look.RGB()
			r, g, b, n = r+x, g+y, b+z, n+1
		}
	}
	if ghosts > 0 {
		s.complain("%d frames show a picture while the user was away", ghosts)
	}
	if n == 0 {
		s.complain("no picture")
		return
	}
	var wr, wg, wb int
	if _, err := fmt.Sscanf(u.Color, "#%02x%02x%02x", &wr, &wg, &wb); err != nil {
		s.complain("colour %q: %v", u.Color, err)
		return
	}
	// The number and the moving squares lighten the average.
	const far = 45
	if math.Abs(r/n-float64(wr)) > far || math.Abs(g/n-float64(wg)) > far || math.Abs(b/n-float64(wb)) > far {
		s.complain("the picture is (%.0f %.0f %.0f), the user's colour is (%d %d %d)", r/n, g/n, b/n, wr, wg, wb)
	}
	for _, stay := range u.Stays {
		for _, f := range w.Freezes(i, FreezeLimit, stay.Origin.Sub(zero)+settle, stay.End.Sub(zero)-settle) {
			if u.gap(false, zero.Add(f.Start), zero.Add(f.End)) {
				continue
			}
			s.complain("the picture stands still from %v for %v", f.Start.Round(time.Millisecond), (f.End - f.Start).Round(time.Millisecond))
		}
	}
}
