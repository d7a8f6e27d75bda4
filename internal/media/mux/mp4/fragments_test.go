package mp4_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/h264"
	"tapedeck/internal/media/mux/mp4"
	"tapedeck/internal/media/mux/webm"
	"tapedeck/internal/testkit/probe"
	"tapedeck/internal/testkit/samples"
)

const fragmentsBase = 900_000 // 10 s, as in TS slices

// slice writes the units into out and returns the writer.
func slice(t testing.TB, out mp4.File, units []media.Unit) *mp4.Fragments {
	t.Helper()
	first := units[0]
	var av1c []byte
	if first.Codec == media.AV1 {
		av1c = webm.AV1Private(first.Data)
	}
	f, err := mp4.NewFragments(out, first.Codec, first.W, first.H, first.Data, av1c)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range units {
		if err := f.Frame(fragmentsBase+u.PTS.Ticks90k(), u.Key, u.Data); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// units4 gives every NAL unit a start code of four bytes.
func units4(annexB []byte) (out []byte) {
	for u := range h264.Units(annexB) {
		out = append(append(out, 0, 0, 0, 1), u...)
	}
	return out
}

func TestFragmentsPlayAndComeBack(t *testing.T) {
	t.Parallel()
	for _, c := range []media.Codec{media.H265, media.VP9, media.AV1} {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			units := samples.Pictures(t, c)
			f := create(t)
			w := slice(t, f, units)
			if err := w.Close(fragmentsBase + 90_000 + 1500); err != nil {
				t.Fatal(err)
			}
			if err := probe.Clean(t.Context(), f.Name()); err != nil {
				t.Error(err)
			}
			info, packets, _, err := probe.Scan(t.Context(), f.Name())
			want := map[media.Codec]string{media.H265: "hevc", media.VP9: "vp9", media.AV1: "av1"}[c]
			if err != nil || info.Codecs() != want || info.Streams[0].W != samples.W || len(packets) != len(units) {
				t.Errorf("%+v, %d packets, %v", info, len(packets), err)
			}
			span, _ := probe.SpanOf(packets, "video")
			if span.First != 10*time.Second || (span.End-11*time.Second).Abs() > 20*time.Millisecond || !span.KeyFirst {
				t.Errorf("%+v", span)
			}
			n := 0
			err = mp4.ReadFragments(f, func(u mp4.Unit) error {
				data := units[n].Data
				if c == media.AV1 && bytes.HasPrefix(data, []byte{0x12, 0}) {
					data = data[2:] // a temporal delimiter does not go into a sample
				}
				if c == media.H265 { // start codes have a length of their own choice
					data, u.Data = units4(data), units4(u.Data)
				}
				if u.Codec != c || u.PTS != fragmentsBase+units[n].PTS.Ticks90k() || u.Key != units[n].Key || !bytes.Equal(u.Data, data) {
					t.Errorf("frame %d is %v at %d, key %v, %d bytes; want %d", n, u.Codec, u.PTS, u.Key, len(u.Data), len(data))
				}
				n++
				return nil
			})
			if err != nil || n != len(units) {
				t.Errorf("%d frames, %v", n, err)
			}
		})
	}
}

// A slice is cut wherever its writer was killed: what is left plays.
func TestFragmentsAreRecovered(t *testing.T) {
	t.Parallel()
	units := samples.Pictures(t, media.VP9)
	for i := range units { // four seconds: a fragment each or so
		units[i].PTS *= 4
	}
	whole := &memory{}
	w := slice(t, whole, units)
	if err := w.Close(fragmentsBase + 4*90_000); err != nil {
		t.Fatal(err)
	}
	last := media.Time(-1)
	for size := len(whole.b); size > len(w.Head()); size -= 701 {
		m := &memory{b: bytes.Clone(whole.b[:size])}
		got, head, err := mp4.RecoverFragments(m)
		if errors.Is(err, mp4.ErrNothing) {
			continue
		}
		if err != nil || head != int64(len(w.Head())) || got.Size != int64(len(m.b)) || last >= 0 && got.Dur > last {
			t.Fatalf("at %d: %+v, head %d, %v", size, got, head, err)
		}
		last = got.Dur
		n := 0
		if err := mp4.ReadFragments(m, func(mp4.Unit) error { n++; return nil }); err != nil || n != got.Video {
			t.Fatalf("at %d: %d frames of %d, %v", size, n, got.Video, err)
		}
	}
	if last <= 0 {
		t.Error("nothing was recovered")
	}
}

func TestFragmentsRefuseWhatNobodyCouldPlay(t *testing.T) {
	t.Parallel()
	for _, c := range []media.Codec{media.H265, media.VP9, media.AV1, media.H264, media.Opus} {
		if _, err := mp4.NewFragments(&memory{}, c, 320, 180, []byte{0, 0, 0, 1, 0x26, 1, 2}, nil); err == nil {
			t.Errorf("%v: no error", c)
		}
	}
}

func FuzzFragments(f *testing.F) {
	m := &memory{}
	units := samples.Pictures(f, media.H265)
	w := slice(f, m, units[:3])
	if err := w.Close(fragmentsBase + 9000); err != nil {
		f.Fatal(err)
	}
	f.Add(m.b)
	f.Add(m.b[:len(m.b)/2])
	f.Fuzz(func(_ *testing.T, b []byte) {
		_ = mp4.ReadFragments(&memory{b: bytes.Clone(b)}, func(mp4.Unit) error { return nil })
		_, _, _ = mp4.RecoverFragments(&memory{b: bytes.Clone(b)})
		_, _ = mp4.NewFragments(&memory{}, media.H265, 320, 180, b, nil)
		_, _ = mp4.NewFragments(&memory{}, media.VP9, 320, 180, b, nil)
	})
}
