package recorder

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/channel/livekit"
	"tapedeck/internal/session"
	"tapedeck/internal/testkit/publish"
	"tapedeck/internal/testkit/review"
)

const (
	matrixPart = 4500 * time.Millisecond // of a meeting: before and after its disturbance
	matrixAway = 2500 * time.Millisecond // how long a disturbance lasts that ends
)

// disturbance is what happens in one meeting of the matrix.
type disturbance struct {
	name       string
	loss, swap float64 // of the network
	early      bool    // the recorders are there before anybody else
	spec       func(publish.Spec) publish.Spec
	meet       func(m *meeting)
	// happened says what is not as it must be after the disturbance, in the
	// recording of one user: without it the case would show nothing.
	happened func(m *meeting, l *live, a *sender) []string
}

// meeting is a room with a sender of each kind and a recorder in each mode.
type meeting struct {
	t         *testing.T
	cast      []*sender
	recorders []*live
	network   *badNetwork
}

func disturbances() []disturbance {
	return []disturbance{
		{name: "loss", loss: 0.10, spec: single, meet: (*meeting).talk, happened: lossy},
		{name: "reordering", swap: 0.10, spec: single, meet: (*meeting).talk, happened: reordered},
		{name: "join and leave", early: true, spec: single, meet: (*meeting).comeAndGo, happened: twice},
		{name: "layer change", spec: func(s publish.Spec) publish.Spec { return s }, meet: (*meeting).changeLayers, happened: resized},
		{name: "resolution change", spec: func(s publish.Spec) publish.Spec {
			s.Video = []*publish.Clip{changing(3*time.Second, s.Video[1], s.Video[0])}
			return s
		}, meet: (*meeting).talk, happened: resized},
		{name: "mute", spec: single, meet: (*meeting).muteAll, happened: muted},
	}
}

// single leaves out the lower layer.
func single(s publish.Spec) publish.Spec {
	s.Video = s.Video[1:]
	return s
}

// Senders in H.264 baseline and high, VP8, VP9 and AV1, recorded in the modes
// default, standard and original, while packets are lost or overtake each other,
// people come and go, layers and sizes change, people are muted: each of these 90
// has its test, and each is judged by everything that it left.
func TestLiveMatrix(t *testing.T) {
	modes := []string{session.StreamDefault, session.StreamStandard, session.StreamOriginal}
	for _, d := range disturbances() {
		t.Run(d.name, func(t *testing.T) {
			m := gather(t, d, modes)
			found := m.look()
			for i, l := range m.recorders {
				for _, a := range m.cast {
					t.Run(modes[i]+"/"+a.name, func(t *testing.T) {
						for _, p := range append(found[i][a.UID], d.happened(m, l, a)...) {
							t.Error(p)
						}
					})
				}
			}
		})
	}
}

// gather holds the meeting.
func gather(t *testing.T, d disturbance, modes []string) *meeting {
	s, network := behind(t, d.loss, d.swap)
	m := &meeting{t: t, cast: senders(t), network: network}
	come := func() {
		for _, a := range m.cast {
			a.spec = d.spec(a.spec)
			a.url = s.URL()
			a.enter(t)
		}
	}
	if !d.early {
		come()
	}
	for _, mode := range modes {
		plan := testPlan(mode)
		if mode == session.StreamOriginal {
			plan.Streams = session.AudioOnly // the only one in which it differs from default
		}
		m.recorders = append(m.recorders, listen(t, s.URL(), plan, func(c *livekit.Config) { c.Relay = d.loss+d.swap > 0 }, nil))
	}
	if d.early {
		come()
	}
	for _, l := range m.recorders {
		n := len(m.cast)
		if l.plan.Streams.Video() {
			n *= 2
		}
		l.begun(n)
	}
	d.meet(m)
	for _, l := range m.recorders {
		l.end()
	}
	return m
}

// look reviews the recordings, two at a time.
func (m *meeting) look() []judgement {
	m.t.Helper()
	all := make([]judgement, len(m.recorders))
	slots := make(chan struct{}, 2)
	var wg sync.WaitGroup
	for i, l := range m.recorders {
		var users []review.User
		for _, a := range m.cast {
			u := a.user()
			if !l.plan.Streams.Video() {
				u.Color = ""
			}
			users = append(users, u)
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			all[i] = l.look(m.t, users)
		})
	}
	wg.Wait()
	return all
}

// talk lets the time pass. What the network holds at the end still comes.
func (m *meeting) talk() {
	pass(m.t, matrixPart+matrixAway)
	m.network.calm()
	pass(m.t, 300*time.Millisecond)
}

func (m *meeting) comeAndGo() {
	pass(m.t, matrixPart)
	for _, a := range m.cast {
		a.exit()
	}
	pass(m.t, matrixAway)
	for _, a := range m.cast {
		a.enter(m.t)
	}
	pass(m.t, matrixPart)
}

