package recorder

import (
	"slices"

	"tapedeck/internal/media"
	"tapedeck/internal/media/codec"
	"tapedeck/internal/media/mix"
	"tapedeck/internal/media/mux/playlist"
	"tapedeck/internal/media/mux/ts"
	"tapedeck/internal/session"
)

// merger writes the pictures and the sound of one user in raw mode into the same
// TS slices, and into MP4 files if they are asked for (rest-api.md 14). H.264
// comes as it was sent, sound as AAC.
//
// Both come in order, but not in step: what is older than holdback is put in
// order of time and written.
type merger struct {
	p      *userStreams
	frames []media.Unit
	sound  []soundPacket
	mp4    *rawMP4

	writers map[held]*ts.Writer
	index   *Index
	slice   *Slice
	has     held       // what the slice carries
	w, h    int        // of the pictures
	turn    int        // of the pictures
	shown   media.Time // PTS of the newest picture
	end     media.Time // of what is written
	gone    bool       // the next slice follows an interruption
}

// held says what a slice carries.
type held struct{ video, audio bool }

type soundPacket struct {
	at   media.Time
	data []byte
}

// herald is how far ahead a picture announces itself in a slice that sound begins.
const herald media.Time = 1_000_000

func newMerger(p *userStreams) *merger {
	m := &merger{p: p, writers: map[held]*ts.Writer{}, gone: true, shown: -1 << 62, end: -1 << 62}
	if p.m.plan.MP4 {
		m.mp4 = &rawMP4{p: p}
	}
	return m
}

// picture takes the next frame. Frames ascend, and the first after an
// interruption is a key frame.
func (m *merger) picture(u media.Unit) { m.frames = append(m.frames, u) }

// put implements soundSink.
func (m *merger) put(at media.Time, packet []byte) error {
	m.sound = append(m.sound, soundPacket{at, packet})
	return nil
}

// close implements soundSink: pictures may go on.
func (m *merger) close(media.Time, bool) error { return nil }

