package recorder

import (
	"strings"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/samples"
)

// shortPlan cuts slices every 4 s, so that scenes can be short.
func shortPlan(mode string) session.Plan {
	p := testPlan(mode)
	p.SliceLength = 4 * time.Second
	return p
}

// final is the newest fact of a playlist.
func (d *deck) final(name string) (newest spool.Fact) {
	for _, f := range d.facts() {
		if f.Type == spool.FactIndex && f.Name == name {
			newest = f
		}
	}
	return newest
}

func (d *deck) gaps(uid string) (notes []string) {
	for _, f := range d.facts() {
		if f.Type == spool.FactGap && f.UID == uid {
			notes = append(notes, f.Note)
		}
	}
	return notes
}

// starts returns the times of the track events of a playlist, from the recording's zero.
func (d *deck) starts(p probe.Playlist) (at []time.Duration) {
	for _, s := range p.Slices {
		for _, tag := range s.Tags {
			if _, stamp, ok := strings.Cut(tag, ",TIME="); ok && strings.Contains(tag, "TRACK-EVENT") {
				at = append(at, probe.NameTime("_"+stamp+".ts").Sub(d.out.Zero()))
			}
		}
	}
	return at
}

func times(t *testing.T, what string, got []time.Duration, want ...time.Duration) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
	for i := range want {
		within(t, what, got[i], want[i], 40*time.Millisecond)
	}
}

func TestIndividualLeaveAndReturn(t *testing.T) {
	t.Parallel()
	d := newDeck(t, shortPlan(session.StreamDefault))
	var s scene
	set := samples.H264(t)
	s.user(7, "a", set, 1*sec, 8*sec)
	s.user(7, "b", set, 20*sec, 26*sec)
	s.user(9, "c", set, 3*sec, 22*sec)
	d.play(&s, 0, 27*sec)
	d.finish()
	d.check()
	video, audio := d.playlist(d.index(7, "video")), d.playlist(d.index(7, "audio"))
	times(t, "pictures begin", d.starts(video), time.Second, 20*time.Second)
	times(t, "sound begins", d.starts(audio), time.Second, 20*time.Second)
	within(t, "video", video.Sum(), 13*time.Second, 5*time.Millisecond)
	within(t, "audio", audio.Sum(), 13*time.Second, 130*time.Millisecond)
	w := d.watch(d.index(7, "video"), d.index(7, "audio"))
	inSync(t, w, samples.ToneH264, 13)
	var late int
	for _, f := range w.Flashes(0) {
		if at := timeOf(f.Start); at > 8*sec && at < 20*sec {
			t.Errorf("a flash at %d µs, when the user was away", at)
		} else if at > 20*sec {
			late++
		}
	}
	if late != 6 {
		t.Errorf("%d flashes after the return, want 6", late)
	}
	within(t, "the other user's audio", d.playlist(d.index(9, "audio")).Sum(), 19*time.Second, 70*time.Millisecond)
}

func TestIndividualMutedSound(t *testing.T) {
	t.Parallel()
	d := newDeck(t, shortPlan(session.StreamDefault))
	var s scene
	set := samples.H264(t)
	u := channel.User{UID: 7}
	a := &channel.Track{ID: "a", User: u, Codec: media.Opus, Kind: channel.Microphone}
	mute := func(at media.Time, on bool) { s.add(at+network, channel.Muted{Track: a, Muted: on, At: at}) }
	s.add(0, channel.Started{Track: a, At: 0})
	s.media(a, set.Opus, loop, 1*sec, 6*sec)
	mute(6*sec, true)
	mute(12*sec, false)
	s.media(a, set.Opus, loop, 12*sec, 14*sec)
	// Not muted, but nothing is sent: a silent sender.
	s.media(a, set.Opus, loop, 34*sec, 36*sec)
	mute(36*sec, true)
	mute(80*sec, false)
	s.media(a, set.Opus, loop, 80*sec, 83*sec)
	d.play(&s, 0, 85*sec)
	d.finish()
	d.check()
	audio := d.playlist(d.index(7, "audio"))
	// From 1 s without a break to 15 s after the second mute, then from 80 s to the end.
	times(t, "sound begins", d.starts(audio), time.Second, 80*time.Second)
	within(t, "audio", audio.Sum(), 50*time.Second+5*time.Second, 100*time.Millisecond)
	w := d.watch(d.index(7, "audio"))
	beeps := w.Beeps(samples.ToneH264)
	if len(beeps) != 5+2+2+3 {
		t.Errorf("%d beeps", len(beeps))
	}
	for _, b := range beeps {
		// Beeps are at half seconds, in every stretch.
		off := (timeOf(b.Start) + 500_000) % sec
		if off > 15_000 && off < sec-15_000 {
			t.Errorf("a beep at %d µs", timeOf(b.Start))
		}
	}
}

