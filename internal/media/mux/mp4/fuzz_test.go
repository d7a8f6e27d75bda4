package mp4_test

import (
	"bytes"
	"testing"

	"tapedeck/internal/media/mux/mp4"
	"tapedeck/internal/testkit/samples"
)

// memory is a RecoverFile of bytes.
type memory struct{ b []byte }

func (m *memory) ReadAt(b []byte, off int64) (int, error) {
	return bytes.NewReader(m.b).ReadAt(b, off)
}

func (m *memory) WriteAt(b []byte, off int64) (int, error) {
	if end := off + int64(len(b)); end > int64(len(m.b)) {
		m.b = append(m.b, make([]byte, end-int64(len(m.b)))...)
	}
	return copy(m.b[off:], b), nil
}

func (m *memory) Write(b []byte) (int, error) { return m.WriteAt(b, int64(len(m.b))) }
func (m *memory) Sync() error                 { return nil }
func (m *memory) Truncate(n int64) error {
	m.b = m.b[:min(n, int64(len(m.b)))]
	return nil
}

func FuzzRecover(f *testing.F) {
	v, a := tracks(f, samples.H264(f))
	m := &memory{}
	w, err := mp4.New(m, v, a)
	if err != nil {
		f.Fatal(err)
	}
	for i := range int64(4) {
		_ = w.Video(i*3000, i == 0, []byte{0, 0, 0, 1, 0x65, 1, 2})
		_ = w.Audio(i*1024-1024, []byte{1, 2})
		_ = w.Cut()
	}
	f.Add(bytes.Clone(m.b))
	_ = w.Close()
	f.Add(m.b)
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &memory{bytes.Clone(b)}
		r, err := mp4.Recover(m)
		if err != nil {
			return
		}
		if r.Size != int64(len(m.b)) {
			t.Fatalf("%+v, but %d bytes", r, len(m.b))
		}
		again, err := mp4.Recover(m)
		if err != nil || !again.Whole || again.Video != r.Video || again.Audio != r.Audio {
			t.Fatalf("first %+v, then %+v, %v", r, again, err)
		}
	})
}
