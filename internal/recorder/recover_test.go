package recorder

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/h264"
	"tapedeck/internal/media/mux/mp4"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/samples"
)

// drop ends a worker whose folder is looked at no more.
func (d *deck) drop() {
	d.t.Helper()
	d.stop()
	if err := <-d.done; err != nil {
		d.t.Error(err)
	}
}

// resume goes on in a copy of the folder as it was at some moment, as a new
// worker does after a kill.
func (d *deck) resume(dir *spool.Dir) *deck {
	d.t.Helper()
	n := &deck{t: d.t, plan: d.plan, content: d.content, tape: d.tape, dir: dir}
	n.start()
	return n
}

func TestKilledWorkerGoesOn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		set  func(testing.TB) samples.Set
		mode string
		ext  string
		// The newest slice of sound has got so far when the worker is killed:
		// what is transcoded is a second behind.
		soundFrom  media.Time
		soundBytes int64
	}{
		{"H.264", samples.H264, session.StreamDefault, ".ts", 4_900_000, 14_000},
		{"VP8", samples.VP8, session.StreamStandard, ".webm", 9 * sec, 2_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			set := c.set(t)
			before := newDeck(t, shortPlan(c.mode))
			var s scene
			s.user(7, "a", set, 1*sec, 30*sec)
			s.user(8, "b", set, 1*sec, 5*sec) // never comes back
			before.play(&s, 0, 10*sec)
			before.await(before.index(7, typeVideo), 9*sec, bytesOf(set.Video, 9*sec, 10*sec-network))
			before.await(before.index(7, typeAudio), c.soundFrom, c.soundBytes)
			dir := snapshot(t, before.dir)
			if parts, err := dir.Parts(); err != nil || len(parts) == 0 {
				t.Fatalf("%q, %v", parts, err)
			}
			before.drop()

			after := before.resume(dir)
			if after.out.Incarnation() != 2 || !after.out.Zero().Equal(before.out.Zero()) {
				t.Errorf("incarnation %d, zero %v", after.out.Incarnation(), after.out.Zero())
			}
			var again scene
			again.user(7, "c", set, 13*sec, 20*sec)
			after.play(&again, 10*sec, 21*sec)
			after.finish()
			after.check()
			video, audio := after.playlist(after.index(7, "video")), after.playlist(after.index(7, "audio"))
			if filepath.Ext(video.Slices[0].Name) != c.ext {
				t.Errorf("slice %s", video.Slices[0].Name)
			}
			times(t, "pictures begin", after.starts(video), time.Second, 13*time.Second)
			times(t, "sound begins", after.starts(audio), time.Second, 13*time.Second)
			within(t, "video", video.Sum(), 16*time.Second, 200*time.Millisecond)
			within(t, "audio", audio.Sum(), 14500*time.Millisecond, 1500*time.Millisecond)
			w := after.watch(after.index(7, "video"), after.index(7, "audio"))
			tone := samples.ToneH264
			if c.ext == ".webm" {
				tone = samples.ToneVP8
			}
			inSync(t, w, tone, 12)
			if p := after.playlist(after.index(8, "video")); !p.Ended || len(p.Slices) == 0 {
				t.Errorf("the user who never came back: %+v", p)
			}
		})
	}
}

// await returns once the newest slice of a playlist began at the given time and
// holds that many bytes.
func (d *deck) await(index string, start media.Time, size int64) {
	d.t.Helper()
	deadline := time.After(20 * time.Second)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		for _, f := range d.facts() {
			if f.Type == spool.FactBegun && f.Index == index && f.StartMicro >= int64(start) {
				if st, err := os.Stat(d.path(f.Name) + ".part"); err == nil && st.Size() >= size {
					return
				}
			}
		}
		select {
		case <-deadline:
			d.t.Fatalf("no slice of %s from %d µs with %d bytes", index, start, size)
		case <-look.C:
		}
	}
}

// bytesOf sums up the units from one time to another, which lie in one loop.
func bytesOf(units []media.Unit, from, to media.Time) (n int64) {
	for _, u := range units {
		if u.PTS >= from && u.PTS < to {
			n += int64(len(u.Data))
		}
	}
	return n
}

// Whatever moment a worker is killed at, the next one opens the folder, and
// what it then ends is whole.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	set := samples.H264(t)
	d := newDeck(t, shortPlan(session.StreamStandard))
	var s scene
	s.user(7, "a", set, 0, 12*sec)
	var kept []*spool.Dir
	for at := media.Time(0); at < 12*sec; at += 2_900_000 {
		d.play(&s, at, at+2_900_000)
		kept = append(kept, snapshot(t, d.dir)) // while the goroutines write
	}
	d.finish()
	for _, dir := range kept {
		n := d.resume(dir)
		n.finish()
		n.check()
	}
}

