package recorder

import (
	"cmp"
	"errors"
	"sync"

	"tapedeck/internal/media"
	"tapedeck/internal/media/codec"
	"tapedeck/internal/media/mix"
	"tapedeck/internal/media/mux/mp4"
	"tapedeck/internal/media/mux/ts"
	"tapedeck/internal/session"
)

// An MP4 ends at the first slice boundary at which it is as long or as large
// (files.md 5.5). The size leaves room for one more slice below 2 GB.
const (
	mp4Length media.Time = 2 * 3600 * 1e6
	mp4Bytes  int64      = 2_000_000_000 - 64<<20
)

// audioTicks is the length of an AAC frame at 48 kHz in 90 kHz ticks.
const audioTicks = codec.AACFrame * 90000 / mix.Rate

// packet is an encoded picture or a frame of sound.
type packet struct {
	at   int64 // 90 kHz ticks from the start
	key  bool
	cut  bool // a new slice begins here
	data []byte
}

// mixFiles puts encoded pictures and sound in order of time and writes them to
// the slices and, if wanted, to the MP4. A slice begins with a picture that was
// made a key frame for it, and with the first frame of sound that does not
// begin before that picture.
type mixFiles struct {
	plan   session.Plan
	length media.Time // of an MP4
	bytes  int64
	out    *Output
	index  *Index
	sent   func(p packet, at media.Time, video bool) // sees every packet that is written; may be nil
	paused bool                                      // the next slice comes after a pause
	ts     *ts.Writer
	start  media.Time

	vtrack *mp4.VideoTrack // nil without pictures
	atrack *mp4.AudioTrack // nil without sound
	videos fifo
	audios fifo

	planned []int64 // numbers of pictures that begin a slice and are inside the encoder
	lastCut media.Time

	slice *Slice
	mp4   *mp4File
}

// fifo is a queue of packets that reuses their memory.
type fifo struct {
	q    []packet
	free [][]byte
}

func (f *fifo) push(p packet) {
	var b []byte
	if n := len(f.free); n > 0 {
		b, f.free = f.free[n-1], f.free[:n-1]
	}
	p.data = append(b[:0], p.data...)
	f.q = append(f.q, p)
}

func (f *fifo) empty() bool { return len(f.q) == 0 }

// pop returns the first packet; its data is valid until the next push.
func (f *fifo) pop() packet {
	p := f.q[0]
	f.q = f.q[:copy(f.q, f.q[1:])]
	f.free = append(f.free, p.data)
	return p
}

func newMixFiles(plan session.Plan, settings Settings, out *Output, v *mixVideo, a *mixAudio) *mixFiles {
	f := &mixFiles{plan: plan, out: out, length: cmp.Or(settings.MP4Length, mp4Length), bytes: cmp.Or(settings.MP4Bytes, mp4Bytes)}
	cfg := ts.Config{}
	if v != nil {
		sps, pps := v.encoder.ParameterSets()
		f.vtrack = &mp4.VideoTrack{W: v.w, H: v.h, SPS: sps, PPS: pps}
		cfg.Video = true
	}
	if a != nil {
		f.atrack = &mp4.AudioTrack{SampleRate: mix.Rate, Channels: a.channels, Config: a.encoder.Config()}
		cfg.Audio, cfg.SampleRate, cfg.Channels = true, mix.Rate, a.channels
	}
	f.ts = ts.New(cfg)
	return f
}

// track is what the files hold, in words of the API.
func (f *mixFiles) track() string {
	switch {
	case f.vtrack == nil:
		return session.TrackAudio
	case f.atrack == nil:
		return session.TrackVideo
	}
	return session.TrackBoth
}

// begin fixes the time of the first sample.
func (f *mixFiles) begin(start media.Time) {
	f.start = start
	f.index = f.out.Index(IndexConfig{Name: f.out.names.composite(), Track: f.track(), Playable: true})
}

// cutBefore reports whether picture number frame, at time t, has to be a key
// frame because a slice begins with it.
func (f *mixFiles) cutBefore(frame int64, t media.Time) bool {
	if frame > 0 && t-f.lastCut < media.Time(f.plan.SliceLength.Microseconds()) {
		return false
	}
	f.lastCut = t
	f.planned = append(f.planned, frame)
	return true
}

// video queues an encoded picture.
func (f *mixFiles) video(frame, at int64, key bool, annexB []byte) {
	cut := len(f.planned) > 0 && f.planned[0] == frame
	if cut {
		f.planned = f.planned[1:]
	}
	f.videos.push(packet{at: at, key: key, cut: cut, data: annexB})
}

