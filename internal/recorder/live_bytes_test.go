package recorder

import (
	"bytes"
	"os"
	"testing"
	"time"

	"tapedeck/internal/channel/embedded"
	"tapedeck/internal/media/depacket"
	"tapedeck/internal/media/mux/ts"
	"tapedeck/internal/session"
	"tapedeck/internal/testkit/publish"
)

// What stands in the files is what the sender sent, byte for byte: H.264 in TS
// slices, and Opus where sound is not transcoded.
func TestLiveBytesAreTheSenders(t *testing.T) {
	s := serve(t, embedded.Options{})
	who := senders(t)[1]
	who.spec, who.url = single(who.spec), s.URL()
	who.enter(t)
	plan := shortPlan(session.StreamOriginal)
	plan.Streams = session.AudioOnly
	sound := listen(t, s.URL(), plan, nil, nil)
	pictures := listen(t, s.URL(), shortPlan(session.StreamDefault), nil, nil)
	pass(t, 7*time.Second)
	sound.end()
	pictures.end()
	opus := sound.contents(sound.index(who.UID, "audio"))
	video := pictures.contents(pictures.index(who.UID, "video"))
	if len(opus) < 250 || len(video) < 150 {
		t.Fatalf("%d packets, %d frames", len(opus), len(video))
	}
	sent := func(c *publish.Clip) (frames [][]byte) {
		for range 3 { // loops
			for _, f := range c.Frames {
				frames = append(frames, f.Data)
			}
		}
		return frames
	}
	follows(t, "Opus", opus, sent(who.spec.Audio))
	var frames [][]byte
	for _, f := range video {
		frames = append(frames, depacket.SplitH264(f)...) // without the delimiter that TS has to have
	}
	follows(t, "H.264", frames, sent(who.spec.Video[0]))
}

// contents reads the elementary stream out of the slices of a playlist.
func (l *live) contents(index string) (units [][]byte) {
	l.t.Helper()
	for _, sl := range l.playlist(index).Slices {
		f, err := os.Open(l.path(sl.Name))
		if err != nil {
			l.t.Fatal(err)
		}
		if err := ts.Read(f, func(u ts.Unit) error {
			units = append(units, bytes.Clone(u.Data))
			return nil
		}); err != nil {
			l.t.Error(err)
		}
		_ = f.Close()
	}
	return units
}

// follows finds got in sent, in one piece.
func follows(t *testing.T, what string, got, sent [][]byte) {
	t.Helper()
	best := 0
	for at := range sent {
		n := 0
		for n < len(got) && at+n < len(sent) && bytes.Equal(got[n], sent[at+n]) {
			n++
		}
		best = max(best, n)
	}
	if best != len(got) {
		t.Errorf("%s: only %d of %d units in a row are the sender's", what, best, len(got))
	}
}