// advance writes what begins before to, and ends the slice of a user who has
// stopped sending.
func (m *merger) advance(to media.Time) error {
	if m == nil {
		return nil
	}
	for {
		video := len(m.frames) > 0 && m.frames[0].PTS < to
		audio := len(m.sound) > 0 && m.sound[0].at < to
		var err error
		switch {
		case video && (!audio || m.frames[0].PTS <= m.sound[0].at):
			u := m.frames[0]
			if err = m.resume(u.PTS); err == nil {
				m.frames = slices.Delete(m.frames, 0, 1)
				err = m.writeFrame(u)
			}
		case audio:
			s := m.sound[0]
			if err = m.resume(s.at); err == nil {
				m.sound = slices.Delete(m.sound, 0, 1)
				err = m.writeSound(s)
			}
		default:
			if m.slice != nil && to-m.end > herald && m.p.audio.pipe == nil && len(m.frames)+len(m.sound) == 0 {
				return m.pause(false)
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// resume ends what a user left behind who goes on at a time. Sound has no holes:
// where there is one, the stream ended.
func (m *merger) resume(at media.Time) error {
	least := interrupted
	if m.has.audio {
		least = herald
	}
	if m.slice == nil || at-m.end <= least {
		return nil
	}
	return m.pause(false)
}

// finish writes everything and ends the playlist.
func (m *merger) finish() error {
	if m == nil {
		return nil
	}
	if err := m.advance(1 << 62); err != nil {
		return err
	}
	return m.pause(true)
}

// pause ends the slice and the MP4: nothing comes, or nothing that follows
// belongs to it.
func (m *merger) pause(final bool) error {
	m.gone = true
	if err := m.mp4.close(m.end); err != nil {
		return err
	}
	return m.cut(m.end, final)
}

// cut ends the slice at a time.
func (m *merger) cut(at media.Time, final bool) error {
	if m.slice == nil {
		return nil
	}
	s := m.slice
	m.slice = nil
	if err := m.writers[m.has].End(); err != nil {
		return err
	}
	if final {
		return s.CloseLast(at - s.Start())
	}
	return s.Close(at - s.Start())
}

func (m *merger) writeFrame(u media.Unit) error {
	resized := u.Key && u.W > 0 && (u.W != m.w || u.H != m.h)
	sound := m.p.audio.pipe != nil || len(m.sound) > 0
	switch {
	case m.slice == nil, !m.has.video, resized, u.Key && sound && !m.has.audio,
		u.Key && u.PTS-m.slice.Start() >= m.p.sliceLength():
		if !u.Key && m.slice == nil {
			return nil // an interruption of the sound's side cut the stream: the next key frame begins it
		}
		if err := m.begin(u.PTS, held{true, sound}, &u); err != nil {
			return err
		}
	case u.PTS-m.slice.Start() >= m.p.sliceLength():
		m.p.m.src.RequestKey(m.p.video.lanes[typeVideo].track)
	}
	m.shown, m.end = u.PTS, max(m.end, u.PTS+m.p.video.lanes[typeVideo].usual())
	if err := m.mp4.frame(u); err != nil {
		return err
	}
	pts := ts.PTS(u.PTS)
	return m.writers[m.has].Video(pts, pts, u.Key, u.Data)
}

func (m *merger) writeSound(s soundPacket) error {
	var next *media.Unit // the picture that comes at once
	if len(m.frames) > 0 && m.frames[0].PTS-s.at < herald {
		next = &m.frames[0]
	}
	away := s.at-m.shown > herald && next == nil
	switch {
	case m.slice == nil:
		if err := m.begin(s.at, held{next != nil, true}, next); err != nil {
			return err
		}
	case !m.has.audio && !away:
		return nil // until the next key frame
	case m.has.video && away && s.at-m.slice.Start() > herald, !m.has.audio,
		!m.has.video && s.at-m.slice.Start() >= m.p.sliceLength():
		if err := m.begin(s.at, held{false, true}, nil); err != nil {
			return err
		}
	}
	m.end = max(m.end, s.at+media.FromSamples48k(codec.AACFrame))
	if err := m.mp4.sound(s, next); err != nil {
		return err
	}
	return m.writers[m.has].Audio(ts.PTS(s.at), s.data)
}

// begin opens a slice at a time; u is the key frame with which it begins, if any.
func (m *merger) begin(at media.Time, has held, u *media.Unit) error {
	resized := u != nil && u.W > 0 && (u.W != m.w || u.H != m.h || u.Turn != m.turn)
	marked := m.gone || has != m.has || resized
	end := at
	if marked && at-m.end > 0 {
		end = m.end
	}
	if err := m.cut(end, false); err != nil {
		return err
	}
	if u != nil && u.W > 0 {
		m.w, m.h, m.turn = u.W, u.H, u.Turn
	}
	index := m.list(has.video)
	if index != m.index {
		m.index, m.gone = index, true
	}
	marked = marked || m.gone || index.Fresh()
	var tags []string
	switch {
	case m.gone:
		tags = index.StartTags(at)
	case marked:
		tags = []string{playlist.Discontinuity()}
	}
	if marked && u != nil {
		tags = append(tags, playlist.Rotate(m.w, m.h, m.turn, m.p.m.out.At(at)))
	}
	s, err := index.Begin(at, extTS, tags)
	if err != nil {
		return err
	}
	m.slice, m.has, m.gone = s, has, false
	w := m.writers[has]
	if w == nil {
		w = ts.New(ts.Config{Video: has.video, Audio: has.audio, SampleRate: mix.Rate, Channels: 1})
		m.writers[has] = w
	}
	return w.Begin(s, marked)
}

// list returns the user's merged playlist. It is named by the codec of the
// pictures; a user of whom only sound has been recorded has one named by that.
func (m *merger) list(video bool) *Index {
	c, track := media.AAC, session.TrackAudio
	if video || m.index != nil && m.index.cfg.Track == session.TrackBoth {
		c, track = media.H264, session.TrackBoth
	}
	return m.p.m.out.Index(IndexConfig{
		Name: m.p.m.out.names.index(m.p.uid, c.String()), Track: track, UID: m.p.uid, Playable: true,
	})
}
