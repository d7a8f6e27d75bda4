package recorder

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/channel"
	"tapedeck/internal/media"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/samples"
)

// tape is a clock that only the test moves.
type tape struct {
	mu sync.Mutex
	t  time.Time
}

func newTape() *tape {
	return &tape{t: time.Date(2026, 7, 30, 23, 59, 50, 123_000_000, time.UTC)}
}

func (c *tape) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *tape) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.t) {
		c.t = t
	}
}

// keyAsker is a source that notes what it is asked for.
type keyAsker struct {
	mu    sync.Mutex
	keys  map[string]int
	sizes map[string][2]int
}

func newKeyAsker() *keyAsker {
	return &keyAsker{keys: map[string]int{}, sizes: map[string][2]int{}}
}

func (s *keyAsker) RequestKey(t *channel.Track) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[t.ID]++
}

func (s *keyAsker) SetSize(t *channel.Track, w, h int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sizes[t.ID] = [2]int{w, h}
}

func (s *keyAsker) Run(context.Context, func(channel.Event)) error { return nil }
func (s *keyAsker) SetSubscription(session.Subscription)           {}
func (s *keyAsker) SetToken(string)                                {}
func (s *keyAsker) Stats() []channel.TrackStats                    { return nil }

// scene is what happens in a room: events in any order, sorted by time when played.
type scene struct{ events []timed }

type timed struct {
	at media.Time
	ev channel.Event
}

func (s *scene) add(at media.Time, ev channel.Event) { s.events = append(s.events, timed{at, ev}) }

const sec media.Time = 1_000_000

// network is how long media take to the recorder in scenes.
const network media.Time = 100_000

// send lets a track send the looped units from one time to another, with the
// events around it. Unit n of a loop begins at a multiple of the loop's length:
// whatever tracks of one sample send stays in step.
func (s *scene) send(t *channel.Track, units []media.Unit, loop, from, to media.Time) {
	s.add(from, channel.Started{Track: t, At: from})
	s.media(t, units, loop, from, to)
	s.add(to+network, channel.Ended{Track: t, At: to})
}

func (s *scene) media(t *channel.Track, units []media.Unit, loop, from, to media.Time) {
	for base := from / loop * loop; base < to; base += loop {
		for i, u := range units {
			u.PTS += base
			if u.PTS < from || u.PTS >= to {
				continue
			}
			// RTP time runs on through the loops.
			u.RTP = int64(base/loop)*int64(loop)/1000*int64(u.Codec.ClockRate())/1000 + units[i].RTP
			s.add(u.PTS+network, channel.Media{Track: t, Unit: u})
		}
	}
}

const loop = 10 * sec

// user joins with picture and sound and leaves.
func (s *scene) user(uid uint32, id string, set samples.Set, from, to media.Time) (v, a *channel.Track) {
	u := channel.User{UID: uid}
	v = &channel.Track{ID: id + "v", User: u, Codec: set.Video[0].Codec, Kind: channel.Camera}
	a = &channel.Track{ID: id + "a", User: u, Codec: media.Opus, Kind: channel.Microphone}
	s.add(from, channel.Joined{User: u, At: from})
	s.send(v, set.Video, loop, from, to)
	s.send(a, set.Opus, loop, from, to)
	s.add(to+network+1, channel.Left{User: u, At: to, Reason: "client"})
	return v, a
}

// deck is a recorder of one mode over a spool folder, on the test's clock.
type deck struct {
	t       *testing.T
	plan    session.Plan
	content []byte // content key; nil: slices are not encrypted
	tape    *tape
	dir     *spool.Dir
	out     *Output
	src     *keyAsker
	mode    Mode
	stop    context.CancelFunc
	done    chan error
}

const testSID = "0123456789abcdef0123456789abcdef"

