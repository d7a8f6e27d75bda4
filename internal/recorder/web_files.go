package recorder

import (
	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/mp4"
	"tapedeck/internal/media/mux/ts"
	"tapedeck/internal/session"
)

// newWebFiles are the files of a page: those of a mix, but for how long an MP4
// may be.
func newWebFiles(m *webMode, channels int) *mixFiles {
	f := &mixFiles{plan: m.plan, out: m.out, length: media.Time(m.page.MaxVideo.Microseconds()), bytes: mp4Bytes}
	if f.length <= 0 {
		f.length = mp4Length
	}
	sps, pps := m.video.ParameterSets()
	f.vtrack = &mp4.VideoTrack{W: m.page.Width, H: m.page.Height, SPS: sps, PPS: pps}
	f.atrack = &mp4.AudioTrack{SampleRate: soundRate, Channels: channels, Config: m.audio.Config()}
	f.ts = ts.New(ts.Config{Video: true, Audio: true, SampleRate: soundRate, Channels: channels})
	return f
}

// suspend ends the slice at end; what follows begins with a picture that is
// made a key frame for it. The MP4 stays open: it goes on without a gap.
func (f *mixFiles) suspend(end media.Time) error {
	if err := f.empty(); err != nil {
		return err
	}
	f.paused, f.planned = true, nil
	return f.closeSlice(end, false)
}

// resume lets the next picture, number frame at ticks at, be seen at time t and
// begin a slice.
func (f *mixFiles) resume(frame, at int64, t media.Time) {
	f.start = t - media.FromTicks90k(at)
	f.lastCut, f.planned = t, []int64{frame}
}

// webName replaces what the documentation of web mode replaces in the names of
// files (files.md 2), and what no URL can hold.
func webName(cname string) string {
	const replaced = "!@#$%^&*()+_.=[]{}~|,;:?<>"
	out := []byte(safeName(cname))
	for i, c := range out {
		for j := range len(replaced) {
			if c == replaced[j] {
				out[i] = '-'
			}
		}
	}
	return string(out)
}

// stemOf is what all names of a recording begin with.
func stemOf(plan session.Plan) string {
	if plan.Mode == session.Web {
		return plan.SID + "_" + webName(plan.CName)
	}
	return plan.SID + "_" + safeName(plan.CName)
}
