package recorder

import (
	"strconv"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
)

// typeScreen is the type in the names of a shared screen's files that stand
// beside the user's camera (docs/formats/individual.md).
const typeScreen = "screen"

// silent is how long a track may have sent nothing until another one of its
// kind takes its place in the files: whoever publishes a camera anew is heard of
// before the end of the old one.
const silent media.Time = 1_000_000

// userLanes are a user's pictures: one series of files, a lane, for each video
// track that they send at the same time.
//
// The camera is in "video". So is a shared screen, until the user first shows a
// camera; from then on it is in "screen". Further tracks of a kind that send
// at the same time are in "video2", "screen2" and so on: nothing is left out.
type userLanes struct {
	p      *userStreams
	lanes  map[string]*userVideo // by type in file names
	live   map[string]*channel.Track
	places map[string]*userVideo // by track ID
	camera bool                  // the user has shown a camera
}

func newUserLanes(p *userStreams) *userLanes {
	return &userLanes{p: p, lanes: map[string]*userVideo{}, live: map[string]*channel.Track{}, places: map[string]*userVideo{}}
}

// started takes note of a track that sends from now on.
func (l *userLanes) started(t *channel.Track) {
	if !l.p.m.plan.Streams.Video() {
		return
	}
	l.live[t.ID] = t
	if !l.p.m.plan.LowStream {
		l.p.m.src.SetSize(t, 0, 0)
	}
}

// stopped ends the stream of a track that was muted, or is gone.
func (l *userLanes) stopped(t *channel.Track, gone bool) error {
	delete(l.live, t.ID)
	v := l.places[t.ID]
	if v == nil {
		return nil
	}
	if gone {
		l.free(v)
	}
	return v.interrupt()
}

// free lets others have a track's lane.
func (l *userLanes) free(v *userVideo) {
	delete(l.places, v.track.ID)
	v.track = nil
}

// left ends everything: the user is gone.
func (l *userLanes) left() error {
	clear(l.live)
	for _, v := range l.lanes {
		if v.track != nil {
			l.free(v)
		}
		if err := v.interrupt(); err != nil {
			return err
		}
	}
	return nil
}

// push writes a unit of a track into its lane.
func (l *userLanes) push(t *channel.Track, u media.Unit) error {
	if l.live[t.ID] == nil {
		return nil // muted, or not wanted
	}
	v := l.places[t.ID]
	if v == nil {
		if !u.Key {
			l.p.m.src.RequestKey(t) // the source sees to it that it is not asked too often
			return nil
		}
		var err error
		if v, err = l.place(t, u.PTS); err != nil {
			return err
		}
	}
	return v.push(u)
}

// place gives a track a lane.
func (l *userLanes) place(t *channel.Track, now media.Time) (*userVideo, error) {
	first := typeScreen
	if t.Kind != channel.Screen {
		l.camera = true
	}
	if t.Kind != channel.Screen || !l.camera {
		first = typeVideo
	}
	for n := 1; ; n++ {
		name := first
		if n > 1 {
			name += strconv.Itoa(n)
		}
		v := l.lanes[name]
		if v == nil {
			v = newUserVideo(l.p, name)
			l.lanes[name] = v
		}
		switch {
		case v.track == nil:
		case v.track.Kind == channel.Screen && t.Kind != channel.Screen: // the screen goes on in a lane of its own
			l.free(v)
		case v.track.Kind == t.Kind && now-v.last > silent:
			l.free(v)
		default:
			continue
		}
		if err := v.interruptBy(now); err != nil {
			return nil, err
		}
		v.track = t
		l.places[t.ID] = v
		return v, nil
	}
}

// advance ends the slices of streams that have been silent for too long.
func (l *userLanes) advance(now media.Time) error {
	for _, v := range l.lanes {
		if err := v.advance(now); err != nil {
			return err
		}
	}
	return nil
}

// finish closes all slices and playlists.
func (l *userLanes) finish() error {
	for _, v := range l.lanes {
		if err := v.finish(); err != nil {
			return err
		}
	}
	return nil
}