func TestIndividualLossAndSize(t *testing.T) {
	t.Parallel()
	d := newDeck(t, shortPlan(session.StreamDefault))
	var s scene
	small, large := samples.H264(t), samples.H264Large(t)
	u := channel.User{UID: 7}
	v := &channel.Track{ID: "v", User: u, Codec: media.H264, Kind: channel.Camera}
	s.add(0, channel.Started{Track: v, At: 0})
	s.media(v, small.Video, loop, 1*sec, 5*sec)
	s.media(v, large.Video, loop, 5*sec, 8*sec)
	// Packets are lost before the frame at 6.1 s; the next key frame is at 6.333 s.
	for i, e := range s.events {
		if m, ok := e.ev.(channel.Media); ok && m.Unit.PTS > 6_090_000 && m.Unit.PTS < 6_110_000 {
			m.Unit.Gap = 3
			s.events[i].ev = m
		}
	}
	// The track stands still for longer than an interruption, then comes back.
	s.media(v, large.Video, loop, 20*sec, 22*sec)
	d.play(&s, 0, 23*sec)
	d.finish()
	d.check()
	video := d.playlist(d.index(7, "video"))
	times(t, "pictures begin", d.starts(video), time.Second, 20*time.Second)
	var sizes []string
	for _, sl := range video.Slices {
		for _, tag := range sl.Tags {
			if strings.Contains(tag, "ROTATE") {
				sizes = append(sizes, tag[strings.Index(tag, "WIDTH"):strings.Index(tag, ",TIME")])
			}
		}
	}
	if got := strings.Join(sizes, " "); got != "WIDTH=320,HEIGHT=180,ROTATE=0 WIDTH=640,HEIGHT=360,ROTATE=0 WIDTH=640,HEIGHT=360,ROTATE=0" {
		t.Errorf("sizes: %s", got)
	}
	within(t, "first slice", video.Slices[0].Duration, 4*time.Second, time.Microsecond)
	within(t, "video", video.Sum(), 9*time.Second, time.Millisecond)
	d.src.mu.Lock()
	if d.src.keys["v"] == 0 {
		t.Error("no key frame was asked for")
	}
	d.src.mu.Unlock()
	if notes := strings.Join(d.gaps("7"), "\n"); !strings.Contains(notes, "3 packets lost, 7 frames dropped") {
		t.Errorf("notes: %s", notes)
	}
	if w := d.watch(d.index(7, "video")); len(w.Warnings)+len(w.Broken(0)) > 0 || len(w.Frames) != 9*30-7 {
		t.Errorf("%q, %d broken of %d frames", w.Warnings, len(w.Broken(0)), len(w.Frames))
	}
}

func TestIndividualVP8Default(t *testing.T) {
	t.Parallel()
	d := newDeck(t, shortPlan(session.StreamDefault))
	var s scene
	s.user(7, "a", samples.VP8(t), 1*sec, 10*sec)
	d.play(&s, 0, 11*sec)
	d.finish()
	d.check()
	video, audio := d.playlist(d.index(7, "video")), d.playlist(d.index(7, "audio"))
	if len(video.Slices) != 3 || len(audio.Slices) != 3 {
		t.Fatalf("%d video and %d audio slices", len(video.Slices), len(audio.Slices))
	}
	for i, sl := range video.Slices {
		info, _, err := probe.Inspect(t.Context(), d.path(sl.Name))
		if err != nil || info.Codecs() != "vp8" || info.Duration != sl.Duration.Round(time.Millisecond) || info.Start > time.Millisecond {
			t.Errorf("slice %d: %+v, %v", i, info, err)
		}
	}
	info, _, err := probe.Inspect(t.Context(), d.path(audio.Slices[0].Name))
	if err != nil || info.Codecs() != "aac" || info.Streams[0].Channels != 1 || info.Streams[0].Rate != 48000 {
		t.Errorf("audio: %+v, %v", info, err)
	}
	within(t, "video", video.Sum(), 9*time.Second, time.Millisecond)
}

