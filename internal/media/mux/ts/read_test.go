package ts_test

import (
	"bytes"
	"errors"
	"testing"

	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/ts"
	"tapedeck/internal/testkit/samples"
)

// What is read back is what was written: every byte, every time, in order.
func TestReadGivesBackWhatWasWritten(t *testing.T) {
	s := samples.H264(t)
	var video, audio []media.Unit
	for _, slice := range slices(t, s, 90, 20_000_000) {
		err := ts.Read(bytes.NewReader(slice), func(u ts.Unit) error {
			m := media.Unit{Codec: u.Codec, PTS: ts.Time(u.PTS), Key: u.Key, Data: bytes.Clone(u.Data)}
			if u.Codec.Video() {
				video = append(video, m)
				return nil
			}
			if u.Rate != 48000 || u.Channels != 1 {
				t.Fatalf("%d Hz, %d channels", u.Rate, u.Channels)
			}
			audio = append(audio, m)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	same(t, "video", video, shifted(s.Video, 20_000_000))
	same(t, "audio", audio, shifted(s.AAC, 20_000_000))
}

func TestReadOpus(t *testing.T) {
	s := samples.H264(t)
	w := ts.New(ts.Config{Audio: true, AudioCodec: media.Opus, Channels: 1})
	var b bytes.Buffer
	if err := w.Begin(&b, false); err != nil {
		t.Fatal(err)
	}
	write(t, w, s.Opus)
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	var got []media.Unit
	if err := ts.Read(&b, func(u ts.Unit) error {
		got = append(got, media.Unit{Codec: u.Codec, PTS: ts.Time(u.PTS), Key: u.Key, Data: bytes.Clone(u.Data)})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	same(t, "opus", got, s.Opus)
}

func same(t *testing.T, what string, got, want []media.Unit) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d units, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		// The writer puts a delimiter before every access unit.
		data := bytes.TrimPrefix(g.Data, []byte{0, 0, 0, 1, 9, 0xF0})
		d := g.PTS - w.PTS
		if g.Codec != w.Codec || g.Key != w.Key && w.Codec.Video() || d < -100 || d > 100 || !bytes.Equal(data, w.Data) {
			t.Fatalf("%s %d: %s at %d, key %v, %d bytes; want %s at %d, key %v, %d bytes",
				what, i, g.Codec, g.PTS, g.Key, len(data), w.Codec, w.PTS, w.Key, len(w.Data))
		}
	}
}

func TestReadStopsWhenToldTo(t *testing.T) {
	s := samples.H264(t)
	stop := errors.New("enough")
	n := 0
	err := ts.Read(bytes.NewReader(slices(t, s, 90, 0)[0]), func(ts.Unit) error {
		if n++; n == 5 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 5 {
		t.Errorf("%d units, %v", n, err)
	}
}

func FuzzRead(f *testing.F) {
	w := ts.New(both)
	var b bytes.Buffer
	if err := w.Begin(&b, true); err != nil {
		f.Fatal(err)
	}
	_ = w.Video(900000, 900000, true, []byte{0, 0, 0, 1, 0x65, 1, 2, 3})
	_ = w.Audio(900000, []byte{1, 2, 3})
	_ = w.End()
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		if err := ts.Read(bytes.NewReader(b), func(u ts.Unit) error { total += len(u.Data); return nil }); err != nil {
			t.Fatal(err)
		}
		if total > len(b) {
			t.Fatalf("%d bytes out of %d", total, len(b))
		}
	})
}
