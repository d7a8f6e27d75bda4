package webm_test

import (
	"bytes"
	"testing"

	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/webm"
	"tapedeck/internal/testkit/samples"
)

// What is read back is what was written, in whole milliseconds.
func TestReadGivesBackWhatWasWritten(t *testing.T) {
	s := samples.VP8(t)
	for _, c := range []struct {
		cfg   webm.Config
		units []media.Unit
	}{{vp8, s.Video}, {opus, s.Opus}} {
		m := &memory{}
		c.cfg.Base = 10_000_000
		w, err := webm.New(m, c.cfg)
		if err != nil {
			t.Fatal(err)
		}
		fill(t, w, c.units)
		if err := w.Close(10_000_000); err != nil {
			t.Fatal(err)
		}
		n := 0
		err = webm.Read(bytes.NewReader(m.b), func(u webm.Unit) error {
			want := c.units[n]
			d := u.At - 10_000_000 - (want.PTS - c.units[0].PTS)
			if u.Codec != want.Codec || u.Key != want.Key || d < -500 || d > 500 || !bytes.Equal(u.Data, want.Data) {
				t.Fatalf("%d: %s at %d, key %v, %d bytes; want %+v", n, u.Codec, u.At, u.Key, len(u.Data), want.PTS)
			}
			n++
			return nil
		})
		if err != nil || n != len(c.units) {
			t.Errorf("%d frames, want %d, %v", n, len(c.units), err)
		}
	}
}

func FuzzRead(f *testing.F) {
	m := &memory{}
	w, err := webm.New(m, opus)
	if err != nil {
		f.Fatal(err)
	}
	for i := range media.Time(3) {
		_ = w.Frame(i*6_000_000, true, []byte{0xFC, 1, 2})
	}
	f.Add(bytes.Clone(m.b))
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		_ = webm.Read(bytes.NewReader(b), func(u webm.Unit) error { total += len(u.Data); return nil })
		if total > len(b) {
			t.Fatalf("%d bytes out of %d", total, len(b))
		}
	})
}
