package recorder

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/ts"
	"tapedeck/internal/session"
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/publish"
	"tapedeck/internal/testkit/samples"
)

// The tones of the beeps of stereoClip, which are those of a person of package
// clips, but in two channels.
const (
	toneLeft  = 1000
	toneRight = 1700
)

// stereoClip is ten seconds of Opus in stereo with a beep at each half second:
// another tone in each channel.
func stereoClip(t *testing.T) *publish.Clip {
	t.Helper()
	tone := func(hz int) string {
		return fmt.Sprintf("0.2*sin(2*PI*%d*n/48000)*lt(mod(n+24000\\,48000)\\,4800)", hz)
	}
	graph := fmt.Sprintf("aevalsrc='%s|%s':s=48000:c=stereo,atrim=end_sample=%d,asetnsamples=n=960:p=0", tone(toneLeft), tone(toneRight), 480_000-312)
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-hide_banner", "-nostdin", "-v", "error", "-f", "lavfi", "-i", graph,
		"-c:a", "libopus", "-application", "audio", "-b:a", "96k", "-frame_duration", "20", "-page_duration", "20000", "-f", "ogg", "-")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, complaint.Bytes())
	}
	c, err := publish.Ogg(b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// unitsOf are the packets of a clip of sound, as the source hands them on.
func unitsOf(c *publish.Clip) (units []media.Unit) {
	for i, f := range c.Frames {
		at := int64(i)*c.Ticks - c.Lead
		units = append(units, media.Unit{Codec: c.Codec, PTS: media.FromSamples48k(at), RTP: int64(i) * c.Ticks, Key: true, Data: f.Data})
	}
	return units
}

// channels returns how many channels each slice of a playlist has, and checks
// that they are alike within a slice.
func (d *deck) channels(p probe.Playlist) (all []int) {
	d.t.Helper()
	for _, sl := range p.Slices {
		b, err := os.ReadFile(d.path(sl.Name))
		if err != nil {
			d.t.Fatal(err)
		}
		n := 0
		if err := ts.Read(bytes.NewReader(b), func(u ts.Unit) error {
			if n != 0 && u.Channels != n {
				d.t.Errorf("%s: %d and %d channels", sl.Name, n, u.Channels)
			}
			n = u.Channels
			return nil
		}); err != nil {
			d.t.Error(err)
		}
		all = append(all, n)
	}
	return all
}

// apart checks that each channel has its own tone: so many beeps of it at
// least, none of the other's.
func (d *deck) apart(p probe.Playlist, least int) {
	d.t.Helper()
	var list string
	for _, sl := range p.Slices {
		list += d.path(sl.Name) + "|"
	}
	for i, tones := range [][2]int{{toneLeft, toneRight}, {toneRight, toneLeft}} {
		wav := filepath.Join(d.t.TempDir(), "channel.wav")
		out, err := exec.CommandContext(d.t.Context(), "ffmpeg", "-hide_banner", "-nostdin", "-v", "error", "-i", "concat:"+list[:len(list)-1],
			"-af", fmt.Sprintf("pan=mono|c0=c%d", i), wav).CombinedOutput()
		if err != nil {
			d.t.Fatalf("ffmpeg: %v: %s", err, out)
		}
		w, err := probe.Watch(d.t.Context(), []probe.Segment{{Path: wav}})
		if err != nil {
			d.t.Fatal(err)
		}
		if own, other := len(w.Beeps(tones[0])), len(w.Beeps(tones[1])); own < least || other > 0 {
			d.t.Errorf("channel %d: %d beeps of its own, want %d; %d of the other's", i, own, least, other)
		}
	}
}

// Sound has two channels from the first stereo packet on, and keeps its place.
func TestIndividualStereo(t *testing.T) {
	t.Parallel()
	d := newDeck(t, shortPlan(session.StreamDefault))
	var s scene
	mono, stereo := samples.H264(t).Opus, unitsOf(stereoClip(t))
	a := &channel.Track{ID: "a", User: channel.User{UID: 7}, Codec: media.Opus, Kind: channel.Microphone}
	s.add(1*sec, channel.Started{Track: a, At: 1 * sec})
	s.media(a, mono, loop, 1*sec, 4*sec)
	s.media(a, stereo, loop, 4*sec, 7*sec)
	s.media(a, mono, loop, 7*sec, 9*sec)
	s.add(9*sec+network, channel.Ended{Track: a, At: 9 * sec})
	d.play(&s, 0, 10*sec)
	d.finish()
	d.check()
	p := d.playlist(d.index(7, "audio"))
	times(t, "sound begins", d.starts(p), time.Second, 4*time.Second)
	before := 0
	for i, n := range d.channels(p) {
		if p.Slices[i].Discontinuity && i > 0 {
			before = i
		}
		if want := 1 + min(before, 1); n != want {
			t.Errorf("slice %d has %d channels, want %d", i, n, want)
		}
	}
	d.apart(probe.Playlist{Slices: p.Slices[before : before+1]}, 2)
	w := d.watch(d.index(7, "audio"))
	beeps := append(w.Beeps(samples.ToneH264), w.Beeps(toneLeft)...)
	if len(beeps) < 8 || len(w.Warnings) > 0 {
		t.Errorf("%d beeps, %q", len(beeps), w.Warnings)
	}
	for _, b := range beeps {
		if off := (timeOf(b.Start) + 500_000) % sec; off > 15_000 && off < sec-15_000 {
			t.Errorf("a beep at %d µs", timeOf(b.Start))
		}
	}
}