// Sound that is not transcoded ends at once when it is muted.
func TestIndividualOriginal(t *testing.T) {
	t.Parallel()
	plan := shortPlan(session.StreamOriginal)
	plan.Streams = session.AudioOnly
	d := newDeck(t, plan)
	var s scene
	u := channel.User{UID: 7}
	a := &channel.Track{ID: "a", User: u, Codec: media.Opus, Kind: channel.Microphone}
	s.add(0, channel.Started{Track: a, At: 0})
	s.media(a, samples.H264(t).Opus, loop, 1*sec, 7*sec)
	s.add(7*sec+network, channel.Muted{Track: a, Muted: true, At: 7 * sec})
	s.add(9*sec, channel.Muted{Track: a, Muted: false, At: 9 * sec})
	s.media(a, samples.H264(t).Opus, loop, 9*sec, 11*sec)
	s.media(a, samples.H264(t).Opus, loop, 12*sec, 13*sec)
	d.play(&s, 0, 13*sec)
	d.finish()
	d.check()
	audio := d.playlist(d.index(7, "audio"))
	times(t, "sound begins", d.starts(audio), time.Second, 9*time.Second)
	within(t, "audio", audio.Sum(), 10*time.Second, 60*time.Millisecond)
	info, _, err := probe.Inspect(t.Context(), d.path(audio.Slices[0].Name))
	if err != nil || info.Codecs() != "opus" || !strings.HasSuffix(audio.Slices[0].Name, ".ts") {
		t.Errorf("audio: %+v, %v", info, err)
	}
	if n := len(d.watch(d.index(7, "audio")).Beeps(samples.ToneH264)); n != 9 {
		t.Errorf("%d beeps", n)
	}
}

func TestIndividualStreamTypes(t *testing.T) {
	t.Parallel()
	for kinds, want := range map[session.StreamTypes]string{session.AudioOnly: "audio", session.VideoOnly: "video"} {
		plan := shortPlan(session.StreamDefault)
		plan.Streams = kinds
		d := newDeck(t, plan)
		var s scene
		s.user(7, "a", samples.H264(t), 1*sec, 4*sec)
		d.play(&s, 0, 5*sec)
		d.finish()
		d.check()
		for _, f := range d.facts() {
			if f.Type == spool.FactIndex && f.Name != d.index(7, want) {
				t.Errorf("stream types %d: %s", kinds, f.Name)
			}
		}
		within(t, want, d.playlist(d.index(7, want)).Sum(), 3*time.Second, 70*time.Millisecond)
	}
}

// The camera is recorded; a shared screen only where there is no camera. Sound
// of both is heard.
func TestIndividualScreen(t *testing.T) {
	t.Parallel()
	d := newDeck(t, shortPlan(session.StreamDefault))
	var s scene
	u := channel.User{UID: 7}
	camera := &channel.Track{ID: "c", User: u, Codec: media.H264, Kind: channel.Camera}
	screen := &channel.Track{ID: "s", User: u, Codec: media.H264, Kind: channel.Screen}
	voice := &channel.Track{ID: "v", User: u, Codec: media.Opus, Kind: channel.Microphone}
	music := &channel.Track{ID: "m", User: u, Codec: media.Opus, Kind: channel.ScreenAudio}
	h264, vp8 := samples.H264(t), samples.VP8(t)
	s.send(screen, samples.H264Large(t).Video, loop, 1*sec, 12*sec)
	s.send(camera, h264.Video, loop, 4*sec, 8*sec)
	s.send(voice, h264.Opus, loop, 1*sec, 12*sec)
	s.send(music, vp8.Opus, loop, 1*sec, 12*sec)
	s.add(13*sec, channel.Left{User: u, At: 12 * sec})
	d.play(&s, 0, 14*sec)
	d.finish()
	d.check()
	// The screen begins in "video" and goes on beside the camera, from its next
	// key frame, which comes three times a second.
	video, shared := d.playlist(d.index(7, "video")), d.playlist(d.index(7, "screen"))
	times(t, "pictures begin", d.starts(video), time.Second, 4*time.Second)
	within(t, "video", video.Sum(), 7*time.Second, 5*time.Millisecond)
	for i, at := range d.starts(shared) {
		within(t, "screen begins", at, 4333*time.Millisecond, 180*time.Millisecond)
		within(t, "screen", shared.Sum(), 12*time.Second-at, 5*time.Millisecond)
		if i > 0 {
			t.Errorf("the screen begins %d times", i+1)
		}
	}
	if f := d.final(d.index(7, "screen")); f.Track != session.TrackVideo || f.UID != "7" || f.Unlisted {
		t.Errorf("listed as %+v", f)
	}
	w := d.watch(d.index(7, "audio"))
	if a, b := len(w.Beeps(samples.ToneH264)), len(w.Beeps(samples.ToneVP8)); a != 11 || b != 11 {
		t.Errorf("%d and %d beeps", a, b)
	}
}