// Facts of a crash between any two steps of closing a slice.
func TestCrashWhileClosing(t *testing.T) {
	t.Parallel()
	d := newDeck(t, shortPlan(session.StreamDefault))
	var s scene
	s.user(7, "a", samples.H264(t), 0, 6*sec)
	d.play(&s, 0, 6*sec)
	d.finish()
	journal, err := os.ReadFile(filepath.Join(d.dir.Path(), "journal.log"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(journal), "\n")
	// Each prefix of the journal, with all files under their final names: renames
	// became durable, facts did not.
	for n := 1; n < len(lines)-1; n += 5 {
		dir := snapshot(t, d.dir)
		torn := strings.Join(lines[:n], "") + lines[n][:len(lines[n])/2]
		if err := os.WriteFile(filepath.Join(dir.Path(), "journal.log"), []byte(torn), 0o600); err != nil {
			t.Fatal(err)
		}
		// A file is only made once the journal says so, a playlist once it lists something.
		for _, f := range d.facts() {
			made := strings.Contains(torn, `"name":"`+f.Name+`"`)
			if f.Type == spool.FactIndex {
				made = strings.Contains(torn, `"t":"closed"`) && strings.Contains(torn[strings.Index(torn, `"t":"closed"`):], f.Name)
			}
			if f.Name != "" && !made {
				_ = os.Remove(filepath.Join(dir.Path(), "files", f.Name))
			}
		}
		r := d.resume(dir)
		r.finish()
		r.check()
		if strings.Contains(strings.Join(lines[:n], ""), `"begun"`) && !r.mode.Recorded() {
			t.Errorf("after %d facts nothing is left", n)
		}
	}
}

func TestEndedRecordingStaysEnded(t *testing.T) {
	d := newDeck(t, testPlan(session.StreamDefault))
	d.finish()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if _, err := OpenOutput(d.dir, d.plan, d.tape.now, log); !errors.Is(err, ErrEnded) {
		t.Errorf("%v", err)
	}
}

// An MP4 that was being written is finished, and the next one gets the next number.
func TestKilledMP4(t *testing.T) {
	set := samples.H264(t)
	d := newDeck(t, testPlan(session.StreamDefault))
	sps, pps := h264.ParameterSets(set.Video[0].Data)
	write := func(out *Output, units []media.Unit) *MP4 {
		f, err := out.MP4(sec, session.TrackVideo)
		if err != nil {
			t.Fatal(err)
		}
		w, err := mp4.New(f, &mp4.VideoTrack{W: samples.W, H: samples.H, SPS: sps, PPS: pps}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range units {
			if err := w.Video(u.PTS.Ticks90k(), u.Key, u.Data); err != nil {
				t.Fatal(err)
			}
		}
		return f
	}
	write(d.out, set.Video)
	write(d.out, nil) // nothing of this one reached the disk
	r := d.resume(snapshot(t, d.dir))
	if f := write(r.out, set.Video[:1]); f.Name() != testSID+"_my_room_2.mp4" {
		t.Errorf("the next one is %s", f.Name())
	}
	var names []string
	for _, f := range r.facts() {
		if f.Type == spool.FactClosed {
			names = append(names, f.Name)
			if f.Kind != spool.KindMP4 || f.DurMicro < 7_900_000 || f.StartMicro != int64(sec) || !f.Playable {
				t.Errorf("%+v", f)
			}
		}
	}
	if len(names) != 1 || names[0] != testSID+"_my_room_0.mp4" {
		t.Errorf("closed: %q", names)
	}
	r.drop()
	d.drop()
}

func TestNamesOfFiles(t *testing.T) {
	n := newNames(session.Plan{SID: testSID, CName: "a b?#%+:<x>[1]{y}|^/ok_.-!$&(),;=@~"})
	if got := n.composite(); got != testSID+"_a-b------x--1--y----ok_.-!$&(),;=@~.m3u8" {
		t.Error(got)
	}
	if got := n.index(4294967295, typeAudio); !strings.HasSuffix(got, "__uid_s_4294967295__uid_e_audio.m3u8") {
		t.Error(got)
	}
}

// Two slices of one playlist never get the same name.
func TestSliceNamesAreUnique(t *testing.T) {
	d := newDeck(t, testPlan(session.StreamDefault))
	i := d.out.Index(IndexConfig{Name: d.index(7, typeVideo), Track: session.TrackVideo, UID: 7})
	seen := map[string]bool{}
	for k := range media.Time(5) {
		s, err := i.Begin(sec+k*100, extTS, nil)
		if err != nil {
			t.Fatal(err)
		}
		if seen[s.Name()] {
			t.Errorf("%s twice", s.Name())
		}
		seen[s.Name()] = true
		if _, err := s.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(100); err != nil {
			t.Fatal(err)
		}
	}
	d.finish()
}

// Stopping is fast however many users there are.
func TestStopWithSeventeenUsers(t *testing.T) {
	d := newDeck(t, testPlan(session.StreamStandard))
	var s scene
	set := samples.H264(t)
	for uid := range uint32(17) {
		s.user(100+uid, string(rune('a'+uid)), set, 0, 5*sec)
	}
	d.play(&s, 0, 4*sec)
	for uid := range uint32(17) {
		d.await(d.index(100+uid, typeVideo), 0, bytesOf(set.Video, 0, 4*sec-network))
	}
	begin := time.Now()
	d.finish()
	t.Logf("17 users were finished within %v", time.Since(begin))
	final := 0
	for _, f := range d.facts() {
		if f.Type == spool.FactIndex && f.Final {
			final++
		}
	}
	if final != 17*5 {
		t.Errorf("%d final indexes", final)
	}
}

var _ channel.Source = (*keyAsker)(nil)
