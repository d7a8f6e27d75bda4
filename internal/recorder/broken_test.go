package recorder

import (
	"log/slog"
	"testing"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/playlist"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

// What begins after an interruption says where the stream broke off, in the
// same worker or in the next one (events.md, 42). Slices that follow each other
// do not.
func TestBrokenOff(t *testing.T) {
	dir, err := spool.Create(t.TempDir(), "38f8e3cfdc474cd56fc1ceba380d7e1a")
	if err != nil {
		t.Fatal(err)
	}
	plan := session.Plan{SID: dir.SID(), CName: "c", Mode: session.Individual, SliceLength: 15 * time.Second}
	write := func(out *Output, start, dur media.Time, tags ...string) {
		t.Helper()
		i := out.Index(IndexConfig{Name: "i.m3u8", Track: session.TrackAudio, UID: 7, Playable: true})
		s, err := i.Begin(start, ".ts", tags)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(make([]byte, 188)); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(dur); err != nil {
			t.Fatal(err)
		}
	}
	for worker := range 2 {
		out, err := OpenOutput(dir, plan, time.Now, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		switch worker {
		case 0:
			write(out, 1_000_000, 15_000_000)
			write(out, 16_000_000, 15_000_000)
			write(out, 40_000_000, 5_000_000, playlist.Discontinuity())
		case 1:
			write(out, 60_000_000, 15_000_000)
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
	}
	facts, _, err := dir.ReadJournal(0)
	if err != nil {
		t.Fatal(err)
	}
	want := map[int64]int64{1_000_000: 0, 16_000_000: 0, 40_000_000: 31_000_000, 60_000_000: 45_000_000}
	for _, f := range facts {
		if f.Type != spool.FactBegun {
			continue
		}
		if broken, ok := want[f.StartMicro]; !ok || f.BrokenMicro != broken {
			t.Errorf("the slice at %d broke off at %d, want %d", f.StartMicro, f.BrokenMicro, broken)
		}
		delete(want, f.StartMicro)
	}
	if len(want) > 0 {
		t.Errorf("no slice begins at %v", want)
	}
}