func (m *meeting) muteAll() {
	pass(m.t, matrixPart)
	for _, a := range m.cast {
		a.mute(true)
	}
	pass(m.t, matrixAway)
	for _, a := range m.cast {
		a.mute(false)
	}
	pass(m.t, matrixPart)
}

func (m *meeting) changeLayers() {
	for _, size := range []struct{ w, h int }{{320, 180}, {160, 90}, {320, 180}} {
		for _, l := range m.recorders {
			for _, s := range l.room.Stats() {
				if s.Track.Codec.Video() {
					l.room.SetSize(s.Track, size.w, size.h)
				}
			}
		}
		pass(m.t, matrixPart*2/3)
	}
}

// tracksOf are the counters of a user's tracks.
func (l *live) tracksOf(uid uint32) (all []channel.TrackStats) {
	for _, s := range l.room.Stats() {
		if s.Track.User.UID == uid {
			all = append(all, s)
		}
	}
	return all
}

// lossy: packets were lost and came again.
func lossy(m *meeting, l *live, a *sender) (problems []string) {
	m.network.mu.Lock()
	defer m.network.mu.Unlock()
	if share := float64(m.network.lost) / float64(m.network.seen); share < 0.08 {
		problems = append(problems, fmt.Sprintf("the network lost %.3f of %d packets", share, m.network.seen))
	}
	for _, s := range l.tracksOf(a.UID) {
		m.t.Logf("%s %s: %v: %d packets, %d repaired, %d lost, %d late", l.plan.StreamMode, a.name, s.Track.Codec, s.Packets, s.Repaired, s.Lost, s.Late)
		if s.Repaired == 0 || s.Lost > s.Packets/100 {
			problems = append(problems, fmt.Sprintf("%v: %d of %d packets are lost for good, %d were repaired", s.Track.Codec, s.Lost, s.Packets, s.Repaired))
		}
	}
	return problems
}

// reordered: packets were overtaken, and nothing is missing.
func reordered(m *meeting, l *live, a *sender) (problems []string) {
	for _, s := range l.tracksOf(a.UID) {
		if s.Repaired == 0 {
			problems = append(problems, fmt.Sprintf("%v: no packet came out of order", s.Track.Codec))
		}
		// The very first may be held back so long that it comes too late.
		if s.Lost > 0 || s.Late > 1 {
			problems = append(problems, fmt.Sprintf("%v: %d packets are lost, %d late", s.Track.Codec, s.Lost, s.Late))
		}
	}
	if gaps := l.gaps(uidText(a.UID)); len(gaps) > 0 {
		problems = append(problems, fmt.Sprintf("gaps: %q", gaps))
	}
	return problems
}

// begins compares how often a user's streams begin with what is right.
func (l *live) begins(uid uint32, kind string, want int) (problems []string) {
	if kind == typeVideo && !l.plan.Streams.Video() {
		return nil
	}
	if at := l.starts(l.playlist(l.index(uid, kind))); len(at) != want {
		problems = append(problems, fmt.Sprintf("%s begins %d times, want %d: %v", kind, len(at), want, at))
	}
	return problems
}

// twice: who left and came back has two streams of each kind.
func twice(_ *meeting, l *live, a *sender) []string {
	return append(l.begins(a.UID, typeAudio, 2), l.begins(a.UID, typeVideo, 2)...)
}

// muted: pictures begin anew, and sound where it is not transcoded; else silence
// fills the pause.
func muted(_ *meeting, l *live, a *sender) []string {
	sound := 1
	if l.plan.StreamMode == session.StreamOriginal {
		sound = 2
	}
	return append(l.begins(a.UID, typeAudio, sound), l.begins(a.UID, typeVideo, 2)...)
}

// resized: pictures became small and large again, each time in a slice of its own.
func resized(_ *meeting, l *live, a *sender) (problems []string) {
	if !l.plan.Streams.Video() {
		return l.begins(a.UID, typeAudio, 1)
	}
	var widths []string
	for _, sl := range l.playlist(l.index(a.UID, typeVideo)).Slices {
		for _, tag := range sl.Tags {
			_, w, ok := strings.Cut(tag, "WIDTH=")
			if w, _, _ = strings.Cut(w, ","); !ok || len(widths) > 0 && widths[len(widths)-1] == w {
				continue
			}
			widths = append(widths, w)
		}
	}
	if got := strings.Join(widths, " "); !strings.Contains(got, "320 160 320") {
		problems = append(problems, fmt.Sprintf("widths %q, want 320 160 320", got))
	}
	if n := len(widths); n > 5 {
		problems = append(problems, fmt.Sprintf("%d changes of size: %v", n, widths))
	}
	return problems
}