func testPlan(mode string) session.Plan {
	return session.Plan{
		SID: testSID, CName: "my_room", Mode: session.Individual, Streams: session.Both, StreamMode: mode,
		SliceLength: 15 * time.Second, Subscription: session.Subscription{Audio: session.UIDList{All: true}, Video: session.UIDList{All: true}},
	}
}

func newDeck(t *testing.T, plan session.Plan) *deck {
	t.Helper()
	dir, err := spool.Create(t.TempDir(), plan.SID)
	if err != nil {
		t.Fatal(err)
	}
	d := &deck{t: t, plan: plan, tape: newTape(), dir: dir}
	d.start()
	return d
}

// start opens the folder and runs the mode.
func (d *deck) start() {
	d.t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	out, err := OpenEncrypted(d.dir, d.plan, d.content, d.tape.now, log)
	if err != nil {
		d.t.Fatal(err)
	}
	d.out, d.src = out, newKeyAsker()
	d.mode, err = pictured(newIndividual, d.plan, out, d.src, log)
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.stop, d.done = cancel, make(chan error, 1)
	go func() { d.done <- d.mode.Run(ctx) }()
}

// play lets everything happen whose time lies in [from, to), and leaves the clock at to.
func (d *deck) play(s *scene, from, to media.Time) {
	slices.SortStableFunc(s.events, func(a, b timed) int { return int(min(max(a.at-b.at, -1), 1)) })
	for _, e := range s.events {
		if e.at >= from && e.at < to {
			d.tape.set(d.out.At(e.at))
			d.mode.Handle(e.ev)
		}
	}
	d.tape.set(d.out.At(to))
}

// finish ends the recording as the worker does.
func (d *deck) finish() {
	d.t.Helper()
	d.stop()
	if err := <-d.done; err != nil {
		d.t.Fatal(err)
	}
	if err := d.out.Ended(spool.EndStop, d.mode.Recorded()); err != nil {
		d.t.Fatal(err)
	}
	if err := d.out.Close(); err != nil {
		d.t.Fatal(err)
	}
}

func (d *deck) path(name string) string { return d.dir.FilePath(name) }

func (d *deck) facts() []spool.Fact {
	d.t.Helper()
	facts, _, err := d.dir.ReadJournal(0)
	if err != nil {
		d.t.Fatal(err)
	}
	return facts
}

func (d *deck) playlist(name string) probe.Playlist {
	d.t.Helper()
	p, err := probe.ReadPlaylist(d.path(name))
	if err != nil {
		d.t.Fatal(err)
	}
	return p
}

func (d *deck) index(uid uint32, kind string) string { return newNames(d.plan).index(uid, kind) }

// timeOf converts a PTS that ffprobe showed to the recording's time.
func timeOf(d time.Duration) media.Time { return media.Time(d.Microseconds()) - 10*sec }

// snapshot copies a folder that is being written, as a kill would leave it: the
// journal first, then the files that it knows of. What the files are ahead of
// the journal by is what a crash can leave too.
func snapshot(t *testing.T, d *spool.Dir) *spool.Dir {
	t.Helper()
	root := t.TempDir()
	to, err := spool.Create(root, d.SID())
	if err != nil {
		t.Fatal(err)
	}
	journal, err := os.ReadFile(filepath.Join(d.Path(), "journal.log"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to.Path(), "journal.log"), journal, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range namesIn(journal) {
		for _, n := range []string{name + ".part", name} {
			b, err := os.ReadFile(filepath.Join(d.Path(), "files", n))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(to.Path(), "files", n), b, 0o600); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	return to
}

// namesIn returns the files that whole lines of a journal name.
func namesIn(journal []byte) (names []string) {
	seen := map[string]bool{"": true}
	for line := range bytes.Lines(journal) {
		var f spool.Fact
		if json.Unmarshal(line, &f) != nil {
			continue
		}
		for _, n := range []string{f.Name, f.Index} {
			if !seen[n] {
				seen[n] = true
				names = append(names, n)
			}
		}
	}
	return names
}