// A user whose pictures change to VP8 in standard mode: so does the sound's
// container, and there are both joint indexes.
func TestIndividualCodecChange(t *testing.T) {
	t.Parallel()
	d := newDeck(t, shortPlan(session.StreamStandard))
	var s scene
	u := channel.User{UID: 7}
	h264, vp8 := samples.H264(t), samples.VP8(t)
	a := &channel.Track{ID: "a", User: u, Codec: media.Opus}
	s.send(&channel.Track{ID: "v", User: u, Codec: media.H264}, h264.Video, loop, 1*sec, 6*sec)
	s.send(&channel.Track{ID: "w", User: u, Codec: media.VP8}, vp8.Video, loop, 7*sec, 12*sec)
	s.send(a, h264.Opus, loop, 1*sec, 12*sec)
	d.play(&s, 0, 12*sec)
	d.finish()
	d.check()
	for _, kind := range []string{"audio", "video"} {
		var exts []string
		for _, sl := range d.playlist(d.index(7, kind)).Slices {
			exts = append(exts, sl.Name[strings.LastIndex(sl.Name, "."):])
		}
		if got := strings.Join(exts, ""); got != ".ts.ts.webm.webm" {
			t.Errorf("%s: %s", kind, got)
		}
	}
	within(t, "audio", d.playlist(d.index(7, "audio")).Sum(), 11*time.Second, 100*time.Millisecond)
	if n := len(d.watch(d.index(7, "audio")).Beeps(samples.ToneH264)); n < 10 || n > 11 {
		t.Errorf("%d beeps", n)
	}
	var joint []string
	for _, f := range d.facts() {
		if f.Type == spool.FactIndex && f.Final && strings.Contains(f.Name, "_av.") {
			joint = append(joint, f.Name[strings.Index(f.Name, "_av."):])
		}
	}
	if got := strings.Join(joint, " "); got != "_av.m3u8 _av.mpd" {
		t.Errorf("joint indexes: %s", got)
	}
}

// Where no key frame comes, H.264 is cut by force.
func TestIndividualForcedCut(t *testing.T) {
	t.Parallel()
	d := newDeck(t, testPlan(session.StreamDefault))
	var s scene
	v := &channel.Track{ID: "v", User: channel.User{UID: 7}, Codec: media.H264}
	s.add(0, channel.Started{Track: v, At: 0})
	key := samples.H264(t).Video[0]
	for i := range media.Time(340) {
		u := key
		u.PTS, u.Key = sec+i*sec, i == 0
		s.add(u.PTS, channel.Media{Track: v, Unit: u})
	}
	d.play(&s, 0, 342*sec)
	d.finish()
	video := d.playlist(d.index(7, "video"))
	if len(video.Slices) != 2 || video.Slices[0].Duration != 330*time.Second || video.Slices[1].Discontinuity {
		t.Errorf("%+v", video.Slices)
	}
	if n := d.src.keys["v"]; n < 300 {
		t.Errorf("a key frame was asked for %d times", n)
	}
}

func TestIndividualNothing(t *testing.T) {
	t.Parallel()
	d := newDeck(t, testPlan(session.StreamStandard))
	var s scene
	u := channel.User{UID: 7}
	s.add(0, channel.Joined{User: u})
	s.add(0, channel.Started{Track: &channel.Track{ID: "v", User: u, Codec: media.H264}})
	s.add(sec, channel.Left{User: u, At: sec})
	d.play(&s, 0, 2*sec)
	d.finish()
	for _, f := range d.facts() {
		if f.Type != spool.FactOpened && f.Type != spool.FactEnded {
			t.Errorf("%+v", f)
		}
	}
	if d.mode.Recorded() {
		t.Error("nothing was recorded")
	}
}