// audio queues an AAC frame. Without pictures it decides about slices itself.
func (f *mixFiles) audio(frame int64, aac []byte) {
	p := packet{at: frame * audioTicks, key: true, data: aac}
	if f.vtrack == nil {
		t := f.time(p.at)
		if frame == 0 || t-f.lastCut >= media.Time(f.plan.SliceLength.Microseconds()) {
			f.lastCut, p.cut = t, true
		}
	}
	f.audios.push(p)
}

// time converts ticks from the start to the recording's timeline.
func (f *mixFiles) time(at int64) media.Time { return f.start + media.FromTicks90k(at) }

// write hands on every packet that nothing earlier can come before.
func (f *mixFiles) write() error {
	for {
		switch {
		case f.vtrack == nil && !f.audios.empty(), f.atrack == nil && !f.videos.empty():
		case f.videos.empty() || f.audios.empty():
			return nil
		}
		if err := f.next(); err != nil {
			return err
		}
	}
}

// next writes the earlier of the two first packets, at the same time the picture.
func (f *mixFiles) next() error {
	if f.videos.empty() || !f.audios.empty() && f.audios.q[0].at < f.videos.q[0].at {
		return f.put(f.audios.pop(), false)
	}
	return f.put(f.videos.pop(), true)
}

func (f *mixFiles) put(p packet, video bool) error {
	if p.cut {
		if err := f.cut(p.at); err != nil {
			return err
		}
	}
	pts := ts.Base + f.start.Ticks90k() + p.at
	if video {
		if err := f.ts.Video(pts, pts, p.key, p.data); err != nil {
			return err
		}
	} else if err := f.ts.Audio(pts, p.data); err != nil {
		return err
	}
	if f.sent != nil {
		f.sent(p, f.time(p.at), video)
	}
	return f.mp4.put(p, video)
}

// cut ends slice and, if it is time, MP4 and begins the next ones at ticks at.
func (f *mixFiles) cut(at int64) error {
	t := f.time(at)
	if err := f.closeSlice(t, false); err != nil {
		return err
	}
	fresh := f.index.Fresh() || f.paused
	var tags []string
	if f.paused {
		tags = f.index.StartTags(t)
	}
	f.paused = false
	var err error
	if f.slice, err = f.index.Begin(t, ".ts", tags); err != nil {
		return err
	}
	if err := f.ts.Begin(f.slice, fresh); err != nil {
		return err
	}
	if !f.plan.MP4 {
		return nil
	}
	if f.mp4 != nil && !f.mp4.full(t, f.length, f.bytes) {
		return nil
	}
	if err := f.mp4.close(t); err != nil {
		return err
	}
	f.mp4, err = f.openMP4(at)
	return err
}

func (f *mixFiles) closeSlice(end media.Time, last bool) error {
	if f.slice == nil {
		return nil
	}
	s := f.slice
	f.slice = nil
	if err := f.ts.End(); err != nil {
		return err
	}
	if last {
		return s.CloseLast(end - s.Start())
	}
	return s.Close(end - s.Start())
}

// finish writes what is queued and closes the files; end is where the last
// picture ends.
func (f *mixFiles) finish(end media.Time) error {
	if err := f.empty(); err != nil {
		return errors.Join(err, f.close(end))
	}
	return f.close(end)
}

// pause is finish with more to come, behind a discontinuity.
func (f *mixFiles) pause(end media.Time) error {
	if err := f.empty(); err != nil {
		return err
	}
	if err := f.closeSlice(end, false); err != nil {
		return err
	}
	m := f.mp4
	f.mp4, f.paused, f.planned = nil, true, nil
	return m.close(end)
}

// empty writes what is queued.
func (f *mixFiles) empty() error {
	for !f.videos.empty() || !f.audios.empty() {
		if err := f.next(); err != nil {
			return err
		}
	}
	return nil
}

// close ends the files that are open; end is where the last picture ends.
func (f *mixFiles) close(end media.Time) error {
	// Both wait for the disk several times: together they are done sooner.
	var wg sync.WaitGroup
	var sliceErr, mp4Err error
	wg.Go(func() { sliceErr = f.closeSlice(end, true) })
	wg.Go(func() { mp4Err = f.mp4.close(end) })
	wg.Wait()
	f.mp4 = nil
	return errors.Join(sliceErr, mp4Err)
}
